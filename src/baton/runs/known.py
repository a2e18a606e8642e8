"""The runs that a project knows: those of this machine, and those of others that share its store."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice

from baton.errors import StoreError, Unavailable, UsageError, nearest
from baton.runs.logs import LogLine, read_lines
from baton.runs.project import Project
from baton.runs.records import RunRecord, has_ended, has_record, list_runs, read_run
from baton.runs.shared import shared_ids, shared_lines, shared_records

_ASK_AGAIN_AFTER_S = 0.5
_LOOK_BACK = 1000
"""Number of shared runs to search for an identifier of another system."""


def known_runs(
    project: Project, limit: int, warn: Callable[[str], object] = lambda _: None
) -> tuple[RunRecord, ...]:
    """Return the latest `limit` runs, newest first.

    Parameters
    ----------
    project : Project
        The project.
    limit : int
        How many.
    warn : callable
        Receives a message if the runs of other machines cannot be read.
    """
    limit = min(limit, sys.maxsize)
    own = {record.run_id: record for record in list_runs(project.home, limit)}
    try:
        others = [run_id for run_id in shared_ids(project.store.objects)[:limit] if run_id not in own]
        found = own | shared_records(project.store.objects, others)
    except (StoreError, Unavailable) as error:
        warn(f"runs of other machines are not shown: {error.message}")
        found = own
    return tuple(found[run_id] for run_id in islice(sorted(found, reverse=True), limit))


def known_run(project: Project, run: str) -> RunRecord:
    """Return the record of a run.

    Parameters
    ----------
    project : Project
        The project.
    run : str
        The run's id; or its id in Airflow, Prefect or MLflow; or ``"latest"``, which is this machine's latest
        run, or else the latest of all.

    Raises
    ------
    UsageError
        If no such run is known.
    StoreError, Unavailable
        If the runs of other machines cannot be read.
    """
    home, objects = project.home, project.store.objects
    if has_record(home, run) or (run == "latest" and list_runs(home, 1)):
        return read_run(home, run)
    ids = shared_ids(objects)
    wanted = ids[:1] if run == "latest" else [run]
    for record in shared_records(objects, wanted).values():
        return record
    own = list_runs(home, _LOOK_BACK)
    others = shared_records(objects, ids[:_LOOK_BACK]).values()
    for record in (*own, *others):
        if run and run in _names_of(record):
            return record
    known = [*(record.run_id for record in own), *ids]
    raise UsageError(
        f"run '{run}' does not exist in {home}{nearest(run, known)}", "list them with: baton status"
    )


def _names_of(record: RunRecord) -> set[str]:
    """Return what other systems call a run."""
    names = {record.tracking_run_id, *record.known_as.values()}
    return names | {name.rpartition("/")[2] for name in record.known_as.values()}


def known_lines(project: Project, run_id: str, *, follow: bool = False) -> Iterator[LogLine]:
    """Yield the lines that the tasks of a run logged.

    Parameters
    ----------
    project : Project
        The project.
    run_id : str
        The run's id.
    follow : bool
        Whether to wait for more until the run ends.
    """
    is_own = has_record(project.home, run_id)
    position = 0
    seen: set[str] = set()
    while True:
        if is_own:
            ended = not follow or has_ended(project.home, run_id)
            lines, position = read_lines(project.home, run_id, position)
        else:
            ended = not follow or known_run(project, run_id).state != "running"
            lines = shared_lines(project.store.objects, run_id, seen)
        yield from lines
        if ended:
            return
        time.sleep(_ASK_AGAIN_AFTER_S)
