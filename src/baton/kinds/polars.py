"""Polars data frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from baton.core.artifact import Kind, mismatch

if TYPE_CHECKING:
    from typing import TypeAlias

    import polars as pl


class _TableKind(Kind):
    """A polars data frame, stored as Parquet."""

    name = "table"
    module = "polars"
    suffix = ".parquet"
    packages = ("polars",)

    @classmethod
    def write(cls, value: Any, path: Path) -> None:
        import polars as pl

        if not isinstance(value, pl.DataFrame):
            raise TypeError(mismatch("a polars DataFrame", value))
        value.rechunk().write_parquet(path, compression="lz4", statistics=False)

    @classmethod
    def read(cls, path: Path) -> Any:
        import polars as pl

        return pl.read_parquet(path, memory_map=False, glob=False)


if TYPE_CHECKING:
    Table: TypeAlias = pl.DataFrame
else:
    Table = _TableKind
