"""What counts as the same work: one versioned rule."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from baton.codetrace.modules import is_installed, locate
from baton.codetrace.packages import version_of
from baton.codetrace.reach import Reach
from baton.codetrace.reader import CodeReader
from baton.core.artifact import Artifact, Kind
from baton.core.task import Task
from baton.store.fingerprint import fingerprint

RULE_VERSION = 2
"""Increase when the rule changes: all earlier keys become misses."""


@dataclass(frozen=True, slots=True)
class Work:
    """Everything that a task's result depends on.

    Parameters
    ----------
    task : str
        Name of the task.
    outputs : dict of str to str
        Name of the kind by output name.
    parameters : dict of str to Any
        The parameters that the task reads.
    inputs : dict of str to str
        Digest by input name.
    reach : Reach
        The code that the task can reach, and the packages that this code imports or that define the
        task's inputs and outputs.
    version : str
        The state of the world according to the task's ``version``; empty if it has none.
    arguments : mapping of str to str or list
        The source of each argument that takes other artifacts than the one of its own name.
    readers : mapping of str to str
        The kind of each argument that reads its artifact in another way, as `Scan` reads a table.
    external : str
        The external input that the task reads, safe to show; `version` is then its state.
    effect : bool
        Whether the task is an effect.  Then `version`, which the effect may change, is not part of the key.
    """

    task: str
    outputs: dict[str, str]
    parameters: dict[str, Any]
    inputs: dict[str, str]
    reach: Reach
    version: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    readers: Mapping[str, str] = field(default_factory=dict)
    external: str = ""
    effect: bool = False

    @property
    def python(self) -> str:
        """Python's version, as far as it matters."""
        return f"{sys.version_info[0]}.{sys.version_info[1]}"

    @property
    def key(self) -> str:
        """The cache key, 64 hexadecimal digits."""
        counted = {
            "rule": RULE_VERSION,
            "python": self.python,
            "task": self.task,
            "outputs": self.outputs,
            "parameters": self.parameters,
            "inputs": self.inputs,
            "code": self.reach.parts,
            "packages": self.reach.packages,
            "version": "" if self.effect else self.version,
        }
        rare = {"arguments": self.arguments, "readers": self.readers}
        return fingerprint(counted | {name: value for name, value in rare.items() if value})


_NO_CODE = Reach({}, {}, ())
"""What an external input depends on: its state alone."""


def describe_work(
    task: Task[..., Any], inputs: Mapping[str, Artifact], parameters: Mapping[str, Any], code: CodeReader
) -> Work:
    """Collect everything that the result of `task` depends on."""
    reach = code.reach(task.function) if task.external is None else _NO_CODE
    kinds = {*task.inputs.values(), *task.outputs.values()}
    packages = {name: version_of(name) for kind in kinds for name in _packages_of(kind)}
    version = ""
    if task.version is not None and not task.effect:
        version = task.version(**{name: parameters[name] for name in task.version_arguments})
    return Work(
        task=task.name,
        outputs={name: kind.name for name, kind in task.outputs.items()},
        parameters=dict(parameters),
        inputs={name: artifact.identity for name, artifact in inputs.items()},
        reach=replace(reach, packages=dict(sorted({**reach.packages, **packages}.items()))),
        version=version,
        arguments=task.bound,
        readers=task.readers,
        effect=task.effect,
    )


def _packages_of(kind: type[Kind]) -> set[str]:
    """Return the packages that define a kind's values, and the installed one that defines the kind."""
    top = kind.__module__.partition(".")[0]
    place = None if top == "baton" else locate(top)
    return {*kind.packages, *([top] if place is not None and is_installed(place) else ())}
