"""A page about a sweep: what was tried, which parameters matter, and how the best value was found."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baton.core.files import write_atomically
from baton.core.values import as_text
from baton.errors import ExtraMissing
from baton.runs.space import Space
from baton.runs.sweep import Objective, Trial, best_of

if TYPE_CHECKING:
    import optuna

_ENOUGH_FOR_IMPORTANCE = 4
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{padding:.2rem 1rem .2rem 0;text-align:left}"
    "tr.best{font-weight:bold}pre{background:#f4f4f4;padding:.6rem;overflow-x:auto}"
)


def write_page(
    path: Path,
    title: str,
    trials: Sequence[Trial],
    spaces: Sequence[Space],
    objective: Objective,
    command: str,
) -> None:
    """Write a page that opens without a network, unless it is there already.

    Parameters
    ----------
    path : Path
        The file.
    title : str
        The page's title.
    trials : sequence of Trial
        The trials.
    spaces : sequence of Space
        What was varied.
    objective : Objective
        What they are compared by.
    command : str
        The command that runs the best trial.

    Raises
    ------
    ExtraMissing
        If Optuna or plotly, which draw it, is not installed.
    """
    best = best_of(trials, objective)
    table = "".join(
        _row(trial, spaces, objective, is_best=trial is best) for trial in ranked(trials, objective)
    )
    heads = ["trial", str(objective), *(space.leaf.name for space in spaces), ""]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in heads)
    shown = f"<p>The best trial:</p><pre>{html.escape(command)}</pre>"
    rows = f"<table><tr>{head}</tr>{table}</table>"
    digest = hashlib.sha256(f"{title}{shown}{rows}".encode()).hexdigest()
    begin = f"<!doctype html><html lang=en><meta charset=utf-8><meta name=baton-sweep content={digest}>"
    if _begins_with(path, begin):
        return
    try:
        figures = _figures(trials, spaces, objective)
    except ImportError:
        raise ExtraMissing("the page of a sweep", "sweep") from None
    parts = [
        figure.to_html(full_html=False, include_plotlyjs=number == 0) for number, figure in enumerate(figures)
    ]
    page = (
        f"{begin}<title>{html.escape(title)}</title><style>{_STYLE}</style><h1>{html.escape(title)}</h1>"
        f"{shown}{''.join(parts)}{rows}</html>"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, page.encode())


def _begins_with(path: Path, begin: str) -> bool:
    """Whether a file exists and begins with a text."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(len(begin)) == begin
    except (OSError, UnicodeDecodeError):
        return False


def ranked(trials: Sequence[Trial], objective: Objective) -> list[Trial]:
    """Return the trials, best first; pruned and failed ones last."""
    sign = 1 if objective.minimise else -1
    return sorted(
        trials,
        key=lambda trial: (
            bool(trial.problem),
            sign * trial.numbers.get(objective.metric, 0.0),
            trial.number,
        ),
    )


def _row(trial: Trial, spaces: Sequence[Space], objective: Objective, *, is_best: bool) -> str:
    value = trial.value(objective)
    shown = [
        str(trial.number),
        f"{value:.6g}" if value is not None else "pruned" if trial.is_pruned else "failed",
        *(as_text(trial.parameters[space.leaf.name]) for space in spaces),
        trial.problem,
    ]
    cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in shown)
    return f"<tr{' class=best' if is_best else ''}>{cells}</tr>"


def _figures(trials: Sequence[Trial], spaces: Sequence[Space], objective: Objective) -> list[Any]:
    from optuna import visualization

    study = _study_of(trials, spaces, objective)
    values = [trial.value for trial in study.trials]
    if not values:
        return []
    name = objective.metric
    history = visualization.plot_optimization_history(study, target_name=name)
    numbers = [trial.number for trial in trials if not trial.problem]
    history.for_each_trace(lambda trace: trace.update(x=[numbers[place] for place in trace.x]))
    figures = [history, visualization.plot_parallel_coordinate(study, target_name=name)]
    if len(values) >= _ENOUGH_FOR_IMPORTANCE and len(set(values)) > 1 and len(spaces) > 1:
        figures.append(visualization.plot_param_importances(study, target_name=name))
    return figures


def _study_of(trials: Sequence[Trial], spaces: Sequence[Space], objective: Objective) -> optuna.Study:
    """Return the good trials as Optuna's visualisations take them."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction=objective.direction)
    kinds = {space.leaf.name: _axis_of(space) for space in spaces}
    for trial in trials:
        if trial.problem:
            continue
        shown = {
            name: as_text(value)
            if isinstance(kinds[name], optuna.distributions.CategoricalDistribution)
            else value
            for name, value in trial.parameters.items()
        }
        study.add_trial(
            optuna.trial.create_trial(params=shown, distributions=kinds, value=trial.value(objective))
        )
    return study


def _axis_of(space: Space) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    ends = space.values or (space.low, space.high)
    if all(type(value) is int for value in ends):
        return IntDistribution(min(ends), max(ends), log=space.log)
    if all(type(value) in (int, float) for value in ends):
        return FloatDistribution(min(ends), max(ends), log=space.log)
    return CategoricalDistribution([as_text(value) for value in ends])
