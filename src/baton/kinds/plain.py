"""Kinds that need no library: plain JSON values, and files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from baton.core.artifact import Kind, mismatch
from baton.core.external import External, model_address
from baton.core.files import copy_file

if TYPE_CHECKING:
    from typing import TypeAlias


class _JsonKind(Kind):
    """Plain JSON values with sorted keys; nan and infinities are refused."""

    name = "json"
    suffix = ".json"
    types = tuple(f"builtins.{name}" for name in ("dict", "list", "str", "int", "float", "bool"))
    conversions = {
        "polars.DataFrame": "value.to_dicts()",
        "polars.Series": "value.to_list()",
        "pandas.DataFrame": 'value.to_dict("records")',
        "pandas.Series": "value.to_list()",
        "numpy.ndarray": "value.tolist()",
        "numpy.generic": "value.item()",
        "builtins.set": "sorted(value)",
        "builtins.frozenset": "sorted(value)",
        "builtins.bytes": "value.decode()",
        "datetime.date": "value.isoformat()",
        "datetime.time": "value.isoformat()",
        "pathlib.PurePath": "str(value)",
    }

    @classmethod
    def write(cls, value: Any, path: Path) -> None:
        def refuse(found: Any) -> None:
            raise mismatch("plain JSON values", found, cls)

        try:
            text = json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"), default=refuse)
        except ValueError as error:
            raise TypeError(f"expected plain JSON values: {error}") from error
        path.write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Any:
        return json.loads(path.read_bytes())


class _FileKind(Kind):
    """One file, passed as its path and stored unchanged; its name keeps its suffix."""

    name = "file"
    types = ("pathlib.Path", "pathlib.PosixPath")
    external = "file"
    conversions = {"builtins.str": "Path(value)"}

    @classmethod
    def write(cls, value: Any, path: Path) -> None:
        if not isinstance(value, Path):
            raise mismatch("the path of a file", value, cls)
        if not value.is_file():
            raise TypeError(f"expected the path of a file, but {value} is none")
        copy_file(value, path)

    @classmethod
    def read(cls, path: Path) -> Any:
        return path

    @classmethod
    def suffix_of(cls, value: Any) -> str:
        return str(value.suffix)


class _FilesKind(Kind):
    """Several files by name, passed as a mapping of names to paths.

    The store keeps each file as a separate object, and a manifest of their names.
    """

    name = "files"
    suffix = ".json"


class _FolderKind(Kind):
    """A folder with all files below it, passed as its path; the store keeps each file as an object.

    Empty folders inside are left out, and links to files are replaced by what they lead to.
    """

    name = "folder"
    suffix = ".json"
    types = _FileKind.types
    external = "folder"
    conversions = _FileKind.conversions


class Registered:
    """The type of a task's argument that takes a registered model, as a folder: ``Registered["fares"]``.

    ``"fares@challenger"`` is another alias than ``champion``, ``"fares/3"`` a version.  The folder holds the
    model as MLflow stores it, for its ``load_model``.  If a parameter has the name, use `InputModel` instead.
    """

    def __class_getitem__(cls, name: str) -> Any:
        return Annotated[Path, _FolderKind, External("model", model_address(name))]


if TYPE_CHECKING:
    Json: TypeAlias = Any
    File: TypeAlias = Path
    Files: TypeAlias = Mapping[str, Path]
    Folder: TypeAlias = Path
    InputFile: TypeAlias = Path
    InputFolder: TypeAlias = Path
    InputModel: TypeAlias = Path
else:
    Json = _JsonKind
    File = _FileKind
    Files = _FilesKind
    Folder = _FolderKind
    InputFile = Annotated[Path, _FileKind, External("file")]
    InputFolder = Annotated[Path, _FolderKind, External("folder")]
    InputModel = Annotated[Path, _FolderKind, External("model")]

FILE_KIND = _FileKind
FILES_KIND = _FilesKind
FOLDER_KIND = _FolderKind

OF_SEVERAL_FILES = frozenset({_FilesKind.name, _FolderKind.name})
"""The kinds whose value is stored as several objects and a list of their names."""


def files_below(value: Any) -> dict[str, Path]:
    """Return the files of a folder by their paths below it.

    Raises
    ------
    TypeError
        If it is no folder, or holds what cannot be stored: a link to a folder or to nothing, a pipe.
    """
    if not isinstance(value, Path):
        raise mismatch("the path of a folder", value, _FolderKind)
    if not value.is_dir():
        raise TypeError(f"expected the path of a folder, but {value} is none")
    found = {}
    for path in sorted(value.rglob("*")):
        name = path.relative_to(value).as_posix()
        if path.is_file():
            found[name] = path
        elif path.is_symlink() or not path.is_dir():
            raise TypeError(f"'{name}' in the folder is neither a file nor a folder of its own")
    return found
