"""``baton airflow``: start Airflow for development, and trigger runs."""

from __future__ import annotations

import datetime
import os
from typing import Any

import click

from baton.cli import output
from baton.cli.exit_codes import ExitCode
from baton.cli.options import Group, ProjectCommand, json_option, place_options
from baton.cli.reporters import reporting
from baton.config.environment import variable_for
from baton.core.values import as_text
from baton.errors import Unavailable, UsageError


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Start Airflow for development, and trigger runs."""


@command.command(cls=ProjectCommand)
@click.option("--port", type=click.IntRange(1, 65535), default=8080, help="Port on 127.0.0.1 [8080]")
@place_options
@click.pass_context
def up(ctx: click.Context, port: int) -> int:
    """Start Airflow standalone with the project's pipeline, on this machine only."""
    from baton.engines.airflow.engine import AirflowEngine
    from baton.engines.airflow.server import standalone

    AirflowEngine().check()
    project = ctx.obj
    project.require_writable()
    # The tasks get this command's options through the environment, not through the DAG file.
    given = {name: as_text(value) for name, value in _given(ctx).items()}
    for name in (name for name, text in given.items() if text == ""):
        raise UsageError(
            f"--{name.replace('_', '-')} cannot be empty here: Airflow's tasks get it through the "
            "environment, where empty means not set",
            f'to set it in the file: baton config set {name} ""',
        )
    variables = {variable_for(name): text for name, text in given.items()}
    if ctx.meta.get("config"):
        variables["BATON_CONFIG"] = str(ctx.meta["config"].absolute())
    output.say("starting Airflow, this takes about half a minute")
    environ = {**os.environ, **variables}
    dag_id = project.declared.name
    with standalone(project.home, project.folder, dag_id, port=port, environ=environ) as airflow:
        output.say(f"serving {airflow.address} - stop with Ctrl-C")
        output.say(f"login: {airflow.username}, password: {airflow.password}")
        output.say(f"the DAG '{dag_id}' is paused; start it with: baton airflow trigger --unpause")
        return airflow.process.wait()


@command.command(cls=ProjectCommand)
@click.option("--address", help="Address of Airflow [the running standalone's, or http://127.0.0.1:8080]")
@click.option("--username", default="", help="Login name [the standalone's]")
@click.option("--password", default="", envvar="AIRFLOW_PASSWORD", help="Password; prefer AIRFLOW_PASSWORD")
@click.option("--dag-id", help="Id of the DAG [the pipeline's name]")
@click.option("--logical-date", help="Logical date of the run, such as 2021-01-01 [none]")
@click.option("--unpause", is_flag=True, help="Let the scheduler run the DAG, including its schedule")
@click.option("--force", "forced", multiple=True, metavar="TASK", help="Run this task even if cached")
@click.option("--cache/--no-cache", "use_cache", default=True, help="Use cached results [cache]")
@click.option("--follow/--no-follow", "followed", default=True, help="Wait until the run ends [follow]")
@json_option
@place_options
@click.pass_context
def trigger(
    ctx: click.Context,
    address: str | None,
    username: str,
    password: str,
    dag_id: str | None,
    logical_date: str | None,
    unpause: bool,
    forced: tuple[str, ...],
    use_cache: bool,
    followed: bool,
    as_json: bool,
) -> int:
    """Trigger a run with Airflow's scheduler through its REST API, and follow it."""
    from baton.engines.airflow.rest import AirflowApi
    from baton.engines.airflow.server import address_of, login_of
    from baton.engines.airflow.watch import watch
    from baton.engines.engine import FORCE, USE_CACHE

    project = ctx.obj
    own = address_of(project.home)
    if not username and (address is None or address == own):
        username, known = login_of(project.home)
        password = password or known
    dag_id = dag_id or project.declared.name
    conf = {name: value for name, value in _given(ctx).items() if name in _parameters(ctx)}
    conf |= {} if use_cache else {USE_CACHE: False}
    conf |= {FORCE: list(forced)} if forced else {}
    api = AirflowApi(
        address or own, username=username, password=password, token=os.environ.get("AIRFLOW_CLI_TOKEN", "")
    )
    paused = api.dag(dag_id)["is_paused"]
    if paused and not unpause:
        raise UsageError(
            f"DAG '{dag_id}' is paused, so its runs would wait",
            "unpause it, including its schedule, with: --unpause",
        )
    if paused:
        api.unpause(dag_id)
    run = api.trigger(dag_id, conf, _moment(logical_date))
    if not followed:
        output.show_data(run)
        return ExitCode.DONE
    with reporting(quiet=as_json, verbose=False) as report:
        try:
            ended = watch(api, dag_id, run, report)
        except Unavailable as error:
            raise Unavailable(
                f"{error.message}; run '{run}' of DAG '{dag_id}' is triggered and may be running", error.hint
            ) from error
    output.show_end(ended, as_json=as_json)
    return ExitCode.DONE if ended.is_good else ExitCode.TASK_FAILED


def _given(ctx: click.Context) -> dict[str, Any]:
    """Return the settings and parameters from the command line, by name."""
    given: dict[str, Any] = ctx.obj.configuration.given("command line")
    return given


def _parameters(ctx: click.Context) -> set[str]:
    from baton.core.parameters import leaves

    return {leaf.name for leaf in leaves(ctx.obj.declared.parameters)}


def _moment(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--logical-date cannot be '{text}': {error}", "write it as 2021-01-01") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).isoformat()
