"""``baton backfill``: run the pipeline for each of several periods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from baton.cli import output
from baton.cli.exit_codes import ExitCode
from baton.cli.options import ProjectCommand, jobs_option, json_option, place_options
from baton.cli.reporters import reporting
from baton.core.outcome import Outcome

if TYPE_CHECKING:
    from baton.runs.backfill import PeriodPlan, PeriodReport
    from baton.runs.project import Project

RAN = "ran"
BECAUSE = "because"
_LONGEST_REASON = 120
_RANK = ("failed", RAN, "run", "-", "skipped", "skip", "cached")
"""What is shown of a task, most important first."""


@click.command(cls=ProjectCommand)
@click.argument("targets", nargs=-1)
@click.option("--from", "first", required=True, metavar="PERIOD", help="First period, such as 2021-01")
@click.option("--to", "last", required=True, metavar="PERIOD", help="Last period")
@jobs_option("Maximum number of concurrent tasks of a period, if the engine supports it")
@click.option("--keep-going", is_flag=True, help="After a failure, continue with what does not depend on it")
@click.option(
    "--failed",
    "only_failed",
    is_flag=True,
    help="Begin with the first period whose latest run failed; leave out those that never ran",
)
@click.option("--dry-run", is_flag=True, help="Show what would run and why; nothing runs or is written")
@click.option("-v", "--verbose", is_flag=True, help="Show the tasks of each period, and their messages")
@json_option
@place_options
@click.pass_context
def command(
    ctx: click.Context,
    targets: tuple[str, ...],
    first: str,
    last: str,
    jobs: int | None,
    keep_going: bool,
    only_failed: bool,
    dry_run: bool,
    verbose: bool,
    as_json: bool,
) -> int:
    """Run the pipeline, or the part that TARGETS need, for each period; what is done is not repeated."""
    from baton import api

    project: Project = ctx.obj
    if dry_run:
        _show_plans(api.plan_backfill(project, first, last, targets), as_json=as_json)
        return ExitCode.DONE
    ended = []
    with reporting(quiet=not verbose, verbose=verbose, reasons=verbose) as report:
        for one in api.backfill(
            project,
            first,
            last,
            targets,
            jobs=jobs,
            keep_going=keep_going,
            only_failed=only_failed,
            report=report,
        ):
            ended.append(one)
            output.say(_line(one))
            output.show_failures(one.run, verbose=verbose)
    if as_json:
        output.show_json([{"period": one.period, **output.run_as_json(one.run)} for one in ended])
    elif ended:
        _show_ends(project, ended)
    else:
        output.say("nothing to do: the latest run of no period failed")
    return ExitCode.DONE if all(one.run.is_good for one in ended) else ExitCode.TASK_FAILED


def _line(one: PeriodReport) -> str:
    """Return the line that is shown when a period has ended."""
    if not one.did_run:
        return f"{one.period}  done before"
    how = "succeeded" if one.run.is_good else "failed"
    return f"{one.period}  {how} in {one.run.duration_s:.1f} s  run {one.run.run_id}"


def _show_ends(project: Project, ended: Sequence[PeriodReport]) -> None:
    headline = project.declared.headline
    words = {Outcome.SUCCEEDED: RAN, Outcome.UPSTREAM_FAILED: "-"}
    rows = []
    for one in ended:
        did = {task.task: words.get(task.outcome, task.outcome.value) for task in one.run.tasks}
        told = {task.task: task.failure.message if task.failure else task.reason for task in one.run.tasks}
        facts = {headline: dict(one.run.facts).get(headline, "")} if headline else {}
        rows.append({"period": one.period, **_by_stage(one.stages, did), **facts, BECAUSE: _first(did, told)})
    _show_matrix(rows)


def _show_plans(plans: Sequence[PeriodPlan], *, as_json: bool) -> None:
    if as_json:
        output.show_json([{"period": one.period, "tasks": output.plan_as_json(one.tasks)} for one in plans])
        return
    rows = []
    for one in plans:
        would = {task.task: task.verb for task in one.tasks}
        told = {task.task: task.reason for task in one.tasks}
        rows.append({"period": one.period, **_by_stage(one.stages, would), BECAUSE: _first(would, told)})
    _show_matrix(rows)


def _by_stage(stages: Mapping[str, Sequence[str]], words: Mapping[str, str]) -> dict[str, str]:
    """Return a word for each task; for elements of one, the most important word and how many it is for.

    Examples
    --------
    >>> _by_stage({"fit": ["fit_a", "fit_b"]}, {"fit_a": "cached", "fit_b": "ran"})
    {'fit': 'ran 1/2'}
    """
    found = {}
    for stage, tasks in stages.items():
        counts = Counter(words[task] for task in tasks)
        word = min(counts, key=lambda word: _RANK.index(word) if word in _RANK else -1)
        found[stage] = word if len(counts) == 1 else f"{word} {counts[word]}/{len(tasks)}"
    return found


def _first(words: Mapping[str, str], reasons: Mapping[str, str]) -> str:
    """Return why the first task that failed, else the first one that ran, did so."""
    for word in _RANK[:3]:
        for task, one in words.items():
            if one == word:
                told = f"{task}: {reasons[task]}"
                return told if len(told) <= _LONGEST_REASON else f"{told[: _LONGEST_REASON - 3]}..."
    return ""


def _show_matrix(rows: Sequence[Mapping[str, str]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    names.append(names.pop(names.index(BECAUSE)))
    output.show_folded_table(names, [[row.get(name, "") for name in names] for row in rows])
