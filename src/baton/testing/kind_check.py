"""Test a kind: the same value must always give the same bytes, and code inside must be named."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pickle
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

from baton.core.artifact import Kind
from baton.core.task import as_kind
from baton.store.first_difference import first_difference

_APART_S = 2.1
"""The coarsest timestamps, those of zip archives, have a resolution of two seconds."""


def check_kind(kind: Any, value: Any, python: str | Path | Sequence[str | Path] = ()) -> None:
    """Check with one value of a kind what digests rely on.

    The value is written in two fresh processes with different hash seeds, and in one of them again two
    seconds later; the result is read and written again.  If it contains a pickle, `Kind.code` must return
    the code that the pickle refers to.

    Parameters
    ----------
    kind : type
        A kind at the top level of a module, or an annotation with it: ``Table``, ``Annotated[Any, MyKind]``.
    value : Any
        A value of the kind that can be pickled, to pass it to the other processes.
    python : str, Path or a sequence of these, optional
        Other interpreters, which have baton and the kind's library, such as
        ``".venv-3.13/bin/python"``.  Each must write the same bytes, and read what every other wrote.

    Raises
    ------
    AssertionError
        With one sentence per problem.
    """
    chosen = as_kind(kind)
    if chosen is None:
        raise AssertionError(f"{kind!r} is not a kind: use a subclass of baton.Kind, or Annotated with one")
    others = [python] if isinstance(python, str | Path) else list(python)
    findings = list(_findings(chosen, value, list(map(str, others))))
    if findings:
        raise AssertionError("\n".join(f"kind '{chosen.name}': {finding}" for finding in findings))


@dataclass(frozen=True)
class _Trial:
    """A value that an interpreter wrote, read and wrote again.

    Parameters
    ----------
    python : str
        The interpreter.
    folder : Path
        What it wrote.
    answer : mapping
        As `baton.testing.kind_process` gives it.
    """

    python: str
    folder: Path
    answer: Mapping[str, Any]

    @property
    def label(self) -> str:
        """What findings call the interpreter."""
        return f"Python {self.answer['python']} ({self.python})"


def _findings(kind: type[Kind], value: Any, others: Sequence[str]) -> Iterator[str]:
    try:
        given = base64.b64encode(pickle.dumps(value)).decode()
    except Exception as error:  # the value's code may raise anything
        yield f"the value cannot be passed to another process: {type(error).__name__}: {error}"
        return
    if "<locals>" in kind.__qualname__:
        yield f"{kind.__qualname__} is defined inside a function, where other processes cannot find it"
        return
    with tempfile.TemporaryDirectory() as folder:
        here, later, *elsewhere = (Path(folder, str(number)) for number in range(2 + len(others)))
        processes = [
            _start(sys.executable, here, kind, {"value": given}, hash_seed="1"),
            _start(sys.executable, later, kind, {"value": given, "wait_s": _APART_S}, hash_seed="2"),
            *(
                _start(python, place, kind, {"value": given}, hash_seed="1")
                for python, place in zip(others, elsewhere, strict=True)
            ),
        ]
        first, second, *more = map(_end, processes)
        for answer in (first, second):
            if "error" in answer:
                yield answer["error"]
                return
        if second["later"] != second["digest"]:
            where = first_difference(kind, later / "one", later / "later")
            yield f"the same value gives different bytes two seconds later: {where}"
        elif second["digest"] != first["digest"]:
            where = first_difference(kind, here / "one", later / "one")
            yield f"the same value gives different bytes with another PYTHONHASHSEED: {where}"
        if first["again"] != first["digest"]:
            where = first_difference(kind, here / "one", here / "again")
            yield f"a value that was read gives different bytes when written: {where}"
        yield from _unnamed(first["pickled"], first["parts"])
        trials = [_Trial(sys.executable, here, first)]
        for python, place, answer in zip(others, elsewhere, more, strict=True):
            if "error" in answer:
                yield f"{python} cannot write the value: {answer['error']}"
            else:
                trials.append(_Trial(python, place, answer))
        yield from _between(kind, trials)


def _between(kind: type[Kind], trials: Sequence[_Trial]) -> Iterator[str]:
    """Yield how interpreters differ: what they write, and what they read of what another wrote.

    One that writes the same bytes as another has read them already.
    """
    first, *others = trials
    for other in others:
        if other.answer["digest"] != first.answer["digest"]:
            where = first_difference(kind, first.folder / "one", other.folder / "one")
            yield f"the same value gives different bytes in {first.label} and in {other.label}: {where}"
        elif other.answer["again"] != other.answer["digest"]:
            where = first_difference(kind, other.folder / "one", other.folder / "again")
            yield f"a value that {other.label} read gives different bytes when written: {where}"
    for number, (writer, reader) in enumerate(permutations(trials, 2)):
        if writer.answer["digest"] == reader.answer["digest"]:
            continue
        place = reader.folder / f"read-{number}"
        asked = {"written": writer.answer["artifact"], "store": str(writer.folder / "store")}
        answer = _end(_start(reader.python, place, kind, asked, hash_seed="1"))
        if "error" in answer:
            yield f"{reader.label} cannot read what {writer.label} wrote: {answer['error']}"
        elif answer["again"] not in (reader.answer["digest"], writer.answer["digest"]):
            where = first_difference(kind, reader.folder / "one", place / "again")
            yield f"{reader.label} reads another value than {writer.label} wrote: {where}"


def _unnamed(pickled: Iterable[str], parts: Iterable[str]) -> Iterator[str]:
    """Yield your own code that a pickle refers to and `Kind.code` does not return."""
    missing = sorted(set(pickled) - set(parts))
    if missing:
        yield (
            f"its bytes refer to {', '.join(missing)}, but code() does not return it: "
            "tasks with this value would not rerun when that code changes"
        )


def _start(
    python: str, folder: Path, kind: type[Kind], asked: Mapping[str, Any], *, hash_seed: str
) -> subprocess.Popen[bytes] | str:
    """Start a process that answers what is asked; return why if it does not start."""
    folder.mkdir()
    try:
        process = subprocess.Popen(
            [python, "-m", "baton.testing.kind_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        )
    except OSError as error:
        return error.strerror or str(error)
    request = {
        "path": _search_path(kind, is_other=python != sys.executable),
        "module": kind.__module__,
        "kind": kind.__qualname__,
        "folder": str(folder),
        **asked,
    }
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it ended before it read; its error output says why
        process.stdin.write(json.dumps(request).encode())
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    process.stdin = None
    return process


def _search_path(kind: type[Kind], *, is_other: bool) -> list[str]:
    """Return the folders where the process looks for modules, for another interpreter before its own."""
    file = Path(getattr(sys.modules[kind.__module__], "__file__", None) or "")
    root = file.absolute().parents[kind.__module__.count(".")]  # pytest may not have added it to the path
    places = [*(Path(place).absolute() for place in sys.path), root]
    if is_other:
        names = ("stdlib", "platstdlib", "purelib", "platlib")
        installed = [Path(sysconfig.get_path(name)) for name in names]
        installed.append(Path(__file__).parents[2])  # it has its own baton
        places = [
            one for one in places if one.is_dir() and not any(one == i or i in one.parents for i in installed)
        ]
    return list(map(str, places))


def _end(process: subprocess.Popen[bytes] | str) -> Mapping[str, Any]:
    if isinstance(process, str):
        return {"error": process}
    out, err = process.communicate()
    if process.returncode != 0:
        return {"error": err.decode(errors="replace").strip().rpartition("\n")[2]}
    answer: Mapping[str, Any] = json.loads(out)
    return answer
