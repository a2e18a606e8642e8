"""Test a kind: the same value must always give the same bytes, and code inside must be named."""

from __future__ import annotations

import base64
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from baton.core.artifact import Kind
from baton.core.task import as_kind
from baton.store.first_difference import first_difference

_APART_S = 2.1
"""The coarsest timestamps, those of zip archives, have a resolution of two seconds."""


def check_kind(kind: Any, value: Any) -> None:
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

    Raises
    ------
    AssertionError
        With one sentence per problem.
    """
    chosen = as_kind(kind)
    if chosen is None:
        raise AssertionError(f"{kind!r} is not a kind: use a subclass of baton.Kind, or Annotated with one")
    findings = list(_findings(chosen, value))
    if findings:
        raise AssertionError("\n".join(f"kind '{chosen.name}': {finding}" for finding in findings))


def _findings(kind: type[Kind], value: Any) -> Iterator[str]:
    try:
        given = base64.b64encode(pickle.dumps(value)).decode()
    except Exception as error:  # the value's code may raise anything
        yield f"the value cannot be passed to another process: {type(error).__name__}: {error}"
        return
    if "<locals>" in kind.__qualname__:
        yield f"{kind.__qualname__} is defined inside a function, where other processes cannot find it"
        return
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder, name) for name in ("first", "second")]
        processes = [
            _start(places[0], kind, given, hash_seed="1"),
            _start(places[1], kind, given, hash_seed="2", wait_s=_APART_S),
        ]
        first, second = map(_end, processes)
        for answer in (first, second):
            if "error" in answer:
                yield answer["error"]
                return
        if second["later"] != second["digest"]:
            where = first_difference(kind, places[1] / "one", places[1] / "later")
            yield f"the same value gives different bytes two seconds later: {where}"
        elif second["digest"] != first["digest"]:
            where = first_difference(kind, places[0] / "one", places[1] / "one")
            yield f"the same value gives different bytes with another PYTHONHASHSEED: {where}"
        if first["again"] != first["digest"]:
            where = first_difference(kind, places[0] / "one", places[0] / "again")
            yield f"a value that was read gives different bytes when written: {where}"
        yield from _unnamed(first["pickled"], first["parts"])


def _unnamed(pickled: Iterable[str], parts: Iterable[str]) -> Iterator[str]:
    """Yield your own code that a pickle refers to and `Kind.code` does not return."""
    missing = sorted(set(pickled) - set(parts))
    if missing:
        yield (
            f"its bytes refer to {', '.join(missing)}, but code() does not return it: "
            "tasks with this value would not rerun when that code changes"
        )


def _start(
    folder: Path, kind: type[Kind], given: str, *, hash_seed: str, wait_s: float = 0.0
) -> subprocess.Popen[bytes]:
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "baton.testing.kind_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )
    file = Path(getattr(sys.modules[kind.__module__], "__file__", None) or "")
    root = file.absolute().parents[kind.__module__.count(".")]  # pytest may not have added it to the path
    request = {
        "path": [*(str(Path(place).absolute()) for place in sys.path), str(root)],
        "module": kind.__module__,
        "kind": kind.__qualname__,
        "value": given,
        "wait_s": wait_s,
        "folder": str(folder),
    }
    assert process.stdin is not None
    process.stdin.write(json.dumps(request).encode())
    process.stdin.close()
    process.stdin = None
    return process


def _end(process: subprocess.Popen[bytes]) -> Mapping[str, Any]:
    out, err = process.communicate()
    if process.returncode != 0:
        return {"error": err.decode(errors="replace").strip().rpartition("\n")[2]}
    answer: Mapping[str, Any] = json.loads(out)
    return answer
