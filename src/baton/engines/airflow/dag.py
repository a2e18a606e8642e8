"""Build an Airflow DAG from a declared one.

The file that users copy into Airflow's ``dags`` folder calls `airflow_dag`; parsing it imports nothing that
only tasks need.
"""

from __future__ import annotations

import datetime
import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, Param, TaskGroup

from baton.core.dag import Dag
from baton.core.elements import Elements
from baton.core.task import AnyTask
from baton.engines.airflow.operators import (
    ElementsOperator,
    FinishOperator,
    SeveralOperator,
    StartOperator,
    StepOperator,
    TrackedStepOperator,
    WholeRunOperator,
)
from baton.engines.airflow.parameters import fields_of
from baton.engines.airflow.part import Part, ScheduledPart, refuse_relative
from baton.engines.airflow.sdk import VERSION, CronDataIntervalTimetable, conf
from baton.engines.airflow.sharing import executor_of, refuse_unshared
from baton.engines.airflow.steps import FINISH, START, Granularity, Step, divide
from baton.errors import BatonError, UsageError
from baton.runs.pipeline import load_pipeline
from baton.runs.project import named, open_project

FIRST_DAY = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
"""Default start of a DAG's schedule: before any period to backfill."""

LOST = 1
"""Minimum number of attempts of each step, in case its process or worker is lost."""


@contextmanager
def _hint_in_traceback() -> Iterator[None]:
    """Add the hint to the traceback that Airflow shows for a file that it cannot load."""
    try:
        yield
    except BatonError as error:
        if error.hint:
            error.add_note(f"hint: {error.hint}")
        raise


@_hint_in_traceback()
def airflow_dag(
    project: str | Path,
    *,
    dag_id: str | None = None,
    targets: Sequence[str] = (),
    granularity: Granularity = "task",
    schedule: Any = "@monthly",
    start_date: datetime.datetime = FIRST_DAY,
    options: Mapping[str, Any] | None = None,
    owner: str = "baton",
    tags: Iterable[str] = (),
    on_failure_callback: Callable[..., Any] | None = None,
    **arguments: Any,
) -> DAG:
    """Return the Airflow DAG of a project's pipeline.

    Parameters
    ----------
    project : str or Path
        Absolute path of the project's folder, on every machine that parses the file or runs tasks.
    dag_id : str, optional
        The DAG's id; the pipeline's name unless given.
    targets : sequence of str
        What to run; the pipeline's default target unless given.  Tasks that are first or last are
        always included.
    granularity : "task", "group" or "run"
        What becomes one Airflow task.
    schedule : Any
        As Airflow's ``schedule``; a cron expression sets data intervals between its times.
    start_date : datetime
        Start of the schedule; with ``catchup`` or a backfill, the first possible interval.
    options : mapping of str to Any, optional
        Settings and parameters by name, which override the project's file and the environment.
    owner : str
        Owner of the tasks.
    tags : iterable of str
        Tags in addition to ``baton`` and the pipeline's name.
    on_failure_callback : callable, optional
        Called by Airflow when a run fails.
    arguments : Any
        Further arguments of Airflow's ``DAG``, for example ``catchup`` or ``max_active_runs``.  ``params``
        are added to those of the pipeline, and ``default_args`` to what baton sets for each task.

    Raises
    ------
    UsageError
        If the folder, a target or the granularity does not exist, or if tasks run on several
        machines without a shared store.
    SettingsError
        If a setting or parameter is invalid.
    InvalidPipeline
        If the pipeline's declaration is invalid, or cannot be divided as requested.
    """
    folder = Path(project)
    refuse_relative(folder)
    if not folder.is_dir():
        raise UsageError(
            f"the project's folder {folder} does not exist on this machine", "set it in the DAG's file"
        )
    options = named(options)
    opened = open_project(folder=folder, options=options)
    whole = opened.declared
    positioned = [task.name for task in whole.tasks if task.position is not None]
    wanted = tuple(dict.fromkeys([*whole.targets_or_default(targets), *positioned]))
    chosen = whole.subset(wanted)
    executor = executor_of(conf.get_mandatory_value("core", "executor"), os.environ)
    refuse_unshared(opened, executor, is_tracked=any(task.tracking for task in chosen.tasks))
    steps = divide(chosen, granularity)
    fields = list(fields_of(whole, opened.configuration))
    if isinstance(schedule, str):
        schedule = CronDataIntervalTimetable(schedule, timezone="UTC")
    others = frozenset(arguments.get("params") or ())
    declared = {field.name: Param(field.default, field.description, **field.schema) for field in fields}
    described = {
        "description": whole.description or f"the pipeline {whole.name}",
        "doc_md": _page(whole, chosen, steps),
        "catchup": False,
        "max_active_runs": 1,  # parallel runs only on request: effects of a later run would wait
    }
    built = DAG(
        dag_id or whole.name,
        schedule=schedule,
        start_date=start_date,
        params=_joined("params", declared, arguments.pop("params", None)),
        tags=sorted({"baton", whole.name, *tags}),
        on_failure_callback=on_failure_callback,
        default_args={"owner": owner, **(arguments.pop("default_args", None) or {})},
        **{**described, **arguments},
    )
    part = ScheduledPart(folder, dict(options or {}), wanted, steps, others)
    ends = {task.name for target in whole.targets_or_default(targets) for task in whole.members(target)}
    _add_steps(built, chosen, steps, part, granularity, published=ends)
    return built


def _joined(argument: str, declared: Mapping[str, Any], given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the params that the pipeline declares and those that the DAG's file adds."""
    both = declared.keys() & (given or {}).keys()
    if both:
        raise UsageError(
            f"{argument} has '{min(both)}', which is a parameter of the pipeline",
            "set it in options, or give yours another name",
        )
    return {**declared, **(given or {})}


def local_dag(
    folder: Path,
    pipeline: str,
    targets: Sequence[str],
    elements: Mapping[str, Elements],
    part: Part | None = None,
) -> DAG:
    """Return the DAG of a local run: only the structure, without parameters and schedule.

    Parameters
    ----------
    folder : Path
        The project's folder.
    pipeline : str
        The pipeline as ``module:object``.
    targets : sequence of str
        What to run.
    elements : mapping of str to dict
        The elements of tasks with ``over``.
    part : Part, optional
        How steps find the execution; only given in the process that runs them.
    """
    dag = load_pipeline(pipeline, folder).expanded(elements).subset(targets)
    steps = divide(dag, "task")
    built = DAG(dag.name, schedule=None, start_date=FIRST_DAY)
    _add_steps(built, dag, steps, part or ScheduledPart(folder, {}, tuple(targets), steps), "task")
    return built


def _add_steps(
    built: DAG,
    dag: Dag,
    steps: tuple[Step, ...],
    part: Part,
    granularity: Granularity,
    *,
    published: Iterable[str] = (),
) -> None:
    groups = _task_groups(built, dag) if granularity == "task" else {}
    operators: dict[str, Any] = {}
    for step in steps:
        group = groups.get(dag.task(step.tasks[0]).group) if len(step.tasks) == 1 else None
        tasks = [dag.task(name) for name in step.tasks]
        ends = [task for task in tasks if task.name in published and not _is_needed(dag, task)]
        is_follower = any(step.mapped.get(name) == step.root for name in step.upstream) and bool(step.root)
        arguments = {
            "step": step,
            "part": part,
            "in_order": any(task.effect and task.position is None for task in tasks),
            "dag": built,
            "task_group": group if step.position is None else None,
            "outlets": [asset_of(built.dag_id, task.name) for task in ends],
            # A mapped step looks for itself whether what it needs of its own element is there.
            "trigger_rule": "all_done" if step.position == "last" or is_follower else "all_success",
            "doc_md": _step_page(step, tasks),
            **_conditions(tasks),
        }
        kind = _operator_of(step, tasks, granularity)
        if step.root:
            names = operators[step.finders[step.root]].output
            mapping = kind.partial(task_id=step.name, map_index_template="{{ task.element }}", **arguments)
            operators[step.name] = mapping.expand(element=names)
        else:
            operators[step.name] = kind(**arguments)
        for name in step.upstream:
            operators[name] >> operators[step.name]


def asset_of(dag_id: str, task: str) -> Asset:
    """Return the asset that is updated when a task at the end of a DAG's pipeline succeeds."""
    return Asset(name=f"{dag_id}/{task}", uri=f"baton://{dag_id}/{task}")


def _is_needed(dag: Dag, task: AnyTask) -> bool:
    return any(task in dag.upstream_of(other) for other in dag.tasks)


def _operator_of(step: Step, tasks: Sequence[AnyTask], granularity: Granularity) -> type[StepOperator]:
    if step.name in (START, FINISH) and not tasks:
        return StartOperator if step.name == START else FinishOperator
    if granularity == "run":
        return WholeRunOperator
    if step.finds:
        return ElementsOperator
    if len(tasks) > 1 or (tasks[0].over is not None and not step.root):
        return SeveralOperator
    return TrackedStepOperator if tasks[0].tracking else StepOperator


def _conditions(tasks: Sequence[AnyTask]) -> dict[str, Any]:
    """Return the declared retries, timeout and pool as arguments for Airflow."""
    pools = sorted({task.pool for task in tasks if task.pool})
    conditions: dict[str, Any] = {"pool": pools[0]} if pools else {}
    if len(tasks) != 1:
        # The tasks retry inside; Airflow retries only if the process was lost.
        again = datetime.timedelta(seconds=max((task.retry.delay_s for task in tasks), default=5.0))
        retries = max((task.retry.retries for task in tasks), default=0)
        return {"retries": max(retries, LOST), "retry_delay": again, **conditions}
    (task,) = tasks
    conditions |= {
        "retries": max(task.retry.retries, LOST),
        "retry_delay": datetime.timedelta(seconds=task.retry.delay_s),
    }
    if task.retry.backoff != 1:
        # Before 3.2 it says only whether the delay doubles.
        conditions["retry_exponential_backoff"] = task.retry.backoff if VERSION >= (3, 2) else True
    if task.timeout_s is not None:
        conditions["execution_timeout"] = datetime.timedelta(seconds=task.timeout_s)
    return conditions


def _task_groups(built: DAG, dag: Dag) -> dict[str, TaskGroup]:
    """Return a task group for each group of several tasks; task ids stay unchanged."""
    taken = {task.name for task in dag.tasks}
    found: dict[str, TaskGroup] = {}
    for name, members in dag.groups.items():
        if sum(task.position is None for task in members) < 2:
            continue
        group_id = name
        while group_id in taken:
            group_id += "_group"
        found[name] = TaskGroup(
            group_id, group_display_name=name, prefix_group_id=False, dag=built, parent_group=built.task_group
        )
        taken.add(group_id)
    return found


def _page(whole: Dag, chosen: Dag, steps: Sequence[Step]) -> str:
    """Return the description of the DAG in Airflow."""
    by_interval = (
        f"Without {' and '.join(whole.period.parameters)} a run uses those in which its data interval "
        "begins.\n\n"
        if whole.period
        else ""
    )
    rows = "\n".join(f"| `{task.name}` | {task.group} | {task.description} |" for task in chosen.order)
    return (
        f"{whole.description or whole.name}\n\n{by_interval}"
        f"{len(steps)} Airflow tasks for {len(chosen.tasks)} tasks of the pipeline; they pass only "
        "references into the store.\n\n"
        f"| task | group | what it does |\n|---|---|---|\n{rows}\n"
    )


def _step_page(step: Step, tasks: Sequence[AnyTask]) -> str:
    if step.finds:
        return f"Finds the elements of `{step.finds}`, which are known when the run begins."
    if not tasks:
        return {
            START: "Creates the tracking run for tasks that record in parallel.",
            FINISH: "Closes the tracking run, writes the summary, and fails if a task failed.",
        }[step.name]
    return "\n\n".join(_task_page(task) for task in tasks)


def _task_page(task: AnyTask) -> str:
    lists = {
        "takes": task.inputs,
        "gives": task.outputs,
        "reads the parameters": task.parameters,
    }
    listed = "".join(
        f"- {what} {', '.join(f'`{name}`' for name in names)}\n" for what, names in lists.items() if names
    )
    text = inspect.getdoc(task.function) or ""
    return f"**{task.name}** ({task.reference}): {text}\n\n{listed}".rstrip()
