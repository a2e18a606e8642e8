"""``baton models``: the versions of registered models."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from baton.cli import output
from baton.cli.options import Group, ProjectCommand, json_option, place_options

_CHAMPION = "champion"


class _ListUnlessNamed(Group):
    """A group whose subcommand is ``list`` unless another is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        is_named = bool(args) and (not args[0].startswith("-") or args[0] in ("-h", "--help"))
        if not is_named and not ctx.resilient_parsing:
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ListUnlessNamed, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """List the versions of registered models (the same as list), and move aliases."""


@command.command("list", cls=ProjectCommand)
@click.argument("name", required=False)
@json_option
@place_options
@click.pass_context
def list_versions(ctx: click.Context, name: str | None, as_json: bool) -> None:
    """List the versions of the model NAME, or of all, newest first."""
    from baton import api

    versions = api.models(ctx.obj, name)
    if as_json:
        output.show_json([asdict(version) for version in versions])
        return
    if not versions:
        output.say("no registered models; a pipeline registers one with tracking.register")
        return
    rows = [
        (
            one.model,
            one.version,
            ",".join(one.aliases),
            one.run_id[:8],
            one.created[:16].replace("T", " "),
            f"{one.commit[:12]}{'+' if one.dirty else ''}",
        )
        for one in versions
    ]
    output.show_table(("model", "version", "aliases", "run", "created (UTC)", "commit"), rows)


def _alias_option(function: Any) -> Any:
    return click.option("--alias", default=_CHAMPION, help=f"The alias [{_CHAMPION}]")(function)


@command.command(cls=ProjectCommand)
@click.argument("name")
@click.argument("version")
@_alias_option
@place_options
@click.pass_context
def promote(ctx: click.Context, name: str, version: str, alias: str) -> None:
    """Give an alias to VERSION of the model NAME."""
    from baton import api

    earlier = api.promote(ctx.obj, name, version, alias=alias)
    if earlier == version:
        output.say(f"version {version} of {name} is the {alias} already")
    else:
        before = f"; before, it was version {earlier}" if earlier else ""
        output.say(f"version {version} of {name} is now the {alias}{before}")


@command.command(cls=ProjectCommand)
@click.argument("name")
@_alias_option
@place_options
@click.pass_context
def rollback(ctx: click.Context, name: str, alias: str) -> None:
    """Give an alias back to the version of NAME that had it before."""
    from baton import api

    replaced, version = api.roll_back(ctx.obj, name, alias=alias)
    output.say(f"version {version} of {name} is the {alias} again, instead of version {replaced}")
