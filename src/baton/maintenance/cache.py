"""Maintain the cache and the files that runs leave: the functions behind ``cache`` and ``clean``.

As in `baton.api`, nothing here prints or exits.
"""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from baton.core.outcome import Outcome
from baton.errors import UsageError
from baton.maintenance import gc
from baton.maintenance.gc import Garbage, Rule
from baton.maintenance.survey import survey
from baton.maintenance.verify import Verification, verify
from baton.runs.project import Project
from baton.runs.records import RunRecord, list_runs
from baton.store.index import Entry, entry_name
from baton.store.local import LocalPlace

__all__ = [
    "Amount",
    "CacheInfo",
    "Cleaned",
    "Entry",
    "Garbage",
    "Verification",
    "cache_entries",
    "cache_info",
    "clean",
    "clear_cache",
    "collect_garbage",
    "verify_cache",
]

_ALL_RUNS = 1_000_000


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of files and their total size in bytes."""

    count: int
    size: int

    @classmethod
    def of(cls, sizes: Iterable[int]) -> Amount:
        """Sum up sizes."""
        listed = list(sizes)
        return cls(len(listed), sum(listed))


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """What the cache contains and how much it helped.

    Parameters
    ----------
    place : str
        Location of the store, without secrets.
    objects, entries, texts : Amount
        In the store; texts are sources of code, and the files that name each task's latest entry.
    mirror, views, sources, scratch : Amount
        In the project's own folder.
    hits, misses : int
        Pure tasks of this project's recorded runs that were cached, and that ran.
    runs : int
        Number of these runs.
    """

    place: str
    objects: Amount
    entries: Amount
    texts: Amount
    mirror: Amount
    views: Amount
    sources: Amount
    scratch: Amount
    hits: int
    misses: int
    runs: int


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What `clean` deleted, or would delete.

    Parameters
    ----------
    tasks : tuple of str
        The tasks of the targets.
    entries : tuple of Entry
        The deleted cached results.
    effects : tuple of str
        Effects whose records in this project's effect scope were deleted.
    products : tuple of Path
        Deleted files that effects had left.
    """

    tasks: tuple[str, ...]
    entries: tuple[Entry, ...]
    effects: tuple[str, ...]
    products: tuple[Path, ...]


def cache_info(project: Project) -> CacheInfo:
    """Count what the store and the project's own folder contain, and the cache hits of recorded runs."""
    found = survey(project.store.objects.place)
    runs = [run for run in list_runs(project.home, _ALL_RUNS) if run.pipeline == project.declared.name]
    pure = {task.name for task in project.dag.tasks if not task.effect}
    outcomes = [task.outcome for run in runs for task in run.tasks if task.task in pure]
    return CacheInfo(
        place=project.store.objects.place.shown,
        objects=Amount.of(file.size for file in found.objects.values()),
        entries=Amount.of(file.size for file in found.entries.values()),
        texts=Amount.of(file.size for file in (*found.texts.values(), *found.latest.values())),
        mirror=_amount(project.home / "mirror"),
        views=_amount(project.home / "views"),
        sources=_amount(project.home / "sources"),
        scratch=_amount(project.home / "scratch"),
        hits=outcomes.count(Outcome.CACHED.value),
        misses=outcomes.count(Outcome.SUCCEEDED.value),
        runs=len(runs),
    )


def cache_entries(project: Project, targets: Sequence[str] = ()) -> tuple[Entry, ...]:
    """Return the cached results in the store, newest first.

    Parameters
    ----------
    project : Project
        As returned by `baton.api.open_project`.
    targets : sequence of str
        Groups or tasks of the project's pipeline; if there are none, everything in the store.

    Raises
    ------
    UsageError
        If a target does not exist.
    """
    names = {task.name for target in targets for task in project.dag.members(target)}
    read = project.store.index.read_all().values()
    entries = [entry for entry in read if isinstance(entry, Entry)]
    if targets:
        entries = [e for e in entries if e.task in names and e.pipeline == project.declared.name]
    return tuple(sorted(entries, key=lambda entry: (entry.finished_at, entry.key), reverse=True))


def verify_cache(project: Project, *, repair: bool = False) -> Verification:
    """Check everything in the store; see `baton.maintenance.verify.verify`."""
    return verify(project.store, repair=repair)


def collect_garbage(
    project: Project, *, older_than_s: float | None = None, max_size: int | None = None, remove: bool = False
) -> Garbage:
    """Find what is no longer needed, and delete it on request.

    Parameters
    ----------
    project : Project
        As returned by `baton.api.open_project`.
    older_than_s : float, optional
        Delete entries that have not been created or, in this project, used for this long.
    max_size : int, optional
        Delete the least recently used entries until the rest fits this many bytes.
    remove : bool
        Whether to delete, or only to list.

    Returns
    -------
    Garbage
        What is not needed; see `baton.maintenance.gc` for what is always kept.
    """
    runs = list_runs(project.home, _ALL_RUNS)
    busy = [_began_at(run) for run in runs if run.state == "running"]
    rule = Rule(
        now=time.time(),
        older_than_s=older_than_s,
        max_size=max_size,
        used_at=_used_at(runs),
        busy_since=min(busy, default=None),
    )
    garbage = gc.find_garbage(project.store, project.home, rule)
    if remove:
        gc.remove_garbage(project.store, project.home, garbage)
    return garbage


def clear_cache(project: Project, *, remove: bool = False) -> Garbage:
    """Find everything in the cache, and delete it on request; runs and models stay.

    Raises
    ------
    UsageError
        If it should be deleted while a run of the project is in progress.
    """
    running = [run.run_id for run in list_runs(project.home, _ALL_RUNS) if run.state == "running"]
    if remove and running:
        raise UsageError(
            f"run {running[0]} is in progress and needs the cache",
            "wait until it ends, or stop it, before you clear the cache; "
            "a run that was killed on another machine counts as ended after five minutes",
        )
    everything = gc.find_everything(project.store, project.home)
    if remove:
        gc.remove_garbage(project.store, project.home, everything)
    return everything


def clean(project: Project, targets: Sequence[str] = (), *, remove: bool = True) -> Cleaned:
    """Delete the cached results of the targets' tasks and the files that they left.

    These are files that an effect declared as products in a recorded run and that are in the project's
    folder, the models' or the data folder.  Objects stay until `collect_garbage` finds them
    unreferenced; registered models and tracking runs stay.

    Parameters
    ----------
    project : Project
        As returned by `baton.api.open_project`.
    targets : sequence of str
        Groups or tasks; if there are none, the whole pipeline.
    remove : bool
        Whether to delete, or only to list.

    Raises
    ------
    UsageError
        If a target does not exist.
    """
    tasks = [task for target in targets for task in project.dag.members(target)] or project.dag.tasks
    names = tuple(dict.fromkeys(task.name for task in tasks))
    entries = cache_entries(project, names)
    memory, scope = project.store.effects, project.effect_scope()
    effects = [name for name in names if memory.last(scope, name) is not None]
    products = _products(project, frozenset(names))
    if remove:
        project.store.index.remove(entry_name(entry.key) for entry in entries)
        memory.forget(scope, effects)
        for path in products:
            path.unlink(missing_ok=True)
    return Cleaned(names, entries, tuple(effects), products)


def _products(project: Project, tasks: frozenset[str]) -> tuple[Path, ...]:
    """Return the existing files that recorded runs of the tasks left for people.

    Records move with a project's folder, but paths in them do not: files elsewhere are not ours.
    """
    home, models, data = project.home, project.models_dir, project.data_dir
    found: dict[Path, None] = {}
    for run in list_runs(project.home, _ALL_RUNS):
        if run.pipeline != project.declared.name:
            continue
        for product in (Path(text) for task in run.tasks if task.task in tasks for text in task.products):
            path = Path(os.path.normpath(product))
            for_people = path.is_relative_to(models) or path.is_relative_to(data)
            own = path.is_relative_to(project.folder) and not path.is_relative_to(home)
            if (for_people or own) and path.is_file():
                found[path] = None
    return tuple(sorted(found))


def _amount(folder: Path) -> Amount:
    return Amount.of(file.size for file in LocalPlace(folder).files(""))


def _used_at(runs: Iterable[RunRecord]) -> dict[str, float]:
    """Return when each object, by digest, was last the output of a task."""
    used: dict[str, float] = {}
    for run in runs:
        ended = _began_at(run) + run.duration_s
        for task in run.tasks:
            for fields in task.outputs.values():
                digest = str(fields.get("digest", ""))
                used[digest] = max(used.get(digest, 0.0), ended)
    return used


def _began_at(run: RunRecord) -> float:
    try:
        return datetime.datetime.fromisoformat(run.started_at).timestamp()
    except ValueError:  # an edited record
        return 0.0
