"""``baton run``: run the pipeline, or the part that targets need."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from baton.cli import output
from baton.cli.exit_codes import ExitCode
from baton.cli.options import (
    ProjectCommand,
    force_option,
    forced_tasks,
    jobs_option,
    json_option,
    place_options,
)
from baton.cli.quantities import SHARE
from baton.cli.reporters import reporting
from baton.core.addresses import without_secrets
from baton.core.values import as_text

if TYPE_CHECKING:
    from baton.core.events import Event, Reporter
    from baton.runs.project import Project


@click.command(cls=ProjectCommand)
@click.argument("targets", nargs=-1)
@click.option(
    "--cache/--no-cache",
    "use_cache",
    default=None,
    help="Use cached results instead of running [the engine's default]",
)
@jobs_option("Maximum number of concurrent tasks, if the engine supports it [the engine's choice]")
@force_option("Run this task even if cached; without TASK, all tasks")
@click.option(
    "--recheck",
    "recheck_share",
    type=SHARE,
    metavar="SHARE",
    help="Compute this share of the cached results again and compare; exit with 1 on a difference",
)
@click.option("--keep-going", is_flag=True, help="After a failure, run tasks that do not depend on it")
@click.option(
    "--resume",
    "resumed",
    metavar="RUN",
    help="Resume a run: its targets, parameters and finished tasks",
)
@click.option("--dry-run", is_flag=True, help="Show what would run and why; nothing runs or is written")
@click.option("--explain", "reasons", is_flag=True, help="Show why each task ran or did not")
@click.option("-q", "--quiet", is_flag=True, help="Show only results and errors")
@click.option("-v", "--verbose", is_flag=True, help="Show starts, reasons and messages of tasks")
@json_option
@place_options
@click.pass_context
def command(
    ctx: click.Context,
    targets: tuple[str, ...],
    use_cache: bool | None,
    jobs: int | None,
    forced: tuple[str, ...],
    recheck_share: float | None,
    keep_going: bool,
    resumed: str | None,
    dry_run: bool,
    reasons: bool,
    quiet: bool,
    verbose: bool,
    as_json: bool,
) -> int:
    """Run the pipeline, or the part that TARGETS (groups or tasks) need."""
    from baton import api

    project = ctx.obj
    if resumed is not None:
        project, targets = api.resume(project, resumed, targets)
    forced = forced_tasks(project, targets, forced)
    use_cache = True if resumed is not None else use_cache
    if dry_run:
        planned = api.plan(project, targets, forced=forced, use_cache=use_cache)
        output.show_plan(planned, as_json=as_json)
        return ExitCode.DONE
    with (
        showing_how_to_resume(project, ctx.meta) as watched,
        reporting(quiet=quiet or as_json, verbose=verbose, reasons=reasons) as shown,
    ):
        ended = api.run(
            project,
            targets,
            keep_going=keep_going,
            jobs=jobs,
            use_cache=use_cache,
            forced=forced,
            recheck_share=recheck_share or 0.0,
            report=watched(shown),
        )
    output.show_end(ended, as_json=as_json, verbose=verbose)
    if ended.is_good:
        return ExitCode.TASK_FAILED if ended.wrongly_remembered else ExitCode.DONE
    output.say(f"\nresume: {resume_command(project, ended.run_id, ctx.meta)}")
    return ExitCode.TASK_FAILED


@contextmanager
def showing_how_to_resume(
    project: Project, place: Mapping[str, Any]
) -> Iterator[Callable[[Reporter], Reporter]]:
    """Yield a wrapper for reporters; if a started run is interrupted, say how to resume it.

    Parameters
    ----------
    project : Project
        The run's project.
    place : mapping of str to Any
        Options from the command line that locate the project.
    """
    from baton.core.events import RunStarted

    begun: list[RunStarted] = []

    def watched(report: Reporter) -> Reporter:
        def watch(event: Event) -> None:
            if isinstance(event, RunStarted):
                begun.append(event)
            report(event)

        return watch

    try:
        yield watched
    except KeyboardInterrupt:
        for run in begun:
            output.say(f"\nresume: {resume_command(project, run.run_id, place, engine=run.engine)}")
        raise


def resume_command(project: Project, run_id: str, place: Mapping[str, Any], *, engine: str = "") -> str:
    """Return the command that resumes a run: parameters come from the run, settings are repeated.

    Parameters
    ----------
    project : Project
        The run's project.
    run_id : str
        The run.
    place : mapping of str to Any
        Options from the command line that locate the project.
    engine : str
        The run's engine, if its caller chose it rather than the project's configuration.
    """
    words = ["baton", "run", "--resume", run_id]
    for option in ("project", "config"):
        if place.get(option) is not None:
            words += [f"--{option}", str(place[option])]
    configuration = project.configuration
    for leaf in configuration.leaves:
        is_setting = leaf.path[0] in configuration.settings.__struct_fields__
        if leaf.name == "engine" and engine not in ("", configuration.value(leaf)):
            words += ["--engine", engine]
        elif is_setting and configuration.origins[leaf.key].source == "command line":
            words += [f"--{leaf.name.replace('_', '-')}", without_secrets(as_text(configuration.value(leaf)))]
    return shlex.join(words)
