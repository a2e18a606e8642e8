"""A fresh process for `baton.testing.check_kind`: writes a value, reads it, and writes it again."""

from __future__ import annotations

import base64
import functools
import importlib
import json
import os
import pickle
import platform
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from baton.codetrace.modules import is_installed, locate
from baton.core.artifact import Artifact, Kind
from baton.store.held_code import parts_inside
from baton.store.store import Store


def main() -> None:
    """Answer one request from standard input on standard output."""
    asked = json.loads(sys.stdin.buffer.read())
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # keep the kind's output out of the answer
    sys.path[:] = [*asked["path"], *(place for place in sys.path if place not in asked["path"])]
    try:
        answer = _try(asked)
    except Exception as error:  # the kind's own code
        answer = {"error": f"{type(error).__name__}: {error}"}
    answers.write(json.dumps(answer))
    answers.close()


def _try(asked: dict[str, Any]) -> dict[str, Any]:
    module = importlib.import_module(asked["module"])
    kind: type[Kind] = functools.reduce(getattr, asked["kind"].split("."), module)  # type: ignore[assignment]
    folder = Path(asked["folder"])
    store = Store(asked.get("store") or str(folder / "store"), folder / "home")

    def write(name: str, value: Any) -> Artifact:
        made = store.save("value", kind, value)
        shutil.copyfile(store.objects.path_of(made.digest), folder / name)
        return made

    if "written" in asked:
        return {"again": write("again", store.load(Artifact.from_dict(asked["written"]), kind)).digest}
    value = pickle.loads(base64.b64decode(asked["value"]))  # noqa: S301 - the test's own value
    one = write("one", value)
    time.sleep(asked.get("wait_s", 0))
    later = write("later", value)
    named: set[str] = set()
    sys.addaudithook(
        lambda event, given: named.add(":".join(given)) if event == "pickle.find_class" else None
    )
    back = store.load(one, kind)
    pickled = sorted(name for name in named if _is_own(name.partition(":")[0]))
    again = write("again", back)
    return {
        "python": platform.python_version(),
        "artifact": one.as_dict(),
        "digest": one.digest,
        "later": later.digest,
        "again": again.digest,
        "pickled": pickled,
        "parts": sorted(parts_inside(kind, back, store.code)) if pickled else [],
    }


def _is_own(module: str) -> bool:
    """Whether a module belongs neither to Python nor to an installed package."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top == "baton":
        return False
    place = locate(top)
    return place is not None and not is_installed(place)


if __name__ == "__main__":
    main()
