"""``baton config``: show and set settings and parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from baton.cli import output
from baton.cli.options import Group, ProjectCommand, json_option, place_options
from baton.config import file
from baton.config.resolve import convert_one
from baton.core.values import as_plain, as_text
from baton.errors import SettingsError, nearest
from baton.store.shown import plain

if TYPE_CHECKING:
    from baton.config.resolve import Configuration
    from baton.core.parameters import Leaf


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Show and set settings and parameters."""


@command.command(cls=ProjectCommand)
@json_option
@place_options
@click.pass_context
def show(ctx: click.Context, as_json: bool) -> None:
    """Show every value and where it came from."""
    rows = list(_rows_of(ctx.obj.configuration))
    if as_json:
        output.show_json(
            {key: {"value": value, "source": s, "place": place} for key, value, s, place in rows}
        )
        return
    show_configuration(ctx.obj.configuration)


def show_configuration(configuration: Configuration) -> None:
    """Print every value and where it came from."""
    output.show_table(
        ("key", "value", "from"),
        [
            (key, as_text(v), f"{s} {place}".strip() if s != "default" else s)
            for key, v, s, place in _rows_of(configuration)
        ],
    )


def _rows_of(configuration: Configuration) -> Iterator[tuple[str, Any, str, str]]:
    for leaf in configuration.leaves:
        value, origin = configuration.value(leaf), configuration.origins[leaf.key]
        yield leaf.key, plain(leaf.name, value), origin.source, origin.place


@command.command("set", cls=ProjectCommand)
@click.argument("key")
@click.argument("value")
@place_options
@click.pass_context
def set_value(ctx: click.Context, key: str, value: str) -> None:
    """Set KEY (dotted or bare) to VALUE in the configuration file; 'none' removes it."""
    configuration = ctx.obj.configuration
    leaf = _leaf_of(configuration, key)
    place = ctx.obj.place_in_file(leaf)
    if value == "none" and not _is_choice(leaf, value):
        _remove(configuration, place)
        return
    converted = convert_one(leaf, value)
    file.write_value(configuration.path, place, as_plain(converted))
    output.say(f"set {'.'.join(place)} = {as_text(plain(leaf.name, converted))} in {configuration.path}")


@command.command("unset", cls=ProjectCommand)
@click.argument("key")
@place_options
@click.pass_context
def unset_value(ctx: click.Context, key: str) -> None:
    """Remove KEY (dotted or bare) from the file, so that its default applies."""
    configuration = ctx.obj.configuration
    _remove(configuration, ctx.obj.place_in_file(_leaf_of(configuration, key)))


@command.command("get", cls=ProjectCommand)
@click.argument("key")
@json_option
@place_options
@click.pass_context
def get_value(ctx: click.Context, key: str, as_json: bool) -> None:
    """Print the value of KEY (dotted or bare)."""
    configuration = ctx.obj.configuration
    leaf = _leaf_of(configuration, key)
    value, origin = plain(leaf.name, configuration.value(leaf)), configuration.origins[leaf.key]
    if as_json:
        output.show_json({"key": leaf.key, "value": value, "source": origin.source, "place": origin.place})
    else:
        output.show_data(as_text(value))


def _leaf_of(configuration: Configuration, key: str) -> Leaf:
    found = [leaf for leaf in configuration.leaves if key in (leaf.key, leaf.name)]
    if not found:
        names = [name for leaf in configuration.leaves for name in (leaf.key, leaf.name)]
        raise SettingsError(
            [f"setting or parameter '{key}' does not exist{nearest(key, names)}"],
            "list them with: baton config show",
        )
    return found[0]


def _remove(configuration: Configuration, place: tuple[str, ...]) -> None:
    file.remove_value(configuration.path, place)
    output.say(f"unset {'.'.join(place)} in {configuration.path}")


def _is_choice(leaf: Leaf, text: str) -> bool:
    """Whether a text is one of the allowed values, rather than the text for None."""
    return text in leaf.choices and convert_one(leaf, text) is not None


@command.command(cls=ProjectCommand)
@place_options
@click.pass_context
def schema(ctx: click.Context) -> None:
    """Print a JSON Schema of the configuration file, for editors."""
    from baton.config.schema import schema_of_file
    from baton.runs.project import keys_of_other_pipelines

    project = ctx.obj
    pipeline = project.configuration.settings.baton.pipeline
    others = keys_of_other_pipelines(project)
    output.show_json(schema_of_file(project.declared.parameters, pipeline, others))


@command.command(cls=ProjectCommand)
@place_options
@click.pass_context
def path(ctx: click.Context) -> None:
    """Print the path of the configuration file."""
    output.show_data(str(ctx.obj.configuration.path))
