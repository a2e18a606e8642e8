"""The entry point: find the command, run it, and turn every outcome into an exit code."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

import click

from baton.cli import output
from baton.cli.exit_codes import ExitCode
from baton.cli.options import Group
from baton.errors import BatonError
from baton.processes.lifecycle import collect_garbage_seldom, leave

COMMANDS = {
    "init": "Write a new project with a small pipeline",
    "run": "Run the pipeline, or the part that TARGETS need",
    "backfill": "Run the pipeline for each of several periods",
    "sweep": "Try different parameters, and show which are best",
    "plan": "Show what would run and why, without writing anything",
    "explain": "Show why a task would or would not run",
    "status": "Show the latest runs",
    "logs": "Show what the tasks of a run logged",
    "show": "Show an artifact of a run, or write it to a file",
    "models": "List the versions of registered models, and move aliases",
    "compare": "Run the pipeline on several engines and compare the results",
    "list": "List targets, tasks and parameters",
    "dag": "Draw the pipeline as text or Mermaid",
    "clean": "Delete the cached results and files of targets",
    "cache": "Inspect, check and shrink the cache",
    "config": "Show and set settings and parameters",
    "engines": "List the engines and whether they are available",
    "doctor": "Check everything that a run needs",
    "prefect": "Run a Prefect server, and the pipeline as a Prefect deployment",
    "airflow": "Start Airflow for development, and trigger runs",
    "menu": "Choose commands from a menu",
    "ui": "Serve MLflow's UI for the local store",
    "completion": "Print the shell completion script",
}
"""Every command with its line in ``--help``; `baton.cli.commands` has one module per command."""


COMPLETE = "_BATON_COMPLETE"
"""The variable that a shell's completion script sets to request completions."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, handled like an interrupt so that everything is closed."""


class LazyGroup(Group):
    """A group that imports its commands on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"baton.cli.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from `COMMANDS` without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest the nearest name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from baton.errors import nearest

            raise click.UsageError(f"command '{args[0]}' does not exist{nearest(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)


def _show_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        import importlib.metadata

        output.show_data(f"baton, version {importlib.metadata.version('baton-ml')}")
        ctx.exit()


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def app() -> None:
    """Declare a training pipeline once and run it on any engine."""


def main(arguments: Sequence[str] | None = None, command: click.Command = app) -> None:
    """Run the command line, or that of another program, and exit with one of `ExitCode`."""
    if sys.platform == "win32":  # runs need POSIX process groups and pipes
        _show_error("baton does not run on Windows", "use Linux, macOS or WSL (Linux on Windows)")
        sys.exit(ExitCode.UNAVAILABLE)
    collect_garbage_seldom()
    output.reserve_stdout()
    signal.signal(signal.SIGTERM, _terminate)
    code = run_command_line(arguments, command)
    output.close_stdout()
    leave(code)


def run_command_line(arguments: Sequence[str] | None = None, command: click.Command = app) -> int:
    """Run one command and return its exit code; every error is shown on stderr."""
    words = list(arguments) if arguments is not None else None
    try:
        if asked := os.environ.get(COMPLETE):
            return _complete(command, asked)
        ended = command.main(args=words, standalone_mode=False)
        return int(ended) if isinstance(ended, int) else ExitCode.DONE
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return ExitCode.USAGE
    except click.UsageError as error:
        _show_error(error.format_message(), _help_for(error))
        return ExitCode.USAGE
    except click.ClickException as error:
        _show_error(error.format_message(), "")
        return ExitCode.USAGE
    except BatonError as error:
        problems = getattr(error, "problems", ())
        message = (
            "\n  ".join(problems)
            if len(problems) > 1 and error.exit_code == ExitCode.USAGE
            else error.message
        )
        _show_error(message, error.hint)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort) as error:
        # click turns an interrupt into its own Abort.
        if isinstance(error, Terminated) or isinstance(error.__cause__, Terminated):
            _show_error("terminated", "")
            return ExitCode.TERMINATED
        _show_error("interrupted", "")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:  # the reader of the data closed the pipe
        return ExitCode.DONE
    except Exception as error:  # a bug in baton: show one line, save the rest to a file
        return _show_bug(error)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise Terminated


def _complete(command: click.Command, asked: str) -> int:
    """Answer the shell's completion request on stdout, as click would."""
    from click.shell_completion import get_completion_class

    shell, _, wanted = asked.partition("_")
    found = get_completion_class(shell)
    if found is None:
        return ExitCode.TASK_FAILED
    answers = found(command, {}, "baton", COMPLETE)
    output.show_data(answers.source() if wanted == "source" else answers.complete())
    return ExitCode.DONE


def _help_for(error: click.UsageError) -> str:
    return f"see: {error.ctx.command_path} --help" if error.ctx is not None else "see: baton --help"


def _show_error(message: str, hint: str) -> None:
    output.show_error(message, hint)


def _show_bug(error: Exception) -> int:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="baton-error-", suffix=".txt", delete=False) as file:
        traceback.print_exception(error, file=file)
    _show_error(
        f"baton failed on {type(error).__name__}: {error}",
        f"this is a bug in baton; see {file.name} for details",
    )
    return ExitCode.TASK_FAILED


if __name__ == "__main__":
    main()
