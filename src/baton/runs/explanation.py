"""Why a run would or would not run a task, and what its cache key consists of; nothing is written."""

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
from baton.runs.planning import forecast
from baton.runs.project import Project
from baton.runs.records import last_tasks
from baton.store.differences import described, place_of
from baton.store.index import Entry
from baton.store.shown import without_secrets_in


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last outcome of a task in this project.

    Parameters
    ----------
    run_id, outcome, reason : str
        From the run's record.
    """

    run_id: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a run would or would not run a task, and everything in its cache key.

    Parameters
    ----------
    task : str
        Name of the task.
    would_run, would_skip : bool
        As in `baton.runs.planning.PlannedTask`.
    reason : str
        Why, in one line.
    causes : tuple of Cause
        Why it would run, most important first, with the changes of code.  A cause of kind
        ``CORRUPT`` may be present even if the task would not run, because only reading reveals it.
    compared_with : str
        The run that the causes compare with; empty if there is none.
    key : str
        The cache key; empty for an effect that always runs and if inputs are unknown.
    parameters : dict of str to Any
        Values without secrets, by short name.
    inputs : dict of str to str
        Digest by name; empty if not known yet.
    producers : dict of str to str
        The task that makes each input.
    code : dict of str to str
        Digest of each definition that the task can reach, by place.
    packages : dict of str to str
        Version of each relevant package.
    unresolved : tuple of str
        What could not be followed in the code, with the module that therefore counts as a whole.
    observed : dict of str to dict
        Observations when the cached result was computed, by kind: files, folders, variables,
        packages, code not found by reading, missing modules; digests or versions.
    world : str
        The result of the task's ``version=``, without secrets.
    last_run : LastRun or None
        Its outcome when it last ran or was cached in this project.
    computed : LastRun or None
        The same for the run that computed the cached result, if this project has its record.
    """

    task: str
    would_run: bool
    would_skip: bool
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
        If it does not exist, with the nearest name, or the tasks if it is a target of several.
    """
    members = [task.name for task in dag.groups.get(name, ())]
    if members and name not in members:
        raise UsageError(f"'{name}' is a target of several tasks", f"choose one of: {', '.join(members)}")
    return dag.task(name)


def explain(execution: Execution, wanted: AnyTask) -> Explanation:
    """Explain why an execution would run one of its tasks; see `baton.api.explain`."""
    project, store = execution.project, execution.project.store
    needed = project.dag.ancestors([wanted.name])
    order = [one for one in project.dag.order if one.name in needed]
    expected = forecast(execution, order)[wanted.name]
    planned, work = expected.planned, expected.work
    is_known = work is not None and len(expected.inputs) == len(wanted.inputs)
    compares = any(cause.kind.is_difference for cause in planned.causes)
    earlier = store.earlier(wanted, execution.effect_scope) if compares else None
    used = None if planned.would_run or work is None else store.entry_of(wanted, work, execution.effect_scope)
    return Explanation(
        task=wanted.name,
        would_run=planned.would_run,
        would_skip=planned.would_skip,
        reason=planned.reason,
        causes=by_importance(
            [*_with_diffs(project, planned.causes, earlier), *_damages(project, expected.outputs)]
        ),
        compared_with=earlier.run_id if earlier is not None else "",
        key=work.key if work is not None and is_known else "",
        parameters=described(execution.task_run.seen_by(wanted))[0],
        inputs={
            name: expected.inputs[name].digest if name in expected.inputs else "" for name in wanted.inputs
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
    """Return what an entry depends on besides its key, without empty kinds."""
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
    note = "the next task that reads it deletes it, and it is computed again"
    return [
        Cause(CauseKind.CORRUPT, name, note=note)
        for name, artifact in outputs.items()
        if project.store.damaged(artifact)
    ]


def _record_of(project: Project, task: str, run_id: str = "") -> LastRun | None:
    """Return a task's outcome in a run, or in the last run that included it."""
    for run, one in last_tasks(project.home, project.declared.name, task):
        if run_id in ("", run.run_id):
            return LastRun(run.run_id, one.outcome, one.reason)
    return None
