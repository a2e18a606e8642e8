"""Pandas data frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from baton.core.artifact import Kind, mismatch

if TYPE_CHECKING:
    from typing import TypeAlias

    import pandas as pd


class FrameKind(Kind):
    """A pandas data frame with its index and types, stored as Parquet."""

    name = "frame"
    module = "pandas"
    suffix = ".parquet"
    packages = ("pandas", "pyarrow")
    types = ("pandas.DataFrame",)
    conversions = {
        "pandas.Series": "value.to_frame()",
        "polars.DataFrame": "value.to_pandas()",
        "polars.LazyFrame": "value.collect().to_pandas()",
        "pyarrow.Table": "value.to_pandas()",
        **dict.fromkeys(("numpy.ndarray", "builtins.dict", "builtins.list"), "pd.DataFrame(value)"),
    }

    @classmethod
    def write(cls, value: Any, path: Path) -> None:
        """Write a frame; raise TypeError if it is none or a column holds what Parquet cannot."""
        import pandas as pd
        import pyarrow as pa

        if not isinstance(value, pd.DataFrame):
            raise mismatch("a pandas DataFrame", value, cls)
        try:
            value.to_parquet(path, engine="pyarrow", compression="lz4")
        except (pa.ArrowException, ValueError) as error:
            raise TypeError(f"Parquet cannot hold the frame: {' '.join(map(str, error.args))}") from error

    @classmethod
    def read(cls, path: Path) -> Any:
        """Return the frame."""
        import pandas as pd

        with path.open("rb") as file:
            return pd.read_parquet(file, engine="pyarrow")


if TYPE_CHECKING:
    Frame: TypeAlias = pd.DataFrame
else:
    Frame = FrameKind
