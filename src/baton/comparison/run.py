"""Run one pipeline on several engines, one after the other, each in its own process."""

from __future__ import annotations

import contextlib
import datetime
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from baton.comparison.result import Comparison, EngineRun, Machine, Unusable, longest_chain_s, pure_outputs
from baton.core.liveness import at_work, is_at_work
from baton.engines.find import engine_names, find_engine
from baton.errors import BatonError, Unavailable, UsageError
from baton.processes.children import stop_child
from baton.processes.tied import tied
from baton.runs.command_line import given_options, options_of, shown_word
from baton.runs.execution import Execution
from baton.runs.project import Project
from baton.runs.records import RunRecord, list_runs

_FOLDER = "compare"
_MARK = ".running"
_STOP_WITHIN_S = 5.0
_RUNS_LOOKED_AT = 20

OnCommand = Callable[[str], None]


def compare(
    project: Project,
    engines: Sequence[str] = (),
    targets: Sequence[str] = (),
    *,
    jobs: int = 1,
    shared: bool = False,
    quiet: bool = False,
    anywhere: bool = False,
    on_command: OnCommand,
) -> Comparison:
    """Run the pipeline on several engines, one after the other, and compare the results.

    A failing engine does not stop the others.

    Parameters
    ----------
    project : Project
        As returned by `baton.runs.project.open_project`; its options apply to every engine.
    engines : sequence of str
        The engines to run; every available one unless given.
    targets : sequence of str
        Groups or tasks; the pipeline's default target if there are none.
    jobs : int
        Maximum number of concurrent tasks, on engines that support it.
    shared : bool
        Whether the engines share the project's store and reuse each other's results.  Otherwise each starts
        with an empty store, which is deleted unless it is worth inspecting.
    quiet : bool
        Whether to hide the engines' own progress.
    anywhere : bool
        Whether the commands include the project's folder, so that they work in any folder.
    on_command : callable
        Called with each command before it runs.

    Raises
    ------
    UsageError
        If an engine or a target does not exist, or a given store would not be used.
    Unavailable
        If a requested engine, the folder or the tracking server cannot be used; then nothing has run.
    """
    usable, unusable = _choose(engines)
    if "store" in given_options(project) and not shared:
        raise UsageError(
            "each engine starts with its own empty store, so --store would have no effect",
            "use one store for all engines with: --shared",
        )
    execution = Execution.begin(project, targets, usable[0])
    execution.check()
    machine = Machine.here()
    common = [f"--jobs={jobs}", *(["--quiet"] if quiet else []), *options_of(project, anywhere=anywhere)]
    stores: dict[str, str] = {}
    try:
        with contextlib.ExitStack() as marks:
            if not shared:
                stores.update((engine, _new_store(project, engine, marks)) for engine in usable)
            runs = [
                _run_apart(execution, engine, stores.get(engine, ""), [*targets, *common], on_command)
                for engine in usable
            ]
    except BaseException:
        _remove(project, stores.values())
        raise
    runs = [replace(run, metrics=_metrics(project, run)) for run in runs]
    made = Comparison(execution.dag, execution.targets, shared, tuple(runs), unusable, machine)
    if made.first_difference is not None:
        return made  # keep the stores to inspect the difference
    _remove(project, [run.store for run in runs if run.is_good])
    return replace(made, runs=tuple(replace(run, store="") if run.is_good else run for run in runs))


def _choose(engines: Sequence[str]) -> tuple[tuple[str, ...], tuple[Unusable, ...]]:
    """Return the engines to run, and those that are unavailable unless they were requested."""
    for name in engines:
        find_engine(name).check()
    if engines:
        return tuple(dict.fromkeys(engines)), ()
    usable, unusable = [], []
    for name in engine_names():
        try:
            find_engine(name).check()
            usable.append(name)
        except BatonError as error:
            unusable.append(Unusable(name, error.message, error.hint))
    return tuple(usable), tuple(unusable)


def _new_store(project: Project, engine: str, marks: contextlib.ExitStack) -> str:
    """Create an empty folder for the artifacts of one run, and return it as a store setting.

    Until `marks` closes, a file next to it marks the comparison as in progress.
    """
    place = project.home / _FOLDER
    place.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(place)
    store = Path(tempfile.mkdtemp(prefix=f"{engine}-", dir=place))
    marks.enter_context(at_work(Path(f"{store}{_MARK}")))
    return str(store.relative_to(project.folder) if store.is_relative_to(project.folder) else store)


def _remove_abandoned(place: Path) -> None:
    """Delete the stores of killed comparisons, whose marks exist but are not in use."""
    for mark in place.glob(f"*{_MARK}"):
        if not is_at_work(mark):
            shutil.rmtree(mark.with_suffix(""), ignore_errors=True)
            mark.unlink(missing_ok=True)


def _remove(project: Project, stores: Iterable[str]) -> None:
    """Delete stores that are no longer needed."""
    for store in stores:
        if store:
            shutil.rmtree(project.folder / store, ignore_errors=True)
    with contextlib.suppress(OSError):  # not empty, or never created
        (project.home / _FOLDER).rmdir()


def _run_apart(
    execution: Execution, engine: str, store: str, words: Sequence[str], on_command: OnCommand
) -> EngineRun:
    """Run one engine in a separate process, and collect the results."""
    project, dag = execution.project, execution.dag
    how = ["--no-cache", f"--store={store}"] if store else ["--cache"]
    words = ["run", f"--engine={engine}", *how, *words]
    command = ("baton", *map(shown_word, words))
    on_command(shlex.join(command))
    started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    began = time.perf_counter()
    child = subprocess.Popen(tied("baton.cli.app", *words), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        exit_code = child.wait()
    except BaseException as error:
        _end(child, at_once=type(error) is not KeyboardInterrupt)
        raise
    finally:
        if child.stdin is not None:
            child.stdin.close()
    wall_s = time.perf_counter() - began
    record = _record_of(project, child.pid, started_at)
    tasks = record.tasks if record is not None else []
    made = {name: fields["digest"] for task in tasks for name, fields in task.outputs.items()}
    return EngineRun(
        engine=engine,
        command=command,
        exit_code=exit_code,
        wall_s=wall_s,
        record=record,
        longest_chain_s=longest_chain_s(dag, {task.task: task.duration_s for task in tasks}),
        digests={name: made[name] for name, _ in pure_outputs(dag) if name in made},
        experiment=project.experiment(engine) if execution.is_tracked else "",
        store=store,
    )


def _record_of(project: Project, process: int, started_at: str) -> RunRecord | None:
    """Return the record of the run in a process, if it was started."""
    for record in list_runs(project.home, _RUNS_LOOKED_AT):
        if record.process == process and record.started_at >= started_at:
            return record
    return None


def _end(child: subprocess.Popen[bytes], *, at_once: bool) -> None:
    """Stop the command, which receives a Ctrl-C at the terminal by itself."""
    if not at_once:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_STOP_WITHIN_S)
    stop_child(child, within_s=_STOP_WITHIN_S)


def _metrics(project: Project, run: EngineRun) -> dict[str, float]:
    if not run.tracking_run_id:
        return {}
    try:
        return project.tracker(run.engine).metrics(run.tracking_run_id)
    except Unavailable:
        return {}  # the facts have the same values, with fewer digits
