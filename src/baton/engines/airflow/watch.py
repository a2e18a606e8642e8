"""Watch a run of Airflow's scheduler from outside, with our own events and outcomes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from baton.core.events import Reporter, RunFinished, RunStarted, TaskFinished, ignore_events
from baton.core.outcome import Failure, Outcome, RunReport, TaskReport
from baton.engines.airflow.rest import AirflowApi
from baton.engines.airflow.steps import FINISH, START
from baton.engines.protocol import decode_report

_POLLED_EVERY_S = 0.5
_ENDED = {
    "success": Outcome.SUCCEEDED,
    "failed": Outcome.FAILED,
    "skipped": Outcome.SKIPPED,
    "upstream_failed": Outcome.UPSTREAM_FAILED,
    "removed": Outcome.SKIPPED,
}


def watch(api: AirflowApi, dag_id: str, run: str, report: Reporter = ignore_events) -> RunReport:
    """Report each task when it ends, until the run ends.

    Parameters
    ----------
    api : AirflowApi
        The server.
    dag_id, run : str
        The DAG and its run.
    report : callable
        Receives events.

    Returns
    -------
    RunReport
        With the reports that the steps passed on, or from Airflow's states if there are none.
    """
    began = time.perf_counter()
    names = tuple(dict.fromkeys(task["task_id"] for task in api.tasks(dag_id, run)))
    report(RunStarted(run, dag_id, "airflow", (dag_id,), names))
    reports_by_step: dict[tuple[str, int], tuple[TaskReport, ...]] = {}
    tracking_run_id = ""
    while True:
        state = api.state(dag_id, run)  # before the tasks, so that no end is missed
        for task in api.tasks(dag_id, run):
            name, number = task["task_id"], task["map_index"]
            if task["state"] not in _ENDED or (name, number) in reports_by_step:
                continue
            content = api.message(dag_id, run, name, number) or {}
            if isinstance(content, list):  # elements that were found
                continue
            tracking_run_id = content.get("tracking_run_id") or tracking_run_id
            reports_by_step[name, number] = tuple(reports_from(task, content))
            for one in reports_by_step[name, number]:
                report(TaskFinished(one))
        if state in ("success", "failed"):
            break
        time.sleep(_POLLED_EVERY_S)
    reports = tuple(one for some in reports_by_step.values() for one in some)
    if state == "failed" and all(one.outcome.is_good for one in reports):
        failure = Failure("the run failed in Airflow", "see the run in Airflow")
        reports = (*reports, TaskReport(FINISH, Outcome.FAILED, failure=failure))
    ended = RunReport(run, reports, time.perf_counter() - began, tracking_run_id)
    report(RunFinished(ended))
    return ended


def reports_from(task: dict[str, Any], content: dict[str, Any]) -> Iterator[TaskReport]:
    """Yield the reports of an ended step's tasks, as far as known.

    Parameters
    ----------
    task : dict
        The step according to Airflow: ``task_id``, ``map_index``, ``state``, ``duration``.
    content : dict
        What the step passed on, from `baton.engines.airflow.results.to_xcom`; may be empty.
    """
    if task["task_id"] in (START, FINISH):
        return
    if content.get("reports") and task["state"] in ("success", "failed"):
        yield from (decode_report(fields) for fields in content["reports"])
        return
    if content.get("outcomes"):
        # The rest was too long for an XCom, and is in the store, which may be unreachable from here.
        failures = content.get("failures", {})
        for name, text in content["outcomes"].items():
            failure = Failure(failures[name], "see its log in Airflow") if name in failures else None
            yield TaskReport(name, Outcome(text), failure=failure)
        return
    outcome = _ENDED[task["state"]]
    failure = Failure("see its log in Airflow") if outcome is Outcome.FAILED else None
    name = task["task_id"] if task["map_index"] < 0 else f"{task['task_id']}_{task['rendered_map_index']}"
    yield TaskReport(name, outcome, duration_s=task["duration"] or 0.0, failure=failure)
