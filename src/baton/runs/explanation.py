"""Why a run would run a task, or need not, and what its cache key is made of; nothing is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from baton.core.artifact import Artifact
from baton.core.dag import Dag
from baton.core.reasons import Cause, CauseKind, by_importance
from baton.core.task import AnyTask
from baton.errors import UsageError
from baton.runs.execution import Execution
from baton.runs.planning import foresee
from baton.runs.project import Project
from baton.runs.records import last_tasks
from baton.store.differences import described, place_of
from baton.store.index import Entry
from baton.store.shown import without_secrets_in


@dataclass(frozen=True, slots=True)
class LastRun:
    """What became of a task in a run of this project.

    Parameters
    ----------
    run_id, outcome, reason : str
        As the run's record has them.
    """

    run_id: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a run would run a task, or need not, and everything that its cache key is made of.

    Parameters
    ----------
    task : str
        Name of the task.
    would_run : bool
        False where a remembered result would be used.
    reason : str
        Why, in one line.
    causes : tuple of Cause
        Why it would run, the most important first, with the changes of code.  One of kind
        ``CORRUPT`` may stand here although the task would not run: only reading tells.
    compared_with : str
        The run whose work the causes compare with; empty where there is none.
    key : str
        The cache key; empty for an effect that is repeated in every run and where inputs are not known.
    parameters : dict of str to Any
        Values without secrets, by bare name.
    inputs : dict of str to str
        Digest by name; empty where it is not known before.
    producers : dict of str to str
        The task that makes each input.
    code : dict of str to str
        Digest of each definition that the task can reach, by place.
    packages : dict of str to str
        Version of each package that counts.
    unresolved : tuple of str
        What could not be followed in the code, with the module that counts whole because of it.
    observed : dict of str to dict
        What was seen when the remembered result was computed, by kind: files, folders, variables,
        packages, code that reading did not find, modules that were not there; digests or versions.
    world : str
        What the task's ``version=`` says, without secrets.
    last_run : LastRun or None
        What became of it when it last ran or was cached in this project.
    computed : LastRun or None
        The same of the run that computed what would be used, where this project has its record.
    """

    task: str
    would_run: bool
    reason: str
    causes: tuple[Cause, ...]
    compared_with: str
    key: str
    parameters: dict[str, Any]
    inputs: dict[str, str]
    producers: dict[str, str]
    code: dict[str, str]
    packages: dict[str, str]
    unresolved: tuple[str, ...]
    observed: dict[str, dict[str, str]]
    world: str
    last_run: LastRun | None
    computed: LastRun | None


def find_task(dag: Dag, name: str) -> AnyTask:
    """Return the task called `name`.

    Raises
    ------
    UsageError
        If there is none, with the nearest name, or the tasks where it is a target of several.
    """
    members = [task.name for task in dag.groups.get(name, ())]
    if members and name not in members:
        raise UsageError(f"'{name}' is a target of several tasks", f"name one of them: {', '.join(members)}")
    return dag.task(name)


def explain(execution: Execution, wanted: AnyTask) -> Explanation:
    """Say why an execution would run a task that is part of it; see `baton.api.explain`."""
    project, store = execution.project, execution.project.store
    needed = project.dag.ancestors([wanted.name])
    order = [one for one in project.dag.order if one.name in needed]
    foreseen = foresee(execution, order)[wanted.name]
    planned, work = foreseen.planned, foreseen.work
    is_known = work is not None and len(foreseen.inputs) == len(wanted.inputs)
    compares = any(cause.kind.is_difference for cause in planned.causes)
    earlier = store.earlier(wanted, execution.effect_scope) if compares else None
    used = None if planned.would_run or work is None else store.entry_of(wanted, work, execution.effect_scope)
    return Explanation(
        task=wanted.name,
        would_run=planned.would_run,
        reason=planned.reason,
        causes=by_importance(
            [*_with_diffs(project, planned.causes, earlier), *_damages(project, foreseen.outputs)]
        ),
        compared_with=earlier.run_id if earlier is not None else "",
        key=work.key if work is not None and is_known else "",
        parameters=described(execution.task_run.seen_by(wanted))[0],
        inputs={
            name: foreseen.inputs[name].digest if name in foreseen.inputs else "" for name in wanted.inputs
        },
        producers={name: project.dag.producers[name].name for name in wanted.inputs},
        code={place_of(part): digest for part, digest in work.reach.parts.items()} if work else {},
        packages=dict(work.reach.packages) if work else {},
        unresolved=work.reach.unresolved if work else (),
        observed=_observed(used or earlier),
        world=without_secrets_in(work.version) if work else "",
        last_run=_record_of(project, wanted.name),
        computed=_record_of(project, wanted.name, used.run_id) if used is not None else None,
    )


def _with_diffs(project: Project, causes: Iterable[Cause], earlier: Entry | None) -> Iterator[Cause]:
    for cause in causes:
        if cause.kind is CauseKind.CODE and earlier is not None:
            yield replace(cause, diff=project.store.texts.diff(cause, earlier.sources))
        else:
            yield cause


def _observed(entry: Entry | None) -> dict[str, dict[str, str]]:
    """Return what an entry rests on besides its key, kinds of which nothing was seen left out."""
    if entry is None:
        return {}
    seen = entry.observed
    found = {
        "code": {place_of(label): digest for label, digest in seen.code.items()},
        "files": seen.files,
        "folders": seen.folders,
        "environment variables": seen.variables,
        "packages": seen.packages,
        "modules": dict.fromkeys(seen.missing_modules, "absent"),
    }
    return {kind: facts for kind, facts in found.items() if facts}


def _damages(project: Project, outputs: Mapping[str, Artifact]) -> list[Cause]:
    note = "the task that reads it removes it, and it is computed anew"
    return [
        Cause(CauseKind.CORRUPT, name, note=note)
        for name, artifact in outputs.items()
        if project.store.damaged(artifact)
    ]


def _record_of(project: Project, task: str, run_id: str = "") -> LastRun | None:
    """Return what became of a task in a run, or in the last one that knew it."""
    for run, one in last_tasks(project.home, project.dag.name, task):
        if run_id in ("", run.run_id):
            return LastRun(run.run_id, one.outcome, one.reason)
    return None
