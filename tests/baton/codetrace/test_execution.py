"""Which of the user's functions ran, on 3.11 by the counters of their code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from baton.codetrace import execution, loading, observing

SOURCE = """
def outer():
    def inner(x):
        return x
    return [inner(i) for i in range(20)]


def giver():
    def kept(x):
        return x
    return kept
"""

only_counted = pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="Python itself reports what starts from 3.12 on"
)


@pytest.fixture
def module(tmp_path, monkeypatch) -> Iterator[object]:
    """Import a module of the user's."""
    (tmp_path / "nested_code.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    observing.follow_imports("nested_code")
    import nested_code

    yield nested_code
    del sys.modules["nested_code"]
    loading.LOADED.pop("nested_code")


def ran(*calls: Callable[[], object]) -> list[set[str]]:
    """Return what runs in each of several calls, in which nothing was known before."""
    found = []
    for call in calls:
        executed: execution.Codes = {}
        maybe: execution.Codes = {}
        with execution.watching(executed, maybe, lambda file: file.endswith("nested_code.py"), ()):
            call()
        assert not maybe
        found.append({code.co_qualname.rpartition(".")[2] for code in executed.values()} - {"<listcomp>"})
    return found


def test_a_function_inside_another_is_seen_each_time(module):
    assert ran(*[module.outer, list] * 3) == [{"outer", "inner"}, set()] * 3


def test_one_that_is_kept_is_seen_each_time(module):
    kept = module.giver()
    often = lambda: [kept(number) for number in range(20)]  # noqa: E731
    assert ran(*[often, list] * 3) == [{"kept"}, set()] * 3


@only_counted
def test_the_heap_is_searched_only_for_functions_that_are_kept(tmp_path):
    """In a process of its own: what other tests left behind would have to be searched for."""
    (tmp_path / "nested_code.py").write_text(SOURCE)
    (tmp_path / "main.py").write_text(SEARCHES)
    ended = subprocess.run(
        [sys.executable, "main.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout.split() == ["False", "True"]


SEARCHES = """
from baton.codetrace import execution, observing

observing.follow_imports("nested_code")
import nested_code

searched = []
search = execution._own_functions
execution._own_functions = lambda is_own: searched.append(1) or search(is_own)


def run(call):
    with execution.watching({}, {}, lambda file: file.endswith("nested_code.py"), ()):
        call()


run(list)
searched.clear()
for call in [nested_code.outer, list] * 3:
    run(call)
print(bool(searched))
kept = nested_code.giver()
run(lambda: [kept(number) for number in range(20)])
run(list)
print(bool(searched))
"""
