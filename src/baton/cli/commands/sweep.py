"""``baton sweep``: try many parameters, and say which are best."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from baton.cli import output
from baton.cli.exit_codes import ExitCode
from baton.cli.options import ProjectCommand, jobs_option, json_option, place_options
from baton.cli.reporters import reporting
from baton.core.values import as_text
from baton.errors import ExtraMissing

if TYPE_CHECKING:
    from baton.runs.project import Project
    from baton.runs.sweep import Sweep, Trial

_SPACES = "spaces"
_FOLDER = "sweeps"
_LONGEST_NAME = 200


class SweepCommand(ProjectCommand):
    """A command whose parameters may have several values."""

    def texts_of_project(self, ctx: click.Context, texts: dict[str, str]) -> dict[str, str]:
        """Take out the parameters that have several values."""
        from baton.core.parameters import leaves
        from baton.runs.space import spaces_in

        dag = self.pipeline_from(ctx.meta["words"])
        spaces = spaces_in(leaves(dag.parameters), texts)
        ctx.meta[_SPACES] = {name: texts[name] for name in spaces}
        return {name: text for name, text in texts.items() if name not in spaces}


@click.command(cls=SweepCommand)
@click.option("--minimise", metavar="NUMBER", help="What to minimise, such as evaluation.metrics.rmse")
@click.option("--maximise", metavar="NUMBER", help="What to maximise, such as evaluation.metrics.r2")
@click.option("--target", metavar="TARGET", help="What each trial runs [the task that makes the number]")
@click.option(
    "--sampler",
    type=click.Choice(("grid", "random", "optuna")),
    help="What chooses the trials [grid; optuna with --trials or a range]",
)
@click.option("--trials", type=click.IntRange(min=1), help="Number of trials [all combinations of the grid]")
@click.option("--sampler-seed", type=int, default=0, help="Seed of the sampler [0]")
@jobs_option("Number of trials at once, on the engine make [1]", default=1)
@click.option(
    "--prune-after",
    type=click.IntRange(min=1),
    metavar="STEPS",
    help="End hopeless trials, after this many steps of their training",
)
@click.option("--track/--no-track", "tracked", default=True, help="Record the trials in MLflow [--track]")
@click.option("-v", "--verbose", is_flag=True, help="Show the tasks of each trial, and their messages")
@json_option
@place_options
@click.pass_context
def command(
    ctx: click.Context,
    minimise: str | None,
    maximise: str | None,
    target: str | None,
    sampler: Any,
    trials: int | None,
    sampler_seed: int,
    jobs: int,
    prune_after: int | None,
    tracked: bool,
    verbose: bool,
    as_json: bool,
) -> int:
    """Run the pipeline with different parameters, and show which are best.

    Give a parameter several values, --max-depth 4,8,16, or a range: --learning-rate 0.05:0.3, with a step as
    0.05:0.3:0.05, or on a log scale as 0.01:1:log.
    """
    from baton import api

    if (minimise is None) == (maximise is None):
        raise click.UsageError("give either --minimise or --maximise")
    project: Project = ctx.obj
    with reporting(quiet=not verbose, verbose=verbose, reasons=verbose) as report:
        sweep = api.sweep(
            project,
            ctx.meta[_SPACES],
            minimise or maximise or "",
            minimise=minimise is not None,
            target=target,
            sampler=sampler,
            trials=trials,
            seed=sampler_seed,
            jobs=jobs,
            prune_after=prune_after,
            tracked=tracked,
            report=report,
        )
        for trial in sweep:
            output.say(_line(trial, sweep))
        if sweep.stopped_by:
            output.say(f"no other trial runs: '{sweep.stopped_by}' is the same in all trials")
    best = sweep.best
    words = _best_command(project, best) if best is not None else ""
    page = _write_page(project, sweep, words) if best is not None else ""
    if as_json:
        output.show_json(_as_json(sweep, words, page))
    else:
        _show(sweep, words, page)
    return ExitCode.TASK_FAILED if any(trial.has_failed for trial in sweep.trials) else ExitCode.DONE


def _line(trial: Trial, sweep: Sweep) -> str:
    """Return the line that is shown when a trial has ended."""
    chosen = ", ".join(f"{name} {as_text(value)}" for name, value in trial.parameters.items())
    value = trial.value(sweep.objective)
    how = f"in {trial.run.duration_s:.1f} s" if trial.did_run else "done before"
    problem = trial.problem if trial.is_pruned else f"failed: {trial.problem}"
    ended = f"{sweep.objective.metric} {value:.6g}" if value is not None else problem
    best = "  best so far" if trial is sweep.best else ""
    return f"trial {trial.number} of {sweep.count}  {chosen}  {ended}  {how}{best}"


def _best_command(project: Project, best: Trial) -> str:
    from baton.runs.command_line import options_of, shown_word

    chosen = [f"--{name.replace('_', '-')}={as_text(value)}" for name, value in best.parameters.items()]
    return shlex.join(["baton", "run", *map(shown_word, [*options_of(project), *chosen])])


def _write_page(project: Project, sweep: Sweep, command: str) -> str:
    """Write the page and return its path; empty if what draws it is not installed."""
    from baton.runs.sweep_page import write_page

    name = "-".join([project.declared.name, *sweep.spaces])[:_LONGEST_NAME]
    path = project.home / _FOLDER / f"{name}.html"
    title = f"{project.declared.name}: sweep of {', '.join(sweep.spaces)}"
    try:
        write_page(path, title, sweep.trials, list(sweep.spaces.values()), sweep.objective, command)
    except ExtraMissing as error:
        output.say(f"no page: {error.message}; {error.hint}")
        return ""
    return str(path.relative_to(project.folder) if path.is_relative_to(project.folder) else path)


def _show(sweep: Sweep, words: str, page: str) -> None:
    from baton.runs.sweep_page import ranked

    rows = []
    for trial in ranked(sweep.trials, sweep.objective):
        value = trial.value(sweep.objective)
        problem = "pruned" if trial.is_pruned else "failed"
        shown = f"{value:.6g}" if value is not None else problem
        rows.append((trial.number, shown, *map(as_text, trial.parameters.values()), trial.problem))
    has_problem = any(trial.problem for trial in sweep.trials)
    columns = ("trial", sweep.objective.metric, *sweep.spaces, *(["problem"] if has_problem else []))
    output.show_folded_table(columns, [tuple(map(str, row[: len(columns)])) for row in rows])
    if words:
        output.show_data(f"\nBest: {words}")
    if page:
        output.show_data(f"Page: {page}")
    if sweep.tracking_run_id:
        output.show_data(f"MLflow run_id: {sweep.tracking_run_id}")


def _as_json(sweep: Sweep, words: str, page: str) -> dict[str, Any]:
    return {
        "objective": str(sweep.objective),
        "minimise": sweep.objective.minimise,
        "best": sweep.best.number if sweep.best is not None else None,
        "command": words,
        "page": page,
        "tracking_run_id": sweep.tracking_run_id,
        "trials": [
            {
                "trial": trial.number,
                "parameters": {name: as_text(value) for name, value in trial.parameters.items()},
                "value": trial.value(sweep.objective),
                "numbers": dict(trial.numbers),
                "problem": trial.problem,
                "pruned": trial.is_pruned,
                **output.run_as_json(trial.run),
            }
            for trial in sorted(sweep.trials, key=lambda trial: trial.number)
        ],
    }
