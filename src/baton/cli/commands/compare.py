"""``baton compare``: run one pipeline on several engines and compare the results."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from baton.cli import output
from baton.cli.commands.run import resume_command
from baton.cli.exit_codes import ExitCode
from baton.cli.options import ProjectCommand, jobs_option, json_option, place_options
from baton.errors import UsageError

if TYPE_CHECKING:
    from baton.comparison import Comparison, EngineRun


@click.command(cls=ProjectCommand)
@click.argument("targets", nargs=-1)
@click.option(
    "--engine",
    "engines",
    multiple=True,
    metavar="ENGINE",
    help="An engine to run; may be repeated [every available one]",
)
@click.option(
    "--shared", is_flag=True, help="Use the project's store, so that engines reuse each other's results"
)
@jobs_option("Maximum number of concurrent tasks, if the engine supports it [1]", default=1)
@click.option(
    "--html", "html_path", type=click.Path(dir_okay=False, path_type=Path), help="Also write an HTML page"
)
@click.option(
    "--markdown",
    "markdown_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the figures into this Markdown page, between their markers",
)
@click.option("-q", "--quiet", is_flag=True, help="Show only the result and errors")
@json_option
@place_options
@click.pass_context
def command(
    ctx: click.Context,
    targets: tuple[str, ...],
    engines: tuple[str, ...],
    shared: bool,
    jobs: int,
    html_path: Path | None,
    markdown_path: Path | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Run TARGETS (groups or tasks) on several engines, and compare the results.

    Each engine runs in its own process and, unless --shared, starts with an empty cache. Effects run on each
    engine: each has its own tracking run and deploys; with --shared, make skips what is up to date. Exits
    with 1 if an engine failed, or if an artifact of a pure task differs between engines.
    """
    from baton.comparison import compare
    from baton.comparison.markdown import as_markdown, check_page, write_part
    from baton.comparison.page import as_html
    from baton.comparison.table import as_json as json_of
    from baton.core.files import write_atomically

    if html_path is not None and not html_path.absolute().parent.is_dir():
        raise UsageError(
            f"the folder of {html_path} does not exist", f"create it with: mkdir -p {html_path.parent}"
        )
    if markdown_path is not None:
        check_page(markdown_path)
    made = compare(
        ctx.obj,
        engines,
        targets,
        jobs=jobs,
        shared=shared,
        quiet=quiet,
        anywhere=ctx.meta.get("project") is not None,
        on_command=lambda line: None if quiet else output.say(f"\n$ {line}"),
    )
    if html_path is not None:
        write_atomically(html_path.absolute(), as_html(made, _command_line()).encode())
    if markdown_path is not None:
        write_part(markdown_path, as_markdown(made, _command_line()))
    if as_json:
        output.show_json(json_of(made))
    else:
        _show(made)
    for run in made.failed:
        output.say()
        output.show_error(f"{run.engine}: {run.failure}", "")
        if run.record is not None:
            output.say(f"resume: {_resume(ctx, run)}")
    return ExitCode.DONE if made.is_good else ExitCode.TASK_FAILED


def _show(made: Comparison) -> None:
    from baton.comparison.table import table_of

    output.say()
    header, rows = table_of(made, shortened=True)
    output.show_folded_table(header, rows)
    for one in made.unusable:
        output.show_data(f"left out: {one.engine}: {one.reason}{f' ({one.hint})' if one.hint else ''}")
    output.show_data(f"\n{made.verdict}")
    kept = [run for run in made.runs if run.store]
    if kept:
        output.say("\nhint: their artifacts were kept; delete these folders when you no longer need them:")
        for run in kept:
            output.say(f"  {run.engine}: {run.store}")


def _resume(ctx: click.Context, run: EngineRun) -> str:
    """Return the command that resumes a failed run, on its engine and its store."""
    from baton.runs.command_line import given_options
    from baton.runs.project import open_project

    options = {**given_options(ctx.obj), "engine": run.engine}
    if run.store:
        options["store"] = run.store
    config = ctx.obj.configuration.path if ctx.meta.get("config") is not None else None
    project = open_project(folder=ctx.obj.folder, config=config, options=options)
    return resume_command(project, run.record.run_id if run.record is not None else "latest", ctx.meta)


def _command_line() -> str:
    """Return this command as typed, without secrets."""
    from baton.runs.command_line import shown_word

    return shlex.join(["baton", *map(shown_word, sys.argv[1:])])
