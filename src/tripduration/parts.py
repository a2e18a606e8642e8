"""A month as a folder of Parquet parts, as written by Spark, Dask and similar tools.

Parts are read in the natural order of their names: ``part.10`` comes after ``part.9``. Names that start
with ``_`` or ``.`` are ignored.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from uuid import uuid4

from tripduration.contract import NEEDED
from tripduration.errors import ContractBroken, NotParquet
from tripduration.parquet import sha256_of, verify_parquet
from tripduration.schema import published_names
from tripduration.service import Service, published_column

if TYPE_CHECKING:
    # pyarrow ships no types.
    import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]

_TABLE_FORMATS = {"_delta_log": "a Delta table", ".hoodie": "a Hudi table"}
"""Folders in which only some parts are valid, according to a log."""

_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def join_parts(folder: Path, path: Path, service: Service = "green") -> Path:
    """Write the needed columns of all parts to one file, and return its path.

    The same parts always give the same bytes.

    Parameters
    ----------
    folder
        The month's folder of parts; columns may be in folder names, such as ``PULocationID=43``.
    path
        The file, which is written atomically.
    service
        The taxis whose trips they are.

    Raises
    ------
    NotParquet
        A part is something else, or the folder contains other files.
    ContractBroken
        The parts have different columns, or incompatible types.
    OSError
        A part cannot be read, or the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]

    tables: dict[str, pa.Table] = {}
    for name, part in parts_of(folder).items():
        called = f"part {name} of {folder.name}"
        try:
            published = verify_parquet(part, called)
            tables[called] = _needed_of(part, published, _in_folders(name), service)
        except (pa.ArrowException, OSError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise NotParquet(f"{called} cannot be read: {reason}", hint="write it again") from error
        if len(tables[called].column_names) < len(NEEDED) and len(tables) == 1:
            # If these columns are missing, the contract reports it with all other findings.
            tables = {called: pq.read_schema(part).empty_table()}
            break
        _refuse_other_columns(tables, called)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{uuid4().hex[:8]}.tmp")
    try:
        joined = pa.concat_tables(tables.values(), promote_options="permissive")
        pq.write_table(joined.replace_schema_metadata(None), temporary, compression="zstd")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def parts_of(folder: Path) -> dict[str, Path]:
    """Return the parts in a folder by their relative names, in order.

    Raises
    ------
    NotParquet
        There are none, they are still being written, or a log says which of them are valid.
    """
    for name, what in _TABLE_FORMATS.items():
        if (folder / name).exists():
            raise NotParquet(
                f"{folder.name} is {what}, whose log says which files are valid",
                hint="write the month as one Parquet file, or as a plain folder of parts",
            )
    if (folder / "_temporary").exists():
        raise NotParquet(
            f"{folder.name} is not complete: its folder _temporary means that it is still being written",
            hint="wait for the job that writes it, or run that job again",
        )
    names = sorted(
        (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()), key=_natural
    )
    parts = {name: folder / name for name in names if not _is_hidden(name)}
    if not parts:
        raise NotParquet(
            f"{folder.name} is a folder without Parquet parts", hint="write it again, or use another source"
        )
    return parts


def version_of(folder: Path) -> str:
    """Return a digest of all parts and their names."""
    digest = hashlib.sha256()
    for name, part in parts_of(folder).items():
        digest.update(f"{name}\0{sha256_of(part)}\n".encode())
    return digest.hexdigest()


def _natural(name: str) -> list[tuple[int, str]]:
    pieces = re.split(r"([0-9]+)", name)
    return [(int(piece), piece) if piece.isdecimal() else (-1, piece) for piece in pieces]


def _is_hidden(name: str) -> bool:
    pieces = name.split("/")
    return name.endswith(".crc") or any(
        piece.startswith(".") or (piece.startswith("_") and "=" not in piece) for piece in pieces
    )


def _in_folders(name: str) -> Mapping[str, str | None]:
    """Return the columns in folder names, as in ``VendorID=1/part-0.parquet``."""
    pairs = (piece.partition("=") for piece in name.split("/")[:-1] if "=" in piece)
    return {key: None if value == _NO_VALUE else unquote(value) for key, _, value in pairs}


def _needed_of(
    part: Path, published: Mapping[str, str], in_folders: Mapping[str, str | None], service: Service
) -> pa.Table:
    """Return the needed columns of a part, by their published names."""
    import pyarrow.parquet as pq

    in_file = published_names(published, service)
    with pq.ParquetFile(part) as file:
        table = file.read([in_file[name] for name in NEEDED if name in in_file])
        rows = file.metadata.num_rows
    called = {name: published_column(name, service) for name in NEEDED}
    table = table.rename_columns([called[name] for name in NEEDED if name in in_file])
    for name, key in published_names(in_folders, service).items():
        if name not in in_file:
            table = table.append_column(called[name], _constant(in_folders[key], rows))
    return table.select([name for name in called.values() if name in table.column_names])


def _constant(text: str | None, rows: int) -> Any:
    import pyarrow as pa

    is_whole = text is not None and re.fullmatch(r"-?[0-9]{1,18}", text)
    value = int(text) if text is not None and is_whole else text
    return pa.repeat(pa.scalar(value), rows)


def _refuse_other_columns(tables: Mapping[str, pa.Table], called: str) -> None:
    """Reject a part whose columns are incompatible with those of the first."""
    import pyarrow as pa

    first = next(iter(tables))
    for name in tables[first].column_names:
        if name not in tables[called].column_names:
            raise ContractBroken(
                f"{called} has no column {name}, unlike {first.partition(' of ')[0]}",
                hint="write all parts with the same columns",
            )
        kinds = [tables[one].schema.field(name).type for one in (first, called)]
        try:
            pa.unify_schemas([pa.schema([(name, kind)]) for kind in kinds], promote_options="permissive")
        except pa.ArrowException as error:
            raise ContractBroken(
                f"{called} has {name} as {kinds[1]}, but {first.partition(' of ')[0]} as {kinds[0]}",
                hint="write all parts with the same types",
            ) from error
