"""Shared options, and the options made from the pipeline's parameters."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from baton.cli import output
from baton.core.values import as_text, is_list, placeholder, read_path
from baton.errors import BatonError, InvalidPipeline, UsageError

if TYPE_CHECKING:
    from baton.core.dag import Dag
    from baton.core.parameters import Leaf
    from baton.runs.project import Project

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_ALWAYS = {"pipeline", "home", "store"}
_EVERYTHING = "*"


class Command(click.Command):
    """A command that prints its help on stdout, as data."""

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return the option ``--help``."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.callback = _show_help
        return option


class Group(Command, click.Group):
    """A command with subcommands."""


class ProjectCommand(Command):
    """A command whose options include every setting and every parameter of the pipeline.

    It finds the pipeline from the arguments, then turns its parameters into options.
    """

    _extra: list[click.Parameter] | None = None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Find the pipeline in the arguments, then parse them with its options."""
        ctx.meta["words"] = tuple(args)
        self._extra = list(_parameter_options(args, {name for p in self.params for name in p.opts}))
        return super().parse_args(ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's own options and the pipeline's."""
        own = super().get_params(ctx)
        return [*own[:-1], *(self._extra or []), *own[-1:]]

    def invoke(self, ctx: click.Context) -> Any:
        """Open the project from the parsed options and pass it on as the first argument."""
        known = {option.name for option in self._extra or []}
        chosen = {name: ctx.params.pop(name) for name in list(ctx.params) if name in known}
        texts = {name: _one_text(name, given) for name, given in chosen.items() if given not in (None, ())}
        ctx.obj = project_from(ctx, self.texts_of_project(ctx, texts))
        return super().invoke(ctx)

    def texts_of_project(self, ctx: click.Context, texts: dict[str, str]) -> dict[str, str]:  # noqa: ARG002
        """Return the options to open the project with: those given, unless a command takes some out."""
        return texts

    @staticmethod
    def pipeline_from(args: Sequence[str]) -> Dag:
        """Return the pipeline that the arguments mean."""
        return _pipeline_from(args)


def _show_help(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        output.show_data(ctx.get_help())
        ctx.exit()


def place_options(function: Decorated) -> Decorated:
    """Add the options that locate the project."""
    function = click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        help="Configuration file [orchestration_config.json]",
    )(function)
    return click.option(
        "-C", "--project", "project_path", type=click.Path(path_type=Path), help="The project's folder [.]"
    )(function)


def json_option(function: Decorated) -> Decorated:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout")(function)


def jobs_option(help_text: str, default: int | None = None) -> Callable[[Decorated], Decorated]:
    """Return the decorator that adds ``--jobs``."""
    return click.option("-j", "--jobs", type=click.IntRange(min=1), default=default, help=help_text)


def force_option(help_text: str) -> Callable[[Decorated], Decorated]:
    """Return a decorator that adds ``--force [TASK]``; `forced_tasks` interprets it."""
    return click.option(
        "--force",
        "forced",
        multiple=True,
        is_flag=False,
        flag_value=_EVERYTHING,
        metavar="[TASK]",
        help=help_text,
    )


def forced_tasks(project: Project, targets: Sequence[str], forced: Sequence[str]) -> tuple[str, ...]:
    """Return the tasks that ``--force`` names; without a name, every task that the targets need."""
    if _EVERYTHING in forced:
        return tuple(task.name for task in project.dag.subset(targets).tasks)
    return tuple(forced)


def project_from(ctx: click.Context, options: dict[str, str]) -> Project:
    """Open the project that a command's options describe."""
    from baton.runs.project import open_project, project_above

    folder = _expanded(ctx.params.pop("project_path", None))
    config = _expanded(ctx.params.pop("config_path", None))
    if folder is not None and not folder.is_dir():
        raise UsageError(f"the project's folder {folder} does not exist", f"create it with: mkdir {folder}")
    ctx.meta.update(project=folder, config=config)
    config = config.absolute() if config else None
    if folder is not None:
        os.chdir(folder)  # paths in options are relative to the project, as with make -C and git -C
    project = open_project(config=config, options=options)
    above = project_above(project)
    if above is not None:
        output.say(
            f"a new project begins in this folder; the one in {above} is not used (to use it: -C {above})"
        )
    for warning in project.configuration.warnings:
        output.say(f"warning: {warning}")
    return project


def _parameter_options(args: Sequence[str], taken: set[str]) -> list[click.Option]:
    """Return an option for each setting and parameter; only settings if no pipeline is found."""
    from baton.config.settings import all_settings
    from baton.core.parameters import leaves

    options = [_option_for(leaf, "setting") for leaf in leaves(all_settings())]
    # A command may redefine a setting's option, as compare does with --engine.
    options = [option for option in options if not taken.intersection(option.opts)]
    try:
        dag = _pipeline_from(args)
    except BatonError:
        if {"-h", "--help"}.intersection(args):
            return options  # help works despite any error
        raise
    for leaf in leaves(dag.parameters):
        option = _option_for(leaf, "parameter")
        if taken.intersection(option.opts):
            raise InvalidPipeline(
                dag.name,
                [f"parameter '{leaf.name}' has the name of the option {option.opts[0]}"],
                "rename it",
            )
        options.append(option)
    return options


def _pipeline_from(args: Sequence[str]) -> Dag:
    from baton.runs.project import find_pipeline

    folder = _expanded(_value_in(args, "--project", "-C"))
    config = _expanded(_value_in(args, "--config"))
    pipeline = _value_in(args, "--pipeline")
    options = {"pipeline": pipeline} if pipeline else {}
    return find_pipeline(
        folder=folder,
        config=config.absolute() if config else None,
        options=options,
    )


def _value_in(args: Sequence[str], *names: str) -> str | None:
    for index, argument in enumerate(args):
        if argument == "--":
            break
        if argument in names and index + 1 < len(args):
            return args[index + 1]
        for name in names:
            if name.startswith("--") and argument.startswith(f"{name}="):
                return argument.partition("=")[2]
    return None


def _option_for(leaf: Leaf, kind: str) -> click.Option:
    shown = as_text(leaf.default)
    text = f"{leaf.description} [{shown}]" if shown else leaf.description
    return click.Option(
        [f"--{leaf.name.replace('_', '-')}", leaf.name],
        metavar=placeholder(leaf.type),
        multiple=is_list(leaf.type),
        help=text,
        hidden=kind == "setting" and leaf.name not in _ALWAYS and leaf.path[0] == "artifacts",
    )


def _one_text(name: str, given: str | tuple[str, ...]) -> str:
    """Return the text given to an option; a list's option may be repeated."""
    if isinstance(given, str):
        return given
    if len(given) > 1 and any(text.lstrip().startswith("[") for text in given):
        option = f"--{name.replace('_', '-')}"
        raise UsageError(
            f"{option} is repeated, but one value is a whole list",
            f"write it as one list: {option} '[...]'",
        )
    return ",".join(given)


def _expanded(place: str | Path | None) -> Path | None:
    if not place:
        return None
    try:
        return Path(read_path(str(place)))
    except ValueError as error:
        raise UsageError(f"{place} cannot be used: {error}") from error
