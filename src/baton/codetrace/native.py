"""Observe calls of libraries that open files in native code, which Python's audit events miss.

Arguments that are files, folders, patterns or addresses of services are recorded.  Functions stay
wrapped, because modules may have imported them by name.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

_CALLS: dict[str, tuple[str, ...]] = {
    "catboost": ("CatBoost.load_model", "Pool.__init__"),
    "cv2": ("imread",),
    "duckdb": (
        "DuckDBPyConnection.execute",
        "DuckDBPyConnection.query",
        "DuckDBPyConnection.read_csv",
        "DuckDBPyConnection.read_json",
        "DuckDBPyConnection.read_parquet",
        "DuckDBPyConnection.sql",
        "connect",
        "execute",
        "from_csv_auto",
        "from_parquet",
        "query",
        "read_csv",
        "read_json",
        "read_parquet",
        "sql",
    ),
    "h5py": ("File.__init__",),
    "lightgbm": ("Booster.__init__", "Dataset.__init__"),
    "onnxruntime": ("InferenceSession.__init__",),
    "psycopg": ("connect",),
    "psycopg2": ("connect",),
    "pyarrow": ("OSFile.__init__", "input_stream", "memory_map"),
    "pyarrow.fs": ("LocalFileSystem.open_input_file", "LocalFileSystem.open_input_stream"),
    "pyarrow.csv": ("open_csv", "read_csv"),
    "pyarrow.dataset": ("dataset", "parquet_dataset"),
    "pyarrow.feather": ("read_feather", "read_table"),
    "pyarrow.json": ("read_json",),
    "pyarrow.orc": ("ORCFile.__init__", "read_table"),
    "pyarrow.parquet": (
        "ParquetDataset.__init__",
        "ParquetFile.__init__",
        "read_metadata",
        "read_pandas",
        "read_schema",
        "read_table",
    ),
    "pyodbc": ("connect",),
    "pyogrio": ("read_dataframe",),
    "rasterio": ("open",),
    "safetensors": ("safe_open",),
    "soundfile": ("read",),
    "xgboost": ("Booster.__init__", "Booster.load_model", "DMatrix.__init__", "XGBModel.load_model"),
}
_PREFIXES = {"polars": ("read_", "scan_", "sql")}
_SERVICES = frozenset({"psycopg", "psycopg2", "pyodbc"})
_QUOTED = re.compile(r"'([^'\n]+)'|\"([^\"\n]+)\"")
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")

MODULES = frozenset({*_CALLS, *_PREFIXES})
"""The modules whose calls are observed."""


@dataclass
class Hooks:
    """Callbacks for files and services."""

    read: Callable[[str], None] = lambda _path: None
    connected: Callable[[str], None] = lambda _what: None


hooks = Hooks()


def wrap(module: ModuleType) -> None:
    """Wrap the functions of one library to observe their calls."""
    name = module.__name__
    for path in _CALLS.get(name, ()):
        holder: Any = module
        *outer, attribute = path.split(".")
        for part in outer:
            holder = getattr(holder, part, None)
        if holder is not None and not _replace(holder, attribute, name):
            _replace_class(module, outer[0], attribute, name)
    for attribute in list(vars(module)):
        if attribute.startswith(_PREFIXES.get(name, ("\0",))):
            _replace(module, attribute, name)


def _replace(holder: Any, attribute: str, library: str) -> bool:
    """Replace a function by an observed one; return whether the holder allows it."""
    original = getattr(holder, attribute, None)
    if not callable(original) or isinstance(original, type) or hasattr(original, "_baton_watches"):
        return True
    try:
        setattr(holder, attribute, _observed(original, library))
    except (AttributeError, TypeError):
        return False
    return True


def _observed(original: Callable[..., Any], library: str) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(*arguments: Any, **words: Any) -> Any:
        for value in (*arguments, *words.values()):
            _note(value, library)
        return original(*arguments, **words)

    call._baton_watches = True  # type: ignore[attr-defined]  # wrapped once
    return call


def _replace_class(module: ModuleType, name: str, attribute: str, library: str) -> None:
    """Replace a class in C, which takes no attributes, by a subclass with an observed method."""
    original = getattr(module, name)
    methods = {attribute: _observed(getattr(original, attribute), library), "__module__": original.__module__}
    if "_baton_watches" in vars(original):
        setattr(original, attribute, methods[attribute])
        return

    class Same(type(original)):  # type: ignore[misc]  # the library's own metaclass
        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, original)

        def __call__(cls, *arguments: Any, **words: Any) -> Any:
            if attribute != "__init__":
                return super().__call__(*arguments, **words)
            for value in (*arguments, *words.values()):
                _note(value, library)
            return original(*arguments, **words)

    if attribute == "__init__":
        methods.pop("__init__")
    setattr(module, name, Same(name, (original,), {**methods, "_baton_watches": True}))


def _note(value: Any, library: str) -> None:
    if isinstance(value, (list, tuple)) and len(value) < 10_000:
        for item in value:
            if isinstance(item, (str, os.PathLike)):
                _note(item, library)
        return
    if not isinstance(value, (str, bytes, os.PathLike)):
        return
    text = os.fsdecode(value)
    if library in _SERVICES or _ADDRESS.match(text):
        if not text.startswith("file://"):
            hooks.connected(_ADDRESS.match(text).group() if _ADDRESS.match(text) else "a database")  # type: ignore[union-attr]
            return
        text = text.removeprefix("file://")
    if library in ("duckdb", "polars") and (" " in text or "\n" in text) and _QUOTED.search(text):
        for quoted in _QUOTED.findall(text):
            _note(quoted[0] or quoted[1], library="")
        return
    if (
        "\0" not in text
        and "\n" not in text
        and 0 < len(text) < 4096
        and (os.sep in text or "." in text or os.path.exists(text))
    ):
        hooks.read(text)
