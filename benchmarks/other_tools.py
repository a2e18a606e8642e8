"""The same small build for other tools: a chain of stages that each copy a file and add a line.

The middle stage adds what the file `parameter.txt` says, besides, so that a change of it must run that
stage and all that follow.

The tools are installed in an environment of their own (`requirements/bench.lock`), because they do not
agree on versions with each other's neighbours, nor with ours.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import CommandFailed, environment, script

STAGES = 8
MIDDLE = STAGES // 2
PARAMETER = "parameter.txt"
FIRST_VALUE = "first"
PROGRAMS = Path(__file__).parent.parent / ".venv-bench" / "bin"


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool and how it builds the chain.

    Parameters
    ----------
    name : str
        What the report calls its command.
    words : tuple of str
        The command that builds, and builds nothing where all is up to date.
    help_words : tuple of str
        The command that shows its help.
    files : callable
        Returns what its build needs in the folder, text by file name.
    first : tuple of (tuple of str)
        Commands that make the folder one of its projects.
    """

    name: str
    words: tuple[str, ...]
    help_words: tuple[str, ...]
    files: Callable[[], dict[str, str]]
    first: tuple[tuple[str, ...], ...] = ()


def prepare(tool: Tool, folder: Path) -> None:
    """Make a project of the tool in a folder and build it once.

    Raises
    ------
    CommandFailed
        If the tool cannot build it, or builds something else.
    """
    folder.mkdir()
    for name, text in tool.files().items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "stage_0.txt").write_text("0\n", encoding="utf-8")
    set_parameter(folder, FIRST_VALUE)
    for words in (*tool.first, tool.words):
        build(tool, words, folder)
    require_built(tool.name, folder, FIRST_VALUE)


def build(tool: Tool, words: tuple[str, ...], folder: Path) -> None:
    """Run a command of the tool, unmeasured.

    Raises
    ------
    CommandFailed
        If it does not exit with 0.
    """
    ended = subprocess.run(
        words, cwd=folder, env=environment({"PATH": "/usr/bin:/bin", "HOME": str(folder)}, PROGRAMS),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ended.returncode != 0:
        raise CommandFailed(f"{tool.name} cannot build the chain:\n{ended.stdout}{ended.stderr}")


def set_parameter(folder: Path, value: str) -> None:
    """Change what the middle stage adds."""
    (folder / PARAMETER).write_text(f"{value}\n", encoding="utf-8")


def require_built(name: str, folder: Path, value: str) -> None:
    """Refuse a chain that was not built with a value of the parameter.

    Raises
    ------
    CommandFailed
        If the last file holds something else.
    """
    built = (folder / f"stage_{STAGES}.txt").read_text(encoding="utf-8").split()
    if built != lines(value):
        raise CommandFailed(f"{name} built {built} with the parameter '{value}'")


def lines(value: str) -> list[str]:
    """Return the lines of the last file.

    Examples
    --------
    >>> lines("new")
    ['0', '1', '2', '3', 'new', '4', '5', '6', '7', '8']
    """
    numbers = [str(number) for number in range(STAGES + 1)]
    return [*numbers[:MIDDLE], value, *numbers[MIDDLE:]]


def tools() -> tuple[Tool, ...]:
    """Return the tools, lightest first."""
    return (
        Tool("`make`", ("make", "--silent"), ("make", "--help"), _make_files),
        Tool("`doit`", (_own("doit"),), (_own("doit"), "help"), _doit_files),
        Tool("`pytask`", (_own("pytask"),), (_own("pytask"), "--help"), _pytask_files),
        Tool(
            "`snakemake`",
            (_own("snakemake"), "--cores", "1", "--quiet", "all"),
            (_own("snakemake"), "--help"),
            _snakemake_files,
        ),
        Tool(
            "`dvc repro`",
            (_own("dvc"), "repro", "--quiet"),
            (_own("dvc"), "--help"),
            _dvc_files,
            ((_own("dvc"), "init", "--no-scm", "--quiet"),),
        ),
    )


def _own(name: str) -> str:
    return script(name, PROGRAMS)


def _sources(number: int) -> tuple[str, ...]:
    return (f"stage_{number - 1}.txt", *((PARAMETER,) if number == MIDDLE else ()))


def _command(number: int) -> str:
    return f"(cat {' '.join(_sources(number))}; echo {number}) > stage_{number}.txt"


def _make_files() -> dict[str, str]:
    rules = [
        f"stage_{number}.txt: {' '.join(_sources(number))}\n\t{_command(number)}\n"
        for number in range(STAGES, 0, -1)
    ]
    return {"Makefile": "\n".join(rules)}


def _doit_files() -> dict[str, str]:
    stages = "".join(
        f"""\
    yield {{
        "name": "{number}",
        "file_dep": {list(_sources(number))},
        "targets": ["stage_{number}.txt"],
        "actions": ["{_command(number)}"],
    }}
"""
        for number in range(1, STAGES + 1)
    )
    return {"dodo.py": f"def task_stage():\n{stages}"}


def _pytask_files() -> dict[str, str]:
    tasks = "\n".join(
        f"""
def task_{number}(
    sources: list[Path] = [{", ".join(f'Path("{name}")' for name in _sources(number))}],
    made: Annotated[Path, Product] = Path("stage_{number}.txt"),
):
    made.write_text("".join(source.read_text() for source in sources) + "{number}\\n")
"""
        for number in range(1, STAGES + 1)
    )
    return {
        "task_chain.py": "from pathlib import Path\nfrom typing import Annotated\n\n"
        f"from pytask import Product\n{tasks}"
    }


def _snakemake_files() -> dict[str, str]:
    rules = "\n".join(
        f"""
rule stage_{number}:
    input: {", ".join(f'"{name}"' for name in _sources(number))}
    output: "stage_{number}.txt"
    shell: "{_command(number).replace("{", "{{")}"
"""
        for number in range(1, STAGES + 1)
    )
    return {"Snakefile": f'rule all:\n    input: "stage_{STAGES}.txt"\n{rules}'}


def _dvc_files() -> dict[str, str]:
    stages = "".join(
        f"""\
  stage_{number}:
    cmd: {_command(number)}
    deps: [{", ".join(_sources(number))}]
    outs: [stage_{number}.txt]
"""
        for number in range(1, STAGES + 1)
    )
    return {"dvc.yaml": f"stages:\n{stages}"}


if __name__ == "__main__":
    import tempfile

    for each in tools():
        with tempfile.TemporaryDirectory() as place:
            prepare(each, Path(place, "project"))
            set_parameter(Path(place, "project"), "second")
            build(each, each.words, Path(place, "project"))
            require_built(each.name, Path(place, "project"), "second")
        print(f"{each.name} builds the chain, and again with another parameter", file=sys.stderr)
