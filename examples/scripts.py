"""What the scripts of this folder share: the options of every setting and parameter, the reference's output.

It rests on the parts of baton's own command line; a program of your own needs `baton.api` alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from baton import api
from baton.cli import output
from baton.cli.app import main
from baton.cli.commands.config import show_configuration
from baton.cli.exit_codes import ExitCode
from baton.cli.options import Command, ProjectCommand, place_options
from baton.cli.output import replace_unknown_characters, say, show_data
from baton.cli.reporters import retry_text
from baton.config.edit import ConfigurationFile
from baton.core.events import Event, Reporter, RunNoted, RunStarted, TaskFinished, TaskRetried, TaskStarted
from baton.core.outcome import Outcome, RunReport, TaskReport
from baton.core.parameters import flatten
from baton.maintenance import cache
from baton.runs.project import Project

_WIDTH = 50


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
    from baton.cli.commands.run import resume_command, showing_how_to_resume

    project: Project = ctx.obj
    forced = tuple(task.name for task in project.dag.subset(targets).tasks) if force else ()
    with showing_how_to_resume(project, ctx.meta) as heard:
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


class ScriptReporter:
    """Prints a run on stdout as the reference does: target, data, each group's start and end.

    Parameters
    ----------
    project : Project
        What is run.
    forced : bool
        Whether everything runs, whatever is remembered.
    """

    def __init__(self, project: Project, *, forced: bool) -> None:
        self._project = project
        self._forced = forced
        self._waiting: dict[str, set[str]] = {}
        self._ended: dict[str, list[TaskReport]] = {}
        self._announced: set[str] = set()
        replace_unknown_characters()  # every terminal shows the words; not every one knows the pictures

    def __call__(self, event: Event) -> None:
        """Print what is to be said of one event."""
        match event:
            case RunStarted():
                for name in event.tasks:
                    self._waiting.setdefault(self._group(name), set()).add(name)
                self._show_headline(event)
            case RunNoted():
                say(event.message)
            case TaskStarted():
                self._announce(self._group(event.task))
            case TaskRetried():
                show_data(f"🔁 Task '{event.task}': {retry_text(event)}")
            case TaskFinished():
                self._take(event.report)

    def _group(self, task: str) -> str:
        return self._project.dag.task(task).group

    def _show_headline(self, event: RunStarted) -> None:
        show_data(f"🎯 Target: {', '.join(event.targets)}")
        chosen = flatten(self._project.configuration.parameters)
        if "year" in chosen and "month" in chosen:
            show_data(f"📅 Data: {chosen['year']}-{chosen['month']:02d}")
        show_data(f"🔄 Force rebuild: {self._forced}")
        show_data(f"🚂 Engine: {event.engine}")
        show_data("-" * _WIDTH)

    def _announce(self, group: str) -> None:
        if group not in self._announced:
            self._announced.add(group)
            show_data(f"\n🚀 Running task: {group}")

    def _take(self, report: TaskReport) -> None:
        group = self._group(report.task)
        self._ended.setdefault(group, []).append(report)
        self._waiting[group].discard(report.task)
        if not self._waiting[group]:
            self._show_end(group, self._ended[group])

    def _show_end(self, group: str, reports: list[TaskReport]) -> None:
        """Print how a group ended; its seconds are those of its tasks together."""
        outcomes = {report.outcome for report in reports}
        seconds = f"{sum(report.duration_s for report in reports):.2f}s"
        if Outcome.FAILED in outcomes:
            self._announce(group)
            show_data(f"❌ Task '{group}' failed after {seconds}")
        elif not all(outcome.is_good for outcome in outcomes):
            reason = next(report.reason for report in reports if not report.outcome.is_good)
            show_data(f"\n🚫 Task '{group}' did not run: {reason}")
        elif outcomes == {Outcome.CACHED}:
            show_data(f"\n✅ Task '{group}' is up to date")
        else:
            self._announce(group)
            kept = sum(report.outcome is Outcome.CACHED for report in reports)
            note = f" ({kept} of its {len(reports)} tasks up to date)" if kept else ""
            show_data(f"✅ Task '{group}' completed in {seconds}{note}")
        for label, value in (fact for report in reports for fact in report.facts):
            trained = label == self._project.dag.headline
            show_data(f"{'Model trained successfully. ' if trained else ''}{label}: {value}")


def show_script_end(report: RunReport, headline: str | None) -> None:
    """Print the lines that close a run: how it ended, the figure that says most, the tracking run."""
    show_data("\n" + "=" * _WIDTH)
    if not report.is_good:
        show_data("❌ Pipeline failed")
        return
    show_data("🎉 Pipeline completed successfully!")
    facts = dict(report.facts)
    if headline in facts:
        show_data(f"📊 Final model {headline}: {facts[headline]}")
    if report.tracking_run_id:
        show_data(f"🆔 Model run ID: {report.tracking_run_id}")
        show_data(f"MLflow run_id: {report.tracking_run_id}")


def run_config_script(about: str | None, open_file: Callable[[], ConfigurationFile]) -> None:
    """Parse the command line, do what it says, and exit with one of `ExitCode`.

    Parameters
    ----------
    about : str, optional
        What ``--help`` says: the script's own docstring.
    open_file : callable
        Returns the configuration file.
    """
    main(command=config_script_command(about, open_file))


def config_script_command(about: str | None, open_file: Callable[[], ConfigurationFile]) -> click.Command:
    """Return the command of the script; parameters as in `run_config_script`."""
    names = {"help_option_names": ["-h", "--help"]}

    @click.command(cls=Command, help=about, context_settings=names, no_args_is_help=True)
    @click.option("--show", is_flag=True, help="Show every value and where it came from")
    @click.option("--create-default", is_flag=True, help="Write a file with every default")
    @click.option("--update-mlflow-host", "host", metavar="HOST", help="Set mlflow.tracking_server_host")
    @click.option("--update-aws-profile", "profile", metavar="NAME", help="Set mlflow.aws_profile")
    @click.option("--update-year", "year", type=int, help="Set data.year")
    @click.option("--update-month", "month", type=int, help="Set data.month")
    @click.option("--save", is_flag=True, help="Write the changes into the file")
    def command(
        show: bool,
        create_default: bool,
        host: str | None,
        profile: str | None,
        year: int | None,
        month: int | None,
        save: bool,
    ) -> None:
        changed = open_file()
        if create_default:
            kept = changed.create_default()
            output.say(f"wrote {changed.path}" + (f"; the one before is {kept}" if kept else ""))
        changed.update("mlflow", tracking_server_host=host, aws_profile=profile)
        changed.update("data", year=year, month=month)
        changed.resolve()
        if show or (changed.is_changed and not save):
            show_configuration(changed.resolve())
        if save:
            output.say(f"saved {changed.save()}")
        elif changed.is_changed:
            output.say("\nhint: nothing is saved yet: add --save")

    return command
