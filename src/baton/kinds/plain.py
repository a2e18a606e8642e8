"""Kinds that need no library: plain JSON values, and files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baton.core.artifact import Kind, mismatch

if TYPE_CHECKING:
    from typing import TypeAlias


class _JsonKind(Kind):
    """Plain JSON values with sorted keys; nan and infinities are refused."""

    name = "json"
    suffix = ".json"

    @classmethod
    def write(cls, value: Any, path: Path) -> None:
        try:
            text = json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))
        except ValueError as error:
            raise TypeError(f"expected plain JSON values: {error}") from error
        path.write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Any:
        return json.loads(path.read_bytes())


class _FileKind(Kind):
    """One file, passed as its path and stored unchanged."""

    name = "file"

    @classmethod
    def write(cls, value: Any, path: Path) -> None:
        if not isinstance(value, Path) or not value.is_file():
            raise TypeError(mismatch("the path of a file", value))
        shutil.copyfile(value, path)

    @classmethod
    def read(cls, path: Path) -> Any:
        return path


class _FilesKind(Kind):
    """Several files by name, passed as a mapping of names to paths.

    The store keeps each file as a separate object, and a manifest of their names.
    """

    name = "files"
    suffix = ".json"


if TYPE_CHECKING:
    Json: TypeAlias = Any
    File: TypeAlias = Path
    Files: TypeAlias = Mapping[str, Path]
else:
    Json = _JsonKind
    File = _FileKind
    Files = _FilesKind

FILE_KIND = _FileKind
FILES_KIND = _FilesKind
