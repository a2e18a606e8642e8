"""The keys of other pipelines, asked in a process of its own: importing them must not change this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from baton.core.parameters import leaves
from baton.errors import BatonError
from baton.processes.lifecycle import keep_stdout
from baton.runs.pipeline import load_pipeline

_WITHIN_S = 60


def keys_of(references: Iterable[str], project: Path) -> frozenset[str]:
    """Return the dotted keys of the parameters of some pipelines; those that cannot be loaded have none."""
    words = [sys.executable, "-m", __name__, str(project), *references]
    try:
        ended = subprocess.run(
            words,
            check=False,
            cwd=project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_WITHIN_S,
        )
        return frozenset(json.loads(ended.stdout))
    except (OSError, subprocess.SubprocessError, ValueError):
        return frozenset()


def main() -> None:
    """Write the keys as JSON; what the modules print when they are imported goes elsewhere."""
    answers = keep_stdout()
    keys: list[str] = []
    for reference in sys.argv[2:]:
        try:
            keys += [leaf.key for leaf in leaves(load_pipeline(reference, Path(sys.argv[1])).parameters)]
        except BatonError:
            continue
    os.write(answers, json.dumps(keys).encode())


if __name__ == "__main__":
    main()
