"""All output: data on stdout, everything else on stderr.  The only module that prints.

A command reserves the process's stdout: output of user code, C code and child processes goes to stderr, so
that nothing mixes with a document.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import IO, TYPE_CHECKING, Any

import click

from baton.core.addresses import without_secrets_in_addresses
from baton.core.outcome import RunReport
from baton.errors import Unavailable
from baton.processes.lifecycle import flush_or_discard, keep_stdout

if TYPE_CHECKING:
    from baton.runs.planning import PlannedTask

_kept: list[IO[str]] = []
"""The process's real stdout, once this module has taken it."""


def reserve_stdout() -> None:
    """Reserve the process's stdout for data; all other output goes to stderr."""
    if not _kept:
        encoding, errors = getattr(sys.stdout, "encoding", None), getattr(sys.stdout, "errors", None)
        _kept.append(os.fdopen(keep_stdout(), "w", encoding=encoding, errors=errors))


def close_stdout() -> None:
    """Write the remaining data; a reader that has closed the pipe is not an error."""
    for stream in _kept:
        flush_or_discard(stream.fileno(), stream)


def stdout() -> IO[str]:
    """Return the stream for data; a child process may write to it, too."""
    return _kept[0] if _kept else sys.stdout


def replace_unknown_characters() -> None:
    """Allow data on terminals that cannot show all of its characters."""
    stream: Any = stdout()
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")


def show_data(text: str) -> None:
    """Print data on stdout.

    Raises
    ------
    Unavailable
        If it cannot be written, for example because the disk is full.
    """
    try:
        click.echo(text, file=stdout(), color=_has_colour(stdout()))
    except BrokenPipeError:  # the reader closed the pipe
        raise
    except OSError as error:
        raise Unavailable(
            f"stdout cannot be written: {error.strerror}", "free space, or redirect it elsewhere"
        ) from error


def show_json(content: Any) -> None:
    """Print JSON on stdout."""
    show_data(json.dumps(content, indent=2, default=str))


def say(text: str = "") -> None:
    """Show a message on stderr; ignore a closed stderr."""
    with contextlib.suppress(OSError):
        click.echo(text, err=True, color=_has_colour(sys.stderr))


def show_error(message: str, hint: str) -> None:
    """Show on stderr what failed, and what to do about it."""
    say(click.style("error: ", fg="red", bold=True) + without_secrets_in_addresses(message))
    if hint:
        say(f"\nhint: {without_secrets_in_addresses(hint)}")


def confirm(question: str) -> bool:
    """Ask a question at the terminal, on stderr; the default is no."""
    return click.confirm(question, err=True)


def ask(question: str) -> str | None:
    """Ask a question at the terminal, on stderr; return the line, or None at the end of the input."""
    click.echo(question, err=True, nl=False)
    line = sys.stdin.readline()
    if not line:
        say()
        return None
    return line.strip()


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table on stdout, aligned with spaces, readable without colour."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max([len(name), *(len(row[i]) for row in texts)]) for i, name in enumerate(columns)]
    show_data(
        click.style("  ".join(f"{n:{w}}" for n, w in zip(columns, widths, strict=True)).rstrip(), bold=True)
    )
    for row in texts:
        show_data("  ".join(f"{cell:{w}}" for cell, w in zip(row, widths, strict=True)).rstrip())


def show_plan(planned: Sequence[PlannedTask], *, as_json: bool) -> None:
    """Print what a run would do with each task, and why, on stdout."""
    if not as_json:
        rows = [(task.task, task.verb, task.reason) for task in planned]
        show_table(("task", "would", "reason"), rows)
        return
    show_json(plan_as_json(planned))


def plan_as_json(planned: Iterable[PlannedTask]) -> list[dict[str, Any]]:
    """Return a plan as plain JSON values."""
    return [
        {
            "task": task.task,
            "would_run": task.would_run,
            "would_skip": task.would_skip,
            "reason": task.reason,
            "causes": [cause.as_dict() for cause in task.causes],
        }
        for task in planned
    ]


def show_folded_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stdout, with long cells wrapped to the width of a terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    for name in columns:
        table.add_column(Text(name, style="bold"), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    stream = stdout()
    wide = None if stream.isatty() else 10_000
    console = Console(file=stream, width=wide, no_color=not _has_colour(stream), highlight=False)
    with console.capture() as captured:
        console.print(table)
    show_data("\n".join(line.rstrip() for line in captured.get().rstrip().splitlines()))


def show_end(report: RunReport, *, as_json: bool, verbose: bool = False) -> None:
    """Show how a run ended: its results on stdout, and why tasks failed on stderr."""
    if as_json:
        show_json(run_as_json(report))
    elif report.is_good:
        show_facts(report)
    if not report.is_good:
        show_failures(report, verbose=verbose)
    for task in report.wrongly_remembered:
        say()
        wrong = f"the cached result of '{task.task}' was wrong; the new one was used"
        show_error(
            f"{wrong}: {task.wrongly_remembered}",
            f"check whether the task is deterministic: baton cache recheck {task.task}",
        )


def show_facts(report: RunReport) -> None:
    """Print the facts that the tasks reported, on stdout."""
    facts = list(report.facts)
    if report.tracking_run_id:
        facts.append(("MLflow run_id", report.tracking_run_id))
    for label, value in dict(facts).items():
        show_data(f"{label}: {value}")


def show_failures(report: RunReport, *, verbose: bool) -> None:
    """Show why each failed task failed, and how to continue."""
    for task in report.tasks:
        if task.failure is None:
            continue
        say()
        show_error(f"task '{task.task}' failed: {task.failure.message}", task.failure.hint)
        if task.failure.traceback and verbose:
            say(task.failure.traceback)
        elif task.failure.traceback:
            say("\nhint: the traceback is in: baton status --run latest")


def run_as_json(report: RunReport) -> dict[str, Any]:
    """Return a run's report as plain JSON values."""
    return {
        "run_id": report.run_id,
        "succeeded": report.is_good,
        "duration_s": round(report.duration_s, 3),
        "tracking_run_id": report.tracking_run_id,
        "facts": dict(report.facts),
        "tasks": [
            {
                "task": task.task,
                "outcome": task.outcome.value,
                "reason": task.reason,
                "duration_s": round(task.duration_s, 3),
                "attempts": task.attempts,
                "message": task.failure.message if task.failure else "",
                "hint": task.failure.hint if task.failure else "",
                "outputs": {name: artifact.as_dict() for name, artifact in task.outputs.items()},
                "wrongly_remembered": task.wrongly_remembered,
            }
            for task in report.tasks
        ],
    }


def _has_colour(stream: Any) -> bool:
    return stream is not None and bool(stream.isatty()) and not os.environ.get("NO_COLOR")
