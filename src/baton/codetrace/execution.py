"""Record which of the user's functions ran, at almost no cost.

From Python 3.12 on ``sys.monitoring`` reports the first start of each code object.  On 3.11 the
interpreter counts the first eight starts of a code object before it specialises it; that counter is
compared before and after.  If it is not at its expected place, all loaded code counts as run.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType
from typing import Any

from baton.codetrace.loading import LOADED


@contextmanager
def watching(
    ran: set[CodeType], may_have_run: set[CodeType], is_own: Callable[[str], bool]
) -> Iterator[None]:
    """Collect the user's code objects that start within the context.

    Parameters
    ----------
    ran : set of code
        Receives them; on 3.11 only at the end.
    may_have_run : set of code
        Receives those that may have run: on 3.11, code that had started eight times before.
    is_own : callable
        Whether a file is the user's own code.
    """
    if sys.version_info >= (3, 12):
        with _monitored(ran, is_own):
            yield
        return
    before = _counts(is_own)
    if _can_count and any(count == 0 for count in before.values()):
        _reset_counters(is_own)
        before = _counts(is_own)
    try:
        yield
    finally:
        after = _counts(is_own)
        for code, count in after.items():
            if count != before.get(code, _NEVER):
                ran.add(code)
            elif count == 0:
                may_have_run.add(code)


_watchers: list[tuple[set[CodeType], Callable[[str], bool]]] = []
_lock = threading.Lock()
_tool: int | None = None


@contextmanager
def _monitored(ran: set[CodeType], is_own: Callable[[str], bool]) -> Iterator[None]:
    global _tool
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined]  # from 3.12 on
    with _lock:
        _watchers.append((ran, is_own))
        if _tool is None:
            _tool = next(number for number in (4, 3, 5, 2, 1, 0) if monitoring.get_tool(number) is None)
            monitoring.use_tool_id(_tool, "baton")
            monitoring.register_callback(_tool, monitoring.events.PY_START, _started)
        monitoring.set_events(_tool, monitoring.events.PY_START)
        monitoring.restart_events()
    try:
        yield
    finally:
        with _lock:
            _watchers[:] = [one for one in _watchers if one[0] is not ran]
            if not _watchers:
                monitoring.set_events(_tool, 0)
                monitoring.free_tool_id(_tool)
                _tool = None


def _started(code: CodeType, _offset: int) -> Any:
    for ran, is_own in _watchers:
        if is_own(code.co_filename):
            ran.add(code)
    return sys.monitoring.DISABLE  # type: ignore[attr-defined]  # from 3.12 on


_NEVER = -8
"""The counter of code that never started (QUICKENING_INITIAL_WARMUP_VALUE in pycore_code.h)."""
_OFFSET = 52
"""Offset of the counter in a code object of CPython 3.11 (``co_warmup`` in Include/cpython/code.h)."""


def _counter(code: CodeType) -> int:
    return ctypes.c_short.from_address(id(code) + _OFFSET).value


def _probe() -> bool:
    """Whether the counter is at its expected offset and counts."""
    if sys.implementation.name != "cpython" or sys.version_info[:2] != (3, 11):
        return False
    namespace: dict[str, Any] = {}
    exec("def probe(): pass", namespace)  # noqa: S102  # a function that was never called
    probe = namespace["probe"]
    before = _counter(probe.__code__)
    probe()
    return before == _NEVER and _counter(probe.__code__) == _NEVER + 1


_can_count = _probe()


_codes: dict[int, CodeType] = {}
"""The user's code objects in use, by identity."""
_collected: set[str] = set()


def _counts(is_own: Callable[[str], bool]) -> dict[CodeType, int]:
    """Return the counter of each of the user's loaded code objects; 0 from the eighth start on."""
    if not _codes:
        for function in _own_functions(is_own):
            _collect(function.__code__, _codes)
    for name, loaded in list(LOADED.items()):
        mark = f"{name} {id(loaded.code)}"
        if mark not in _collected:
            _collected.add(mark)
            _collect(loaded.code, _codes)
    return {code: _counter(code) if _can_count else 0 for code in _codes.values()}


def _reset_counters(is_own: Callable[[str], bool]) -> None:
    """Replace the code of functions whose counter is exhausted by a copy, which counts again."""
    functions = list(_own_functions(is_own))
    copies: dict[int, CodeType] = {}
    for function in functions:
        function.__code__ = _copy(function.__code__, copies)
    _codes.clear()
    for function in functions:
        _collect(function.__code__, _codes)


def _copy(code: CodeType, copies: dict[int, CodeType]) -> CodeType:
    """Return a copy of code whose counter, or that of nested code, is exhausted; else the code itself."""
    if id(code) not in copies:
        inner = tuple(_copy(one, copies) if isinstance(one, CodeType) else one for one in code.co_consts)
        is_full = _counter(code) == 0 or any(
            new is not old for new, old in zip(inner, code.co_consts, strict=True)
        )
        copies[id(code)] = code.replace(co_consts=inner) if is_full else code
    return copies[id(code)]


def _own_functions(is_own: Callable[[str], bool]) -> Iterator[FunctionType]:
    for one in gc.get_objects():
        if type(one) is FunctionType and is_own(one.__code__.co_filename):
            yield one


def _collect(code: CodeType, found: dict[int, CodeType]) -> None:
    if id(code) not in found:
        found[id(code)] = code
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                _collect(constant, found)


def names_of(codes: Iterable[CodeType]) -> Iterator[tuple[str, str, int]]:
    """Yield each code object's file, its top-level name in the module, and its first line."""
    for code in codes:
        yield code.co_filename, code.co_qualname.split(".")[0], code.co_firstlineno
