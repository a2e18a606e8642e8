"""What each stage costs as the trips become many: time and peak memory per million rows."""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Command, CommandFailed, Run, median, run_once, script
from benchmarks.report import Figure, Section

if TYPE_CHECKING:
    from tripduration.months import Month

ROUNDS = 3
PIPELINE = Path(__file__).with_name("scale_pipeline.py")
STAGES = ("extract", "check", "transform", "features", "train")
ENGINES = ("simple", "make")
ENCODED = ("features", "train")
"""The stages that the encoding changes."""

EXPLANATION = f"""\
Generated months of about 75 thousand trips each, and a validation month, through the pipeline as far as the
booster: as a whole on the engines simple and make (`-j 2`), and by stage on the engine make. Each stage is a
process of its own (`baton run STAGE --engine make -j 1`), which finds what the stages before it made, so
that its time and its peak memory are the stage's. Time is that of the whole process, start-up and imports
too, divided by the rows of all months. The booster is trained for {ROUNDS} rounds instead of 30, so that the
largest size is bearable; times are for these {ROUNDS} rounds. The peak is that of the largest process. What
the peak grows by from one size to the next, for each million rows, is shown last: where it is near zero,
months pass through one by one."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many trips, and how often they are sent through the stages.

    Parameters
    ----------
    name : str
        What the report calls it.
    months : int
        Generated months to train on.
    runs : int
        Times that each stage is measured, at most.
    encodings : tuple of str
        The encodings in which they are trained on.
    engines : tuple of str
        The engines on which the pipeline runs as a whole, too.
    """

    name: str
    months: int
    runs: int
    encodings: tuple[str, ...]
    engines: tuple[str, ...] = ENGINES


SIZES = (
    Size("1 month", 1, 3, ("categorical", "onehot")),
    Size("12 months", 12, 2, ("categorical", "onehot")),
    Size("36 months", 36, 1, ("categorical",)),
    Size("120 months", 120, 1, ("categorical",), ()),
)
"""The one-hot encoding ends where it takes minutes for each round."""


@dataclass(frozen=True, slots=True)
class Stage:
    """All runs of one stage at one size."""

    name: str
    size: str
    million_rows: float
    runs: list[Run] = field(default_factory=list)

    @property
    def peak_mib(self) -> float:
        return median([run.peak_mib for run in self.runs])

    def figures(self) -> tuple[Figure, ...]:
        """Return wall and CPU time for each million rows, and the peak."""
        what = f"`{self.name}`, {self.size}"
        wall = tuple(run.wall_s / self.million_rows for run in self.runs)
        cpu = tuple(run.cpu_s / self.million_rows for run in self.runs)
        return (
            Figure(f"wall time per million rows, {what}", "s", wall),
            Figure(f"CPU time per million rows, {what}", "s", cpu),
            Figure(f"peak memory, {what}", "MiB", tuple(run.peak_mib for run in self.runs)),
        )


def measure_scale(runs: int | None, tell: Callable[[str], None]) -> Section:
    """Measure every size, each stage in a process of its own."""
    return scale_section(SIZES, runs, tell)


def scale_section(sizes: Sequence[Size], runs: int | None, tell: Callable[[str], None]) -> Section:
    """Measure the sizes, which go from small to large; `runs` is only taken where a size has no fewer."""
    stages: list[Stage] = []
    with tempfile.TemporaryDirectory(prefix="baton-benchmark-scale-") as scratch:
        months = Path(scratch, "months")
        for size in sizes:
            tell(f"{size.name}: generating the months that are lacking")
            million_rows = write_months(months, size.months) / 1e6
            stages += _measure_size(size, million_rows, months, min(runs or size.runs, size.runs), tell)
    figures = [figure for stage in stages for figure in stage.figures()]
    notes = ", ".join(f"{size.name} {min(runs or size.runs, size.runs)}" for size in sizes)
    note = f"Times that each stage was measured, without a warm-up: {notes}."
    return Section("Scale", EXPLANATION, (*figures, *growth(stages)), (note,))


def growth(stages: Sequence[Stage]) -> tuple[Figure, ...]:
    """Return by how much each stage's peak grows from one size to the next, per million rows."""
    figures = []
    for name in dict.fromkeys(stage.name for stage in stages):
        own = [stage for stage in stages if stage.name == name]
        for small, large in itertools.pairwise(own):
            more = (large.peak_mib - small.peak_mib) / (large.million_rows - small.million_rows)
            what = f"`{name}`, from {small.size} to {large.size}"
            figures.append(Figure(f"growth of the peak per million rows, {what}", "MiB", (more,)))
    return tuple(figures)


def training_months(count: int) -> tuple[Month, ...]:
    """Return the months trained on, which end at 2021-01."""
    from tripduration.months import training_window

    return training_window(2021, 1, count)


def write_months(folder: Path, count: int) -> int:
    """Write the training months and the validation month where lacking; return their rows."""
    import pyarrow.parquet as pq

    from tripduration.sample import write_sample

    window = training_months(count)
    paths = {month: folder / f"green_tripdata_{month}.parquet" for month in (*window, window[-1].next())}
    for month, path in paths.items():
        if not path.exists():
            write_sample(month, path)
    return sum(int(pq.read_metadata(path).num_rows) for path in paths.values())


def _measure_size(
    size: Size, million_rows: float, months: Path, runs: int, tell: Callable[[str], None]
) -> list[Stage]:
    stages = {
        (name, encoding): Stage(
            name if encoding == "categorical" else f"{name} --encoding {encoding}", size.name, million_rows
        )
        for encoding in size.encodings
        for name in (STAGES if encoding == size.encodings[0] else ENCODED)
    }
    whole = {
        engine: Stage(f"run train --engine {engine}", size.name, million_rows) for engine in size.engines
    }
    for turn in range(runs):
        for engine, stage in whole.items():
            stage.runs.append(run_once(whole_command(engine, size, months)))
            _tell_of(stage, turn, runs, tell)
        with tempfile.TemporaryDirectory(prefix="baton-benchmark-scale-") as scratch:
            folder = Path(scratch)
            shutil.copyfile(PIPELINE, folder / "scale.py")
            for (name, encoding), stage in stages.items():
                run = run_once(stage_command(name, size, encoding, months, folder))
                require_only(name, run.stdout)
                stage.runs.append(run)
                _tell_of(stage, turn, runs, tell)
    return [*whole.values(), *stages.values()]


def _tell_of(stage: Stage, turn: int, runs: int, tell: Callable[[str], None]) -> None:
    run = stage.runs[-1]
    tell(f"{stage.size}, {stage.name}, run {turn + 1} of {runs}: {run.wall_s:.2f} s, {run.peak_mib:.0f} MiB")


def stage_command(name: str, size: Size, encoding: str, months: Path, folder: Path) -> Command:
    """Return the command that runs one stage in a folder where those before it have run."""
    words = ("run", name, "--engine", "make", "-j", "1", "--encoding", encoding)
    return Command(f"{name}, {encoding}", (script("baton"), *words, *_chosen(size, months)), folder=folder)


def whole_command(engine: str, size: Size, months: Path) -> Command:
    """Return the command that runs all stages in a new folder."""
    words = (script("baton"), "run", "train", "--engine", engine, "-j", "2", *_chosen(size, months))
    return Command(engine, words, lambda folder: shutil.copyfile(PIPELINE, folder / "scale.py"))


def _chosen(size: Size, months: Path) -> tuple[str, ...]:
    return (
        "--json", "--pipeline", "scale:dag", "--source", str(months), "--year", "2021", "--month", "1",
        "--train-months", str(size.months), "--num-boost-round", str(ROUNDS),
    )  # fmt: skip


def require_only(name: str, stdout: str) -> None:
    """Refuse a measurement in which anything but the stage was computed.

    Raises
    ------
    CommandFailed
        If another task ran, or the stage did not.
    """
    ran = [task["task"] for task in json.loads(stdout)["tasks"] if task["outcome"] != "cached"]
    if not ran or any(task.partition("_")[0] != name for task in ran):
        raise CommandFailed(f"measuring '{name}' ran {', '.join(ran) or 'nothing'}")
