"""The configuration file: JSON in the sections of the settings and of the pipeline's parameters."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from baton.core.files import write_atomically
from baton.errors import SettingsError

DEFAULT_NAME = "orchestration_config.json"
PIPELINES = "pipelines"
"""The section with what is set for one pipeline only, by the pipeline's reference."""
SCHEMA = "$schema"
"""The key that tells an editor where the file's schema is; baton ignores it."""


def read(path: Path, *, required: bool) -> dict[str, Any]:
    """Return the file's sections, or nothing if it is empty or a missing file is not `required`.

    Raises
    ------
    SettingsError
        If it cannot be read, is not JSON, or contains anything but sections.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors write a byte order mark
    except FileNotFoundError:
        if required:
            raise SettingsError(
                [f"configuration file {path} does not exist"], "create one with: baton config set"
            ) from None
        return {}
    except (OSError, ValueError) as error:  # ValueError: not valid text, or not a valid path
        raise SettingsError([f"configuration file {path} cannot be read: {error}"]) from error
    if not text.strip():
        return {}
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError):
            place = f"line {error.lineno}, column {error.colno}: {error.msg}"
        else:
            place = "nested too deep" if isinstance(error, RecursionError) else str(error).partition(":")[0]
        raise SettingsError(
            [f"configuration file {path} is not JSON: {place}"], "fix it, or move it away"
        ) from error
    if not isinstance(content, dict):
        raise SettingsError([f"configuration file {path} must contain an object with sections"])
    return content


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def leaves_of(
    content: Mapping[str, Any], known: frozenset[tuple[str, ...]]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each value with its path; mappings are entered unless their path is a known leaf."""

    def walk(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        if isinstance(value, dict) and path not in known:
            for key, inner in value.items():
                yield from walk(inner, (*path, key))
            return
        yield path, value

    yield from walk(content, ())


def write_value(path: Path, key: tuple[str, ...], value: Any) -> None:
    """Set one value in the file, which is created if missing, and keep everything else.

    Raises
    ------
    SettingsError
        If the file cannot be read or written.
    """
    write_values(path, {key: value})


def write_values(path: Path, values: Mapping[tuple[str, ...], Any], *, alone: bool = False) -> None:
    """Set several values in the file, which is created if missing.

    Parameters
    ----------
    path : Path
        The file.
    values : mapping
        The values by section and key.
    alone : bool
        Whether to drop everything else in the file.

    Raises
    ------
    SettingsError
        If the file cannot be read or written.
    """
    content = {} if alone else read(path, required=False)
    for key, value in values.items():
        place = content
        for name in key[:-1]:
            inner = place.setdefault(name, {})
            if not isinstance(inner, dict):
                raise SettingsError([f"'{name}' in {path} must be a section"])
            place = inner
        place[key[-1]] = value
    _write(path, content)


def remove_value(path: Path, key: tuple[str, ...]) -> None:
    """Remove one value from the file, if present, and keep everything else.

    Raises
    ------
    SettingsError
        If the file cannot be read or written.
    """
    content = read(path, required=False)
    place: Any = content
    for name in key[:-1]:
        place = place.get(name)
        if not isinstance(place, dict):
            return
    if place.pop(key[-1], None) is not None:
        _write(path, content)


def keep_copy(path: Path) -> Path:
    """Copy the file to ``.bak``, with a number if that exists, and return the copy.

    Raises
    ------
    SettingsError
        If the copy cannot be written.
    """
    names = (Path(f"{path}.bak{number if number > 1 else ''}") for number in count(1))
    kept = next(name for name in names if not name.exists())
    try:
        shutil.copy2(path, kept)
    except OSError as error:
        raise SettingsError([f"the copy {kept} cannot be written: {error.strerror}"]) from error
    return kept


def _write(path: Path, content: Mapping[str, Any]) -> None:
    try:
        path = path.resolve()  # keeps symbolic links
        mode = path.stat().st_mode & 0o777 if path.exists() else None  # keep restricted permissions
        write_atomically(path, (json.dumps(content, indent=2) + "\n").encode(), durable=True, mode=mode)
    except OSError as error:
        raise SettingsError([f"configuration file {path} cannot be written: {error.strerror}"]) from error
