"""Record which of the user's functions ran, at almost no cost.

From Python 3.12 on ``sys.monitoring`` reports the first start of each code object.  On 3.11 the
interpreter counts the first eight starts of a code object before it specialises it; that counter is
compared before and after.  If it is not at its expected place, all loaded code counts as run.
"""

from __future__ import annotations

import ctypes
import gc
import inspect
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, cached_property
from types import CodeType, FunctionType
from typing import Any

from baton.codetrace.loading import LOADED

Codes = dict[int, CodeType]
"""Pieces of code by identity: those of two modules may be equal."""


@contextmanager
def watching(
    ran: Codes,
    may_have_run: Codes,
    is_own: Callable[[str], bool],
    known: Collection[str] | None = None,
) -> Iterator[None]:
    """Collect the user's code objects that start within the context.

    Parameters
    ----------
    ran : dict of int to code
        Receives them, by identity; on 3.11 only at the end.
    may_have_run : dict of int to code
        Receives those that may have run: on 3.11, code that had started eight times before.
    is_own : callable
        Whether a file's code is the user's own.
    known : collection of str
        Labels ``module:name`` of code that is part of the key anyway.  Without them no exhausted counter
        is reset, as is right within another context like this one.
    """
    if sys.version_info >= (3, 12):
        with _monitored(ran, is_own):
            yield
        return
    before = _counts(is_own)
    if _can_count and known is not None and _is_any_full(before, known):
        _reset_counters(is_own)
        before = _counts(is_own)
    try:
        yield
    finally:
        after = _counts(is_own)
        for key, count in after.items():
            code = _codes[key][0]
            if count != before.get(key, _NEVER):
                ran[key] = code
            elif count == 0 and code.co_name not in _WITHIN:
                may_have_run[key] = code


def _is_any_full(counts: Mapping[int, int], known: Collection[str]) -> bool:
    """Whether a counter that matters is exhausted."""
    full = [_codes[key][0] for key, count in counts.items() if count == 0]
    full = [code for code in full if code.co_name not in _WITHIN]
    modules = {loaded.file: name for name, loaded in LOADED.items()} if full else {}
    return any(
        f"{modules.get(file)}:{name}" not in known and f"{modules.get(file)}:*" not in known
        for file, name, _ in names_of(full)
    )


_watchers: list[tuple[Codes, Callable[[str], bool]]] = []
_lock = threading.Lock()
_tool: int | None = None


@contextmanager
def _monitored(ran: Codes, is_own: Callable[[str], bool]) -> Iterator[None]:
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
            ran[id(code)] = code
    return sys.monitoring.DISABLE  # type: ignore[attr-defined]  # from 3.12 on


_NEVER = -8
"""The counter of code that never started (QUICKENING_INITIAL_WARMUP_VALUE in pycore_code.h)."""
_OFFSET = 52
"""Offset of the counter in a code object of CPython 3.11 (``co_warmup`` in Include/cpython/code.h)."""


def _counter(code: CodeType) -> ctypes.c_short:
    return ctypes.c_short.from_address(id(code) + _OFFSET)


def _probe() -> bool:
    """Whether the counter is at its expected offset and counts."""
    if sys.implementation.name != "cpython" or sys.version_info[:2] != (3, 11):
        return False
    namespace: dict[str, Any] = {}
    exec("def probe(): pass", namespace)  # noqa: S102  # a function that was never called
    probe = namespace["probe"]
    counter = _counter(probe.__code__)
    before = counter.value
    probe()
    return before == _NEVER and counter.value == _NEVER + 1


_can_count = _probe()


_WITHIN = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})
"""Code that runs while the function around it does, and needs no counter of its own."""

_codes: dict[int, tuple[CodeType, ctypes.c_short]] = {}
"""The user's code objects in use, each with its counter, by identity."""
_collected: set[str] = set()


def _counts(is_own: Callable[[str], bool]) -> dict[int, int]:
    """Return the counter of each of the user's loaded code objects; 0 from the eighth start on."""
    if not _codes:
        for function in _own_functions(is_own):
            _collect(function.__code__, _codes)
    for name, loaded in list(LOADED.items()):
        mark = f"{name} {id(loaded.code)}"
        if mark not in _collected:
            _collected.add(mark)
            _collect(loaded.code, _codes)
    return {key: counter.value if _can_count else 0 for key, (_, counter) in _codes.items()}


def _reset_counters(is_own: Callable[[str], bool]) -> None:
    """Replace the code of functions whose counter is exhausted by a copy, which counts again."""
    full = {
        key: code
        for key, (code, counter) in _codes.items()
        if counter.value == 0 and code.co_name not in _WITHIN
    }
    functions = set(_functions_of_modules())
    replaced: dict[int, tuple[CodeType, ctypes.c_short]] = {}
    for function in functions:
        _collect(function.__code__, replaced)
    outer = {id(function.__code__) for function in functions}
    is_whole = any(
        key not in replaced or (key not in outer and sys.getrefcount(code) > _REFERENCES)
        for key, code in full.items()
    )
    if is_whole:
        functions = set(_own_functions(is_own))  # the whole heap: ten times as slow
    copies: dict[int, CodeType] = {}
    for function in functions:
        function.__code__ = _copy(function.__code__, copies)
    for key in list(_codes):
        if is_whole or copies.get(key, _codes[key][0]) is not _codes[key][0]:
            del _codes[key]
    for function in functions:
        _collect(function.__code__, _codes)


_REFERENCES = 7
"""To the code of a function inside another, while no such function exists: from the code around it, from
`_codes`, `replaced`, `full` and its item, and from two names."""


def _functions_of_modules() -> Iterator[FunctionType]:
    """Yield the own functions that own modules and their classes hold by name, decorated or not."""
    files = {loaded.file for loaded in LOADED.values()}
    for name in list(LOADED):
        for value in list(vars(sys.modules.get(name, object)).values()):
            members = list(vars(value).values()) if issubclass(type(value), type) else []
            for one in (value, *members):
                yield from (found for found in _functions_in(one) if found.__code__.co_filename in files)


def _functions_in(value: object) -> Iterator[FunctionType]:
    kind = type(value)
    if kind in (staticmethod, classmethod):
        value = value.__func__  # type: ignore[attr-defined]  # as both have
    for one in (value.fget, value.fset, value.fdel) if type(value) is property else (value,):
        function = one.func if type(one) is cached_property else one
        while type(function) in _WRAPPERS:
            if type(function) is FunctionType:
                yield function
            function = vars(function).get("__wrapped__")


_WRAPPERS = (FunctionType, type(cache(lambda: None)))


def _copy(code: CodeType, copies: dict[int, CodeType]) -> CodeType:
    """Return a copy of code whose counter, or that of nested code, is exhausted; else the code itself."""
    if id(code) not in copies:
        inner = tuple(_copy(one, copies) if isinstance(one, CodeType) else one for one in code.co_consts)
        is_full = _counter(code).value == 0 or any(
            new is not old for new, old in zip(inner, code.co_consts, strict=True)
        )
        copies[id(code)] = code.replace(co_consts=inner) if is_full else code
    return copies[id(code)]


def _own_functions(is_own: Callable[[str], bool]) -> Iterator[FunctionType]:
    for one in [one for one in gc.get_objects() if type(one) is FunctionType]:
        # Looking at the code of each would raise as many audit events.
        file = one.__globals__.get("__file__")
        if isinstance(file, str) and is_own(file) and is_own(one.__code__.co_filename):
            yield one


def _collect(code: CodeType, found: dict[int, tuple[CodeType, ctypes.c_short]]) -> None:
    if id(code) not in found:
        found[id(code)] = code, _counter(code)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                _collect(constant, found)


def names_of(codes: Iterable[CodeType]) -> Iterator[tuple[str, str, int]]:
    """Yield each code object's file, its top-level name in the module, and its first line."""
    for code in codes:
        if not code.co_flags & inspect.CO_NEWLOCALS and code.co_name != "<module>":
            continue  # the body of a class, which runs where the class is defined
        yield code.co_filename, code.co_qualname.split(".")[0], code.co_firstlineno
