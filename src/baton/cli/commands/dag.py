"""``baton dag``: the pipeline drawn as text or Mermaid."""

from __future__ import annotations

import click

from baton.cli import output
from baton.cli.options import ProjectCommand, place_options
from baton.core.dag import Dag


@click.command(cls=ProjectCommand)
@click.argument("targets", nargs=-1)
@click.option(
    "--format", "form", type=click.Choice(["text", "mermaid"]), default="text", help="How to draw it [text]"
)
@place_options
@click.pass_context
def command(ctx: click.Context, targets: tuple[str, ...], form: str) -> None:
    """Draw the pipeline, or the part that TARGETS need."""
    dag = ctx.obj.dag.subset(targets) if targets else ctx.obj.dag
    output.show_data(as_mermaid(dag) if form == "mermaid" else as_text(dag))


def as_text(dag: Dag) -> str:
    """Return one line per task in topological order, with its inputs and outputs."""
    width = max(len(task.name) for task in dag.order)
    lines = []
    for task in dag.order:
        needs = ", ".join(up.name for up in dag.upstream_of(task))
        mark = "!" if task.effect else " "
        made = f"  -> {', '.join(task.outputs)}" if task.outputs else ""
        lines.append(f"{mark} {task.name:{width}}  <- {needs or '-'}{made}")
    return "\n".join([*lines, "", "! marks an effect, which is never cached"])


def as_mermaid(dag: Dag) -> str:
    """Return the DAG as a Mermaid flowchart, with a subgraph for each group of several tasks."""
    lines = ["flowchart LR"]
    for group, members in dag.groups.items():
        shapes = [
            f'{task.name}(["{task.name}"])' if task.effect else f'{task.name}["{task.name}"]'
            for task in members
        ]
        if len(members) > 1:
            lines += [f"  subgraph {group}_group[{group}]", *(f"    {shape}" for shape in shapes), "  end"]
        else:
            lines += [f"  {shape}" for shape in shapes]
    lines += [f"  {up.name} --> {task.name}" for task in dag.order for up in dag.upstream_of(task)]
    return "\n".join(lines)
