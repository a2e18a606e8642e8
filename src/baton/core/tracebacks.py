"""Exceptions of the user's code as its author wants to read them: their own lines, and none of baton's."""

from __future__ import annotations

import contextlib
import os
import sysconfig
import traceback
from functools import cache
from pathlib import Path

from baton.core.addresses import without_secrets_in_addresses

_BATON = str(Path(__file__).parents[1]) + os.sep
_PIPELINES = str(Path(__file__).parents[1] / "testing") + os.sep
"""baton's pipelines for tests stand for a user's."""


def summary_of(error: BaseException) -> str:
    """Return the type and text of an exception, without secrets in addresses."""
    name = type(error).__name__
    text = (str(error.msg) if isinstance(error, SyntaxError) else text_of(error)).strip()
    return without_secrets_in_addresses(f"{name}: {text}" if text else name)


def text_of(error: BaseException) -> str:
    """Return the text of an exception, or an empty text if its ``__str__`` is broken."""
    try:
        return str(error)
    except Exception:
        return ""


def place_of(error: BaseException) -> str:
    """Return where in the user's code an exception comes from, as ``FILE:LINE``; empty if nowhere.

    That is the last line that ran outside baton, Python and the installed packages.
    """
    if isinstance(error, SyntaxError) and error.filename and _is_own(error.filename):
        return shown_place(error.filename, error.lineno or 1)
    ran = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    shown = [ran[index] for index in _shown([file for file, _ in ran])]
    # A pipeline may itself be an installed package: then the task's own line.
    found = [one for one in shown if _is_own(one[0])][-1:] or shown[:1]
    return shown_place(*found[0]) if found else ""


def shown_place(file: str, line: int) -> str:
    """Return a line's place for people: the path is relative if it is below the current folder."""
    with contextlib.suppress(ValueError, OSError):  # elsewhere, or the current folder is gone
        file = str(Path(file).relative_to(Path.cwd()))
    return f"{file}:{line}"


def formatted(error: BaseException) -> str:
    """Return the traceback of an exception without baton's frames, also in what caused it.

    If nothing else is left, baton itself is wrong, and its frames stay.
    """
    trace = traceback.TracebackException.from_exception(error, compact=True)
    if _shown([frame.filename for frame in trace.stack]):
        _hide_baton(trace)
    return without_secrets_in_addresses("".join(trace.format()))


def _hide_baton(trace: traceback.TracebackException) -> None:
    """Remove baton's frames from a traceback, its causes and the members of its group, in place."""
    waiting, seen = [trace], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        frames = list(one.stack or ())
        kept = [frames[index] for index in _shown([frame.filename for frame in frames])]
        stack = traceback.StackSummary.from_list(kept) if kept else None
        one.stack = stack  # type: ignore[assignment]  # None leaves out its heading too
        waiting += [inner for inner in (one.__cause__, one.__context__, *(one.exceptions or ())) if inner]


def _shown(files: list[str]) -> list[int]:
    """Return the positions of the frames to show: from the first that is neither baton's nor Python's."""
    starts = (index for index, file in enumerate(files) if not _is_baton(file) and not _is_python(file))
    start = next(starts, len(files))
    return [index for index in range(start, len(files)) if not _is_baton(files[index])]


def _is_own(file: str) -> bool:
    return not file.startswith(("<", *_packages())) and not _is_python(file) and not _is_baton(file)


def _is_baton(file: str) -> bool:
    return file.startswith("<frozen ") or (file.startswith(_BATON) and not file.startswith(_PIPELINES))


def _is_python(file: str) -> bool:
    return file.startswith(_folders("stdlib", "platstdlib")) and not file.startswith(_packages())


def _packages() -> tuple[str, ...]:
    return _folders("purelib", "platlib")


@cache
def _folders(*names: str) -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple(paths[name] + os.sep for name in names)
