"""``baton list``: targets, tasks and parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from baton.cli import output
from baton.cli.options import ProjectCommand, json_option, place_options
from baton.core.values import as_text
from baton.store.shown import plain

if TYPE_CHECKING:
    from baton.core.dag import Dag


@click.command(cls=ProjectCommand)
@json_option
@place_options
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List the pipeline's targets with their tasks, and its parameters."""
    dag, configuration = ctx.obj.dag, ctx.obj.configuration
    own = [
        leaf for leaf in configuration.leaves if leaf.path[0] not in configuration.settings.__struct_fields__
    ]
    if as_json:
        output.show_json(
            {
                "pipeline": dag.name,
                "default": dag.default,
                "tasks": [
                    {
                        "task": task.name,
                        "group": task.group,
                        "effect": task.effect,
                        "inputs": list(task.inputs),
                        "parameters": list(task.parameters),
                        "outputs": list(task.outputs),
                        "description": task.description,
                    }
                    for task in dag.order
                ],
                "parameters": {leaf.key: plain(leaf.name, configuration.value(leaf)) for leaf in own},
            }
        )
        return
    output.show_data(f"{dag.name}: {dag.description}" if dag.description else dag.name)
    output.show_data("")
    show_targets(dag)
    output.show_data("")
    output.show_table(
        ("parameter", "value", "description"),
        [(leaf.name, as_text(plain(leaf.name, configuration.value(leaf))), leaf.description) for leaf in own],
    )


def show_targets(dag: Dag) -> None:
    """Print the pipeline's targets, each with its tasks."""
    rows = [
        (task.group + (" (default)" if task.group == dag.default else ""), task.name, task.description)
        for group in dict.fromkeys(task.group for task in dag.order)
        for task in dag.order
        if task.group == group
    ]
    output.show_table(("target", "task", "what it does"), rows)
