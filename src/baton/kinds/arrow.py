"""Arrow tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from baton.core.artifact import Kind, mismatch

if TYPE_CHECKING:
    from typing import TypeAlias

    import pyarrow as pa


class ArrowKind(Kind):
    """An Arrow table with its schema and metadata, stored in the IPC file format."""

    name = "arrow"
    module = "pyarrow"
    suffix = ".arrow"
    packages = ("pyarrow",)
    types = ("pyarrow.Table",)
    conversions = {
        "polars.DataFrame": "value.to_arrow()",
        "polars.LazyFrame": "value.collect().to_arrow()",
        "pandas.DataFrame": "pa.Table.from_pandas(value)",
        "pyarrow.RecordBatch": "pa.Table.from_batches([value])",
    }

    @classmethod
    def write(cls, value: Any, path: Path) -> None:
        """Write a table; raise TypeError if it is none."""
        import pyarrow as pa

        if not isinstance(value, pa.Table):
            raise mismatch("a pyarrow Table", value, cls)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, value.schema) as writer:
            # In batches of one size, so that equal tables give equal bytes however they were put together.
            writer.write_table(value.combine_chunks(), max_chunksize=_ROWS)

    @classmethod
    def read(cls, path: Path) -> Any:
        """Return the table; its columns are read from the file when they are used."""
        import pyarrow as pa

        with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as reader:
            return reader.read_all()


_ROWS = 1 << 20


if TYPE_CHECKING:
    Arrow: TypeAlias = pa.Table
else:
    Arrow = ArrowKind
