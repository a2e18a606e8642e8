"""Polars data frames, read whole or lazily."""

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
    types = ("polars.DataFrame",)
    conversions = {
        "polars.LazyFrame": "value.collect()",
        "polars.Series": "value.to_frame()",
        "pandas.DataFrame": "pl.from_pandas(value)",
        "pandas.Series": "pl.from_pandas(value).to_frame()",
        "pyarrow.Table": "pl.from_arrow(value)",
        **dict.fromkeys(("numpy.ndarray", "builtins.dict", "builtins.list"), "pl.DataFrame(value)"),
    }

    @classmethod
    def write(cls, value: Any, path: Path) -> None:
        import polars as pl

        if not isinstance(value, pl.DataFrame):
            raise mismatch("a polars DataFrame", value, cls)
        value.rechunk().write_parquet(path, compression="lz4", statistics=False)

    @classmethod
    def read(cls, path: Path) -> Any:
        import polars as pl

        return pl.read_parquet(path, memory_map=False, glob=False)


class _ScanKind(_TableKind):
    """A lazy polars frame over the stored Parquet: what is not used is not read.

    It is a table, so a task may take as `Scan` what another returns as `Table`, and the other way round.
    """

    types = ("polars.LazyFrame",)
    conversions = {
        "polars.DataFrame": "value.lazy()",
        "pandas.DataFrame": "pl.from_pandas(value).lazy()",
        "pyarrow.Table": "pl.from_arrow(value).lazy()",
    }

    @classmethod
    def write(cls, value: Any, path: Path) -> None:
        import polars as pl

        if not isinstance(value, pl.LazyFrame):
            raise mismatch("a polars LazyFrame", value, cls)
        # The same bytes with any number of threads, as the size of row groups is given.
        value.sink_parquet(path, compression="lz4", statistics=False, row_group_size=_ROWS)

    @classmethod
    def read(cls, path: Path) -> Any:
        import polars as pl

        return pl.scan_parquet(path, glob=False)


_ROWS = 250_000


if TYPE_CHECKING:
    Table: TypeAlias = pl.DataFrame
    Scan: TypeAlias = pl.LazyFrame
else:
    Table = _TableKind
    Scan = _ScanKind
