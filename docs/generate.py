"""Write the reference pages from the program itself: commands, settings, exit codes, tasks.

Run it with ``python docs/generate.py``; with ``--check`` nothing is written, and it exits 1 naming
the pages that are out of date.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from baton import errors
from baton.cli.app import COMMANDS, app
from baton.cli.commands.dag import as_mermaid
from baton.cli.exit_codes import ExitCode
from baton.cli.options import ProjectCommand
from baton.config import environment
from baton.config.file import DEFAULT_NAME
from baton.config.settings import all_settings
from baton.core.dag import Dag
from baton.core.parameters import Leaf, leaves
from baton.core.values import as_plain, as_text, in_words

REFERENCE = Path(__file__).parent / "reference"
TESTS = Path(__file__).parents[1] / "tests"
VERSION_RESULTS = REFERENCE / "versions.json"
FAULT_RESULTS = Path(__file__).parent / "explanation" / "faults.json"
PIPELINE = "tripduration.pipeline:dag"
WIDTH = 96
NOTE = "<!-- Written by docs/generate.py from the program: do not edit. -->\n\n"

ENDINGS = {
    ExitCode.DONE: "The command did what was asked.",
    ExitCode.TASK_FAILED: "A task failed; the run prints the command that resumes it. "
    "Or a cached result was wrong (`run --recheck`, `cache recheck`). "
    "Or `cache verify` found damage.",
    ExitCode.USAGE: "The command line, a setting or a parameter cannot be used.",
    ExitCode.INVALID_PIPELINE: "The pipeline's declaration breaks a rule; every finding is listed.",
    ExitCode.UNAVAILABLE: "An engine, the store, a folder or the MLflow server cannot be used.",
    ExitCode.INTERRUPTED: "Ctrl-C.",
    ExitCode.TERMINATED: "Ended by SIGTERM.",
}

PLACES = {
    "BATON_PROJECT": "The project's folder, as `--project`.",
    "BATON_CONFIG": "The configuration file, as `--config`.",
}


VALUES = """\
## How a value is written

The same on the command line, in the environment and in `baton config set`. The file has JSON.

| type | as text | in the file |
|---|---|---|
| whole number | digits `0` to `9`, with a sign if need be; `08` is 8 | `8` |
| number | `0.5`, `.5`, `1e-3` | `0.5` |
| true or false | `true` or `1`, `false` or `0` | `true` |
| text | as it is | `"as it is"` |
| one of several | one of them, spelled the same | `"one"` |
| path | `trips`, `~/trips`, `/data/trips`; `~` is the home folder | `"~/trips"` |
| date, date and time, time | `2021-01-31`, `2021-01-31T12:00:00`, `12:00:00` | `"2021-01-31"` |
| list | `1,2,3`; blanks around an element do not count | `[1, 2, 3]` |
| list, element with a comma | as JSON: `["a,b", "c"]`; so is the empty list, `[]` | `["a,b", "c"]` |
| not set | `none` | `null` |

Nothing else is a number: not `0x10`, `1_000`, ` 3 ` or digits of other scripts. The option of a list may be
given several times: `--months 1 --months 2,3` is `--months 1,2,3`.

## In an editor

`baton config schema > schema.json` writes a JSON Schema of the file. With `"$schema": "./schema.json"` at the
top of the file, an editor completes keys, describes them and marks wrong values; baton ignores that key.
Write the schema again when the pipeline's parameters change.

## Several pipelines in one folder

What the file holds counts for every pipeline that has the key. What counts for one alone is in its section of
`pipelines`, which wins over the rest of the file:

```json
{
  "data": {"source": "sample"},
  "pipelines": {"flowers:dag": {"strength": 0.5}}
}
```

`baton config set strength 0.5 --pipeline flowers.py` writes there, unless `flowers:dag` is the folder's own
pipeline (`baton.pipeline`). A key or variable that only another pipeline knows is left alone; that is the
folder's own, the shipped one, or one with a section. Any other unknown key is refused with the nearest name.
A variable that is near to no name is warned of, because it may belong to another folder.
([Why](../adr/015-several-pipelines-in-one-folder.md).)
"""


def pages() -> dict[str, str]:
    """Return every generated page by its file name."""
    dag = _pipeline()
    return {
        "cli.md": NOTE + commands_page(),
        "settings.md": NOTE + settings_page(dag),
        "exit-codes.md": NOTE + exit_codes_page(),
        "tasks.md": NOTE + tasks_page(dag),
        "../explanation/faults.md": NOTE + faults_page(),
        "versions.md": NOTE + versions_page(),
    }


def commands_page() -> str:
    """Return the page of all commands with their options."""
    parts = [
        "# Commands\n",
        "What each command prints with `--help`. Commands that work on a project also take the",
        "[shared options](#shared-options): every setting and every parameter of the pipeline.\n",
        _block(_help(app, "baton")),
    ]
    for path, command in all_commands():
        parts.append(f"## baton {path}\n")
        parts.append(_block(_help(command, f"baton {path}")))
        if isinstance(command, ProjectCommand):
            parts.append("And the [shared options](#shared-options).\n")
    parts.append("## Shared options\n")
    parts.append("The parameters are those of the shipped pipeline; another pipeline brings its own.\n")
    formatter = click.HelpFormatter(width=WIDTH)
    formatter.write_dl([record for record in _shared_records() if record is not None])
    parts.append(_block(formatter.getvalue()))
    return "\n".join(parts)


def all_commands() -> Iterator[tuple[str, click.Command]]:
    """Yield each command with its words after ``baton``, subcommands included."""
    for name in COMMANDS:
        command = importlib.import_module(f"baton.cli.commands.{name}").command
        yield name, command
        if isinstance(command, click.Group):
            for inner in command.list_commands(click.Context(command)):
                yield f"{name} {inner}", command.commands[inner]


def settings_page(dag: Dag) -> str:
    """Return the page of all settings and parameters."""
    parts = [
        "# Settings and parameters\n",
        f"A value comes from, each winning over those before it: the default, the file `{DEFAULT_NAME}` in",
        "the project's folder, the environment, the command line. `baton config show` says which one it was.",
        "`none` as a value means: not set.\n",
        VALUES,
        "## Settings of baton\n",
        *_table(leaves(all_settings())),
        "\n## Parameters of the duration pipeline\n",
        *_table(leaves(dag.parameters)),
        "\n## Where to look\n",
        "| environment variable | what it says |",
        "|---|---|",
        *(f"| `{name}` | {PLACES[name]} |" for name in sorted(environment.OWN)),
        "\n`NO_COLOR`, set to anything, turns colours off.\n",
        f"## {DEFAULT_NAME} with every default\n",
        "```json",
        json.dumps(_nested([*leaves(all_settings()), *leaves(dag.parameters)]), indent=2),
        "```\n",
    ]
    return "\n".join(parts)


def exit_codes_page() -> str:
    """Return the page of all exit codes, with the errors that end in each."""
    causes: dict[int, list[str]] = {}
    for _, found in inspect.getmembers(errors, inspect.isclass):
        if issubclass(found, errors.BatonError) and found is not errors.BatonError:
            causes.setdefault(found.exit_code, []).append(f"`{found.__name__}`")
    rows = [
        f"| {code.value} | `{code.name}` | {ENDINGS[code]} | {', '.join(causes.get(code, []))} |"
        for code in ExitCode
    ]
    return "\n".join(
        [
            "# Exit codes\n",
            "Every command ends with one of these. The errors are the classes of `baton.errors` that end so;",
            "a program catches them.\n",
            "| code | name | meaning | errors |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def tasks_page(dag: Dag) -> str:
    """Return the page of the shipped pipeline's tasks."""
    parts = [
        "# Tasks of the duration pipeline\n",
        f"{dag.description}. An effect, drawn round, talks to the world and always runs; every other task is",
        "pure and can be cached.\n",
        "```mermaid",
        as_mermaid(dag),
        "```\n",
        f"The default target is `{dag.default}`. Targets that name several tasks:\n",
        *(
            f"- `{group}`: {', '.join(f'`{task.name}`' for task in members)}"
            for group, members in dag.groups.items()
            if len(members) > 1
        ),
        "",
    ]
    for task in dag.order:
        kind = "effect" if task.effect else "pure"
        after = f", after {', '.join(f'`{name}`' for name in task.after)}" if task.after else ""
        place = f", always {task.position}" if task.position else ""
        tries = f", tried {task.retry.retries + 1} times" if task.retry.retries else ""
        limit = f", at most {task.timeout_s:g} s" if task.timeout_s else ""
        parts += [
            f"## {task.name}\n",
            f"{task.description}\n",
            f"*{kind}{after}{place}{tries}{limit}*\n",
            "| | |",
            "|---|---|",
            f"| inputs | {_named(task.inputs)} |",
            f"| parameters | {', '.join(f'`{name}`' for name in task.parameters) or '-'} |",
            f"| outputs | {_named(task.outputs)} |",
            "",
        ]
    return "\n".join(parts)


def versions_page() -> str:
    """Return the page of the versions of orchestrators that tests have tried."""
    tried = json.loads(VERSION_RESULTS.read_text(encoding="utf-8"))
    columns = ("apache-airflow", "prefect", "python", "mlflow", "xgboost", "fastapi")
    rows = [
        "| {} | {} | {} | `{}` |".format(
            end, " | ".join(found.get(name, "") for name in columns), found["suite"], found["booster"][:16]
        )
        for end, found in tried.items()
    ]
    return "\n".join(
        [
            "# Versions of Airflow and Prefect",
            "",
            "baton runs on Airflow 3.1 to 3.3 and on Prefect from 3.6 on; an older one is refused before a",
            "run. The extra `all` holds the pair that works in one environment, Airflow 3.3.2 with Prefect",
            "3.7.7; with `airflow` or `prefect` alone, you can have any other. `make versions` tries the",
            "ends of both ranges in environments of their own: the suite that every engine must pass, and",
            "the duration pipeline on the sample, whose artifacts must be those of the engine `simple`.",
            "It found:",
            "",
            f"| | {' | '.join(columns)} | engine suite | booster |",
            f"|---|{'---|' * len(columns)}---|---|",
            *rows,
            "",
            "Airflow 3.1 knows no factor between the delays of retries, only that they double.",
            "",
        ]
    )


def faults_page() -> str:
    """Return the page of all faults that tests cause: one row for each ``pytest.mark.fault``."""
    results = json.loads(FAULT_RESULTS.read_text(encoding="utf-8"))
    rows = []
    for path in sorted(TESTS.rglob("test_*.py")):
        file = path.relative_to(TESTS.parent).as_posix()
        for test, what, outcome in _faults_in(path):
            words = test.removeprefix("test_").replace("_", " ")
            rows.append(
                f"| {what} | {outcome} | `{file}`: {words} | {_result(results.get(f'{file}::{test}'))} |"
            )
    return "\n".join(
        [
            "# Faults\n",
            "What goes wrong on purpose in the tests, and what must happen then. Each row stands beside its",
            "test, as `@pytest.mark.fault(...)`. `make check` runs all, `make test` those that do not",
            "take minutes. `make faults` runs them alone and records how each ended: the last column, where",
            "*not yet* is a test that was never recorded.\n",
            "| fault | what happens | test | last result |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _faults_in(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield the test's name, the fault and the outcome of each marked test."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for mark in getattr(node, "decorator_list", ()):
            if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
                assert isinstance(node, ast.FunctionDef)
                what, outcome = (ast.literal_eval(argument) for argument in mark.args)
                yield node.name, what, outcome


def _result(result: Mapping[str, Any] | None) -> str:
    """Return how a test ended when it was recorded, in words."""
    if result is None:
        return "not yet"
    cases = f" ({result['cases']} cases)" if result["cases"] > 1 else ""
    reason = f": {result['reason']}" if result["reason"] else ""
    return f"{result['outcome']}{cases}{reason}, {result['date']}, {result['duration_s']:.0f} s"


def _pipeline() -> Dag:
    module, _, name = PIPELINE.partition(":")
    found = getattr(importlib.import_module(module), name)
    assert isinstance(found, Dag)
    return found


def _help(command: click.Command, words: str) -> str:
    context = click.Context(
        command,
        info_name=words,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        help_option_names=["-h", "--help"],
    )
    return command.get_help(context)


def _shared_records() -> Iterator[tuple[str, str] | None]:
    """Yield the help of the options that come with settings and parameters, as ``list`` has them."""
    command = importlib.import_module("baton.cli.commands.list").command
    with tempfile.TemporaryDirectory() as folder:
        context = command.make_context("list", ["--project", folder], resilient_parsing=True)
        own = {parameter.name for parameter in command.params}
        for parameter in command.get_params(context):
            if parameter.name not in {*own, "help"}:
                yield parameter.get_help_record(context)


def _table(rows: Iterator[Leaf]) -> Iterator[str]:
    yield "| key | option | environment variable | type | default | what it is |"
    yield "|---|---|---|---|---|---|"
    for leaf in rows:
        cells = (
            f"`{leaf.key}`",
            f"`--{leaf.name.replace('_', '-')}`",
            f"`{environment.variable_for(leaf.name)}`",
            in_words(leaf.type),
            f"`{as_text(leaf.default)}`" if leaf.default != "" else "(empty)",
            leaf.description,
        )
        yield f"| {' | '.join(cells)} |"


def _nested(rows: list[Leaf]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for leaf in rows:
        place = content
        for key in leaf.path[:-1]:
            place = place.setdefault(key, {})
        place[leaf.name] = as_plain(leaf.default)
    return content


def _named(kinds: Mapping[str, Any]) -> str:
    return ", ".join(f"`{name}` ({kind.name})" for name, kind in kinds.items()) or "-"


def _block(text: str) -> str:
    return f"```text\n{text.strip()}\n```\n"


def main() -> int:
    """Write the pages, or check them."""
    for name in [name for name in os.environ if name.startswith(environment.PREFIX)]:
        del os.environ[name]  # the pages tell the defaults
    stale = []
    for name, content in pages().items():
        path = REFERENCE / name
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            stale.append(os.path.relpath(path, TESTS.parent))
            if "--check" not in sys.argv:
                path.parent.mkdir(exist_ok=True)
                path.write_text(content, encoding="utf-8")
    for name in stale:
        print(f"{name} {'is out of date: run docs/generate.py' if '--check' in sys.argv else 'written'}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
