"""``python -m benchmarks [NAME ...] [--runs N] [--json FILE] [--markdown FILE]``."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.airflow_overhead import measure_airflow
from benchmarks.measure import CommandFailed
from benchmarks.observing import measure_observing
from benchmarks.overhead import measure_overhead
from benchmarks.prefect_overhead import measure_prefect_overhead
from benchmarks.rebuild import measure_one_change, measure_rebuild
from benchmarks.report import Machine, Section, as_json, as_markdown, figure_text
from benchmarks.scale import measure_scale
from benchmarks.side_by_side import measure_side_by_side
from benchmarks.startup import measure_startup
from benchmarks.store import measure_store
from benchmarks.sweep import measure_sweep
from benchmarks.whole_run import measure_whole_run
from benchmarks.window import measure_window

Benchmark = Callable[[int | None, Callable[[str], None]], Section]

BENCHMARKS: dict[str, Benchmark] = {
    "whole_run": measure_whole_run,
    "observing": measure_observing,
    "startup": measure_startup,
    "rebuild": measure_rebuild,
    "one_change": measure_one_change,
    "side_by_side": measure_side_by_side,
    "sweep": measure_sweep,
    "window": measure_window,
    "overhead": measure_overhead,
    "prefect_overhead": measure_prefect_overhead,
    "airflow_overhead": measure_airflow,
    "store": measure_store,
    "scale": measure_scale,
}
"""Each takes the number of runs (None for its own) and what is told of progress."""


def main(arguments: Sequence[str]) -> int:
    parser = _parser()
    given = parser.parse_args(arguments)
    names: list[str] = given.names or list(BENCHMARKS)
    if unknown := [name for name in names if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark '{unknown[0]}', only {', '.join(BENCHMARKS)}")
    machine = Machine.here()
    sections: dict[str, Section] = {}
    try:
        for name in names:
            sections[name] = BENCHMARKS[name](given.runs, _tell)
    except CommandFailed as error:
        _tell(f"error: {error}")
        return 1
    machine = machine.at_the_end()
    page = as_markdown(sections, machine, _command(given))
    if given.json is not None:
        given.json.write_text(json.dumps(as_json(sections, machine), indent=2) + "\n", encoding="utf-8")
    if given.markdown is None:
        print(page)
    else:
        given.markdown.write_text(page, encoding="utf-8")
    for section in sections.values():
        for figure in section.figures:
            if figure.verdict == "missed":
                _tell(f"budget missed: {figure.what}: {figure_text(figure)}, at most {figure.budget:g}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what baton costs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all, or any of {', '.join(BENCHMARKS)}")
    parser.add_argument("--runs", type=_count, metavar="N", help="measured runs of each command")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the page there, not to stdout")
    return parser


def _command(given: argparse.Namespace) -> str:
    """Return the command that makes this page again, without this machine's other files."""
    words = ["python", "-m", "benchmarks", *given.names]
    words += ["--runs", str(given.runs)] if given.runs else []
    words += (
        ["--markdown", str(given.markdown)] if given.markdown and not given.markdown.is_absolute() else []
    )
    return shlex.join(words)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1 run")
    return number


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
