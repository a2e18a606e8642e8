"""A training window that moves by one month, against other tools with the same stages."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Command, CommandFailed, alternate, environment, ratios, script
from benchmarks.other_tools import PROGRAMS
from benchmarks.report import Figure, Section
from benchmarks.scale import PIPELINE

RUNS = 3
WINDOW = 6
"""Months to train on; the one after them validates."""

ROUNDS = 3
BATON = "`baton run --engine make`"
DVC = "`dvc repro`"
SNAKEMAKE = "`snakemake`"
STAGES = Path(__file__).with_name("window_stages.py")
RESULT = "history.json"

EXPLANATION = f"""\
A model of {WINDOW} generated months and {ROUNDS} rounds was trained; then the window moves by one month,
which needs one new month checked and cleaned, then features and training. With DVC (`foreach` over the
months) and Snakemake (a wildcard) every stage is a process that calls the same functions as baton's tasks,
and cleaning and checking are one stage. All three must end with the same errors after each round, else
nothing is reported."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool, with the window in a folder of its own.

    Parameters
    ----------
    name : str
        What the report calls its command.
    words : tuple of str
        The command that builds.
    move : callable
        Sets the months of a folder: training months, then the validation month.
    history : callable
        Returns the errors of each round from a folder and what the command printed.
    path : Path, optional
        As for `Command`.
    first : tuple of (tuple of str)
        Commands that make the folder one of its projects.
    """

    name: str
    words: tuple[str, ...]
    move: Callable[[Path, Sequence[str]], None]
    history: Callable[[Path, str], object]
    path: Path | None = None
    first: tuple[tuple[str, ...], ...] = ()


def measure_window(runs: int | None, tell: Callable[[str], None]) -> Section:
    """Measure the move of the window with each tool."""
    with tempfile.TemporaryDirectory(prefix="baton-benchmark-window-") as scratch:
        return window_section(Path(scratch), tools(), WINDOW, runs or RUNS, tell)


def window_section(
    scratch: Path, compared: Sequence[Tool], window: int, runs: int, tell: Callable[[str], None]
) -> Section:
    """Measure tools in folders below `scratch`, which get the months that they need."""
    names = write_months(scratch / "months", window + runs + 2)
    commands = []
    for number, tool in enumerate(compared):
        folder = scratch / str(number)
        folder.mkdir()
        (folder / "months").symlink_to(scratch / "months")
        (folder / STAGES.name).symlink_to(STAGES)
        moves = itertools.count()

        def move(folder: Path, tool: Tool = tool, moves: itertools.count[int] = moves) -> None:
            begin = next(moves)
            tool.move(folder, names[begin : begin + window + 1])

        tell(f"{tool.name}, first build")
        move(folder)
        for words in (*tool.first, tool.words):
            _build(tool, words, folder)
        commands.append(Command(tool.name, tool.words, move, folder, tool.path))
    measured = alternate(commands, runs, tell)
    histories = {
        json.dumps(tool.history(scratch / str(number), measured[tool.name].runs[-1].stdout))
        for number, tool in enumerate(compared)
    }
    if len(histories) != 1:
        raise CommandFailed(f"the tools trained different models: {' and '.join(sorted(histories))}")
    own, others = measured[compared[0].name], [tool.name for tool in compared[1:]]
    figures = (
        *(
            Figure(f"{compared[0].name} / {name}", "", ratios(own.wall_s, measured[name].wall_s))
            for name in others
        ),
        *(Figure(f"wall time, {name}", "s", found.wall_s) for name, found in measured.items()),
        *(Figure(f"CPU time, {name}", "s", found.cpu_s) for name, found in measured.items()),
    )
    return Section("Window moved by one month", EXPLANATION, figures)


def write_months(folder: Path, count: int) -> list[str]:
    """Write generated months, and return their names such as ``2021-01``."""
    from tripduration.months import training_window
    from tripduration.sample import write_sample

    window = training_window(2021, count, count) if count <= 12 else training_window(2022, 1, count)
    for month in window:
        write_sample(month, folder / f"green_tripdata_{month}.parquet")
    return [str(month) for month in window]


def _build(tool: Tool, words: tuple[str, ...], folder: Path) -> None:
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    ended = subprocess.run(
        words, cwd=folder, env=environment(environ, tool.path), capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        raise CommandFailed(f"{tool.name} cannot build:\n{ended.stdout}{ended.stderr}")


def baton_tool() -> Tool:
    """Return baton."""
    words = (script("baton"), "run", "--engine", "make", "-j", "2", "--json", "--pipeline", "scale:dag")
    return Tool(BATON, words, _move_baton, _baton_history)


def tools() -> tuple[Tool, ...]:
    """Return baton and the tools that it is compared with."""
    return (
        baton_tool(),
        Tool(
            DVC,
            (script("dvc", PROGRAMS), "repro", "--quiet"),
            _move_dvc,
            _history_file,
            PROGRAMS,
            ((script("dvc", PROGRAMS), "init", "--no-scm", "--quiet"),),
        ),
        Tool(
            SNAKEMAKE,
            (script("snakemake", PROGRAMS), "--cores", "2", "--quiet", "all"),
            _move_snakemake,
            _history_file,
            PROGRAMS,
        ),
    )


def _move_baton(folder: Path, months: Sequence[str]) -> None:
    (folder / "scale.py").write_text(PIPELINE.read_text(encoding="utf-8"), encoding="utf-8")
    year, month = map(int, months[-2].split("-"))
    settings = {
        "data": {"year": year, "month": month, "train_months": len(months) - 1, "source": "months"},
        "model": {"num_boost_round": ROUNDS},
    }
    (folder / "orchestration_config.json").write_text(json.dumps(settings), encoding="utf-8")


def _baton_history(folder: Path, stdout: str) -> object:
    (train,) = (task for task in json.loads(stdout)["tasks"] if task["task"] == "train")
    digest = train["outputs"]["history"]["digest"]
    return json.loads((folder / ".baton/store/objects" / digest[:2] / digest).read_bytes())


def _history_file(folder: Path, _stdout: str) -> object:
    return json.loads((folder / RESULT).read_bytes())


def _stage(*words: str) -> str:
    return " ".join((sys.executable, STAGES.name, *words))


def _move_dvc(folder: Path, months: Sequence[str]) -> None:
    (folder / "params.yaml").write_text(f"months: {json.dumps(months)}\n", encoding="utf-8")
    trips = "".join(f"      - trips/{month}.parquet\n" for month in months)
    (folder / "dvc.yaml").write_text(
        f"""\
stages:
  transform:
    foreach: ${{months}}
    do:
      cmd: {_stage("transform", "${item}")}
      deps:
      - months/green_tripdata_${{item}}.parquet
      outs:
      - trips/${{item}}.parquet
  train:
    cmd: {_stage("train", str(ROUNDS), *months)}
    deps:
{trips}    outs:
      - {RESULT}
""",
        encoding="utf-8",
    )


def _move_snakemake(folder: Path, months: Sequence[str]) -> None:
    (folder / "config.json").write_text(json.dumps({"months": list(months)}), encoding="utf-8")
    (folder / "Snakefile").write_text(
        f"""\
configfile: "config.json"

rule all:
    input: "{RESULT}"

rule transform:
    input: "months/green_tripdata_{{month}}.parquet"
    output: "trips/{{month}}.parquet"
    shell: "{_stage("transform", "{wildcards.month}")}"

rule train:
    input: expand("trips/{{month}}.parquet", month=config["months"])
    output: "{RESULT}"
    params: months=config["months"]
    shell: "{_stage("train", str(ROUNDS), "{params.months}")}"
""",
        encoding="utf-8",
    )
