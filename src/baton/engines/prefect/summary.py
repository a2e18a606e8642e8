"""Artifacts of a flow run in Prefect: a summary, and a table of the tasks' outcomes."""

from __future__ import annotations

import re

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from baton.core.outcome import RunReport
from baton.runs.execution import Execution


def publish_summary(execution: Execution, report: RunReport, tracking_page: str) -> None:
    """Create both artifacts of the current flow run.

    Parameters
    ----------
    execution : Execution
        The execution that ran.
    report : RunReport
        How it ended.
    tracking_page : str
        Address of the tracking run's page, or the command that serves it; empty if there is none.
    """
    key = re.sub(r"[^a-z0-9]+", "-", execution.dag.name.lower()).strip("-") or "pipeline"
    create_markdown_artifact(
        summary_text(execution, report, tracking_page),
        key=f"{key}-summary",
        description=f"{execution.dag.name}, run {execution.run_id}",
    )
    create_table_artifact(
        outcome_rows(report),
        key=f"{key}-tasks",
        description=f"outcomes of the tasks of run {execution.run_id}",
    )


def summary_text(execution: Execution, report: RunReport, tracking_page: str) -> str:
    """Return the summary as Markdown."""
    hits = sum(task.outcome.value == "cached" for task in report.tasks)
    lines = [
        f"# {execution.dag.name}: {'succeeded' if report.is_good else 'failed'}",
        "",
        f"Run `{execution.run_id}` of {', '.join(execution.targets)}: {len(report.tasks)} tasks in "
        f"{report.duration_s:.1f} s, {hits} from the cache.",
        "",
    ]
    for task in report.tasks:
        if task.failure is not None:
            lines += [f"**Task `{task.task}` failed:** {task.failure.message}", ""]
            lines += [f"Hint: {task.failure.hint}", ""] if task.failure.hint else []
    if report.facts:
        lines += ["| | |", "|---|---|"]
        lines += [f"| {_cell(label)} | {_cell(value)} |" for label, value in dict(report.facts).items()]
        lines.append("")
    if report.tracking_run_id:
        run_id = report.tracking_run_id
        linked = tracking_page.startswith("http")
        lines.append(
            f"MLflow run: [{run_id}]({tracking_page})"
            if linked
            else f"MLflow run: `{run_id}`, shown by `{tracking_page}` in `{execution.project.folder}`"
        )
    return "\n".join(lines)


def outcome_rows(report: RunReport) -> list[dict[str, object]]:
    """Return one row per task."""
    return [
        {
            "task": task.task,
            "outcome": task.outcome.value,
            "seconds": round(task.duration_s, 2),
            "attempts": task.attempts,
            "why": task.failure.message if task.failure else task.reason,
            "outputs": ", ".join(f"{name} {made.digest[:12]}" for name, made in task.outputs.items()),
        }
        for task in report.tasks
    ]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
