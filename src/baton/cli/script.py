"""A pipeline as a script of its own: the options of every setting and parameter, the reference's output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from baton.cli import output
from baton.cli.app import main
from baton.cli.exit_codes import ExitCode
from baton.cli.options import ProjectCommand, place_options

if TYPE_CHECKING:
    from baton.core.events import Reporter
    from baton.core.outcome import RunReport
    from baton.runs.project import Project


@dataclass(frozen=True, slots=True)
class Asked:
    """What a script was asked for.

    Parameters
    ----------
    project : Project
        The project in the current folder, with what the command line set.
    targets : tuple of str
        Groups or tasks; the pipeline's default target where there is none.
    forced : tuple of str
        Tasks that run whatever is remembered.
    jobs : int, optional
        How many tasks may run at once; as many as the engine chooses unless given.
    report : callable
        Prints the run.
    """

    project: Project
    targets: tuple[str, ...]
    forced: tuple[str, ...]
    jobs: int | None
    report: Reporter


def run_script(about: str | None, run: Callable[[Asked], RunReport], *, like_make: bool = False) -> None:
    """Parse the command line, run the pipeline, print it, and exit with one of `ExitCode`.

    Parameters
    ----------
    about : str, optional
        What ``--help`` says: the script's own docstring.
    run : callable
        Runs what was asked for.
    like_make : bool
        Whether the script takes targets, ``--list``, ``--clean`` and ``--jobs`` too.
    """
    main(command=script_command(about, run, like_make=like_make))


def script_command(
    about: str | None, run: Callable[[Asked], RunReport], *, like_make: bool = False
) -> click.Command:
    """Return the command of a script; parameters as in `run_script`."""

    @click.option("--force", is_flag=True, help="Run every task, whatever is remembered")
    @place_options
    @click.pass_context
    def command(ctx: click.Context, /, force: bool, **chosen: Any) -> int:
        if chosen.get("list_targets"):
            return _list_targets(ctx.obj)
        if chosen.get("clean"):
            return _clean(ctx.obj, chosen["targets"])
        return _run(ctx, run, force, chosen.get("targets", ()), chosen.get("jobs"))

    if like_make:
        for add in (
            click.option("--list", "list_targets", is_flag=True, help="List the targets and their tasks"),
            click.option("--clean", is_flag=True, help="Forget the results, so that everything runs again"),
            click.option("-j", "--jobs", type=click.IntRange(min=1), help="Tasks that may run at once [1]"),
            click.argument("targets", nargs=-1),
        ):
            command = add(command)
    settings = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
    return click.command(cls=ProjectCommand, context_settings=settings, help=_kept(about or ""))(command)


def _clean(project: Project, targets: tuple[str, ...]) -> int:
    from baton.maintenance import cache

    cleaned = cache.clean(project, targets)
    for path in cleaned.products:
        output.show_data(f"🧹 Removed {path}")
    for task in cleaned.tasks:
        count = sum(entry.task == task for entry in cleaned.entries)
        if count:
            output.show_data(f"🧹 Forgot {task} ({count} remembered)")
    if not cleaned.products and not cleaned.entries:
        output.show_data("🧹 There is nothing to remove")
    return ExitCode.DONE


def _kept(about: str) -> str:
    """Return help in which indented paragraphs keep their lines."""
    return "\n\n".join(f"\b\n{part}" if part.startswith(" ") else part for part in about.split("\n\n"))


def _run(
    ctx: click.Context,
    run: Callable[[Asked], RunReport],
    force: bool,
    targets: tuple[str, ...],
    jobs: int | None,
) -> int:
    from baton import api
    from baton.cli.commands.run import resume_command, telling_how_to_resume
    from baton.cli.script_output import ScriptReporter, show_script_end

    project: Project = ctx.obj
    forced = tuple(task.name for task in project.dag.subset(targets).tasks) if force else ()
    with telling_how_to_resume(project, ctx.meta) as heard:
        ended = run(Asked(project, targets, forced, jobs, heard(ScriptReporter(project, forced=force))))
    show_script_end(ended, project.dag.headline)
    if ended.is_good:
        return ExitCode.DONE
    output.show_failures(ended, verbose=False)
    engine = api.read_run(project.home, ended.run_id).engine
    output.say(f"\nresume: {resume_command(project, ended.run_id, ctx.meta, engine=engine)}")
    return ExitCode.TASK_FAILED


def _list_targets(project: Project) -> int:
    from baton.cli.commands.list import show_targets

    show_targets(project.dag)
    return ExitCode.DONE
