"""A comparison as one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path

from baton.comparison.result import Comparison, pure_outputs
from baton.comparison.table import WHAT_FIGURES_ARE, table_of

TEMPLATE = Path(__file__).with_name("page.html.jinja")


def as_html(comparison: Comparison, command: str) -> str:
    """Return the page, with HTML in the comparison escaped.

    Parameters
    ----------
    comparison : Comparison
        The comparison to show.
    command : str
        The command that regenerates it.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    header, rows = table_of(comparison)
    return environment.get_template(TEMPLATE.name).render(
        comparison=comparison,
        command=command,
        header=header,
        rows=rows,
        meanings=WHAT_FIGURES_ARE,
        longest_s=max((run.wall_s for run in comparison.runs), default=0.0),
        artifacts=[
            (name, task, [run.digests.get(name, "") for run in comparison.runs])
            for name, task in pure_outputs(comparison.dag)
        ],
        tasks=[
            (
                task.name,
                [next((t for t in run.tasks if t.task == task.name), None) for run in comparison.runs],
            )
            for task in comparison.dag.order
        ],
    )
