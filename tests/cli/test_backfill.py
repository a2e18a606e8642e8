"""``baton backfill``: one run for each period, in order, and nothing twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from baton import api
from tests.conftest import BATON, Command

PIPELINE = """
import time
from collections.abc import Mapping
from pathlib import Path

from baton import Dag, Json, Parameters, Period, TaskContext, TaskError, task


class Chosen(Parameters):
    year: int = 2021
    month: int = 1
    depth: int = 1
    broken: str = ""
    nap_in: int = 0


def months(year: int, month: int) -> list[str]:
    following = year * 12 + month
    return [f"{year}-{month:02d}", f"{following // 12}-{following % 12 + 1:02d}"]


def published(when: str) -> str:
    return Path("months", when).read_text()


@task(over={"when": months}, version=published)
def extract(when: str) -> Json:
    return published(when)[:3]


@task
def train(extract: Mapping[str, Json], year: int, month: int, depth: int, nap_in: int) -> Json:
    if month == nap_in and not Path("awake").exists():
        time.sleep(60)
    return [year, month, depth, extract]


@task
def evaluate(train: Json, broken: str, context: TaskContext) -> Json:
    context.fact("error", sum(map(len, train[3].values())) / 10)
    if broken == f"{train[0]}-{train[1]:02d}":
        raise TaskError(f"{broken} is too bad", "choose another")
    return train


@task(effect=True)
def note(evaluate: Json, context: TaskContext) -> Json:
    context.product(context.project / "noted.txt").write_text(f"{evaluate}")
    return evaluate[:2]


@task(effect=True)
def deploy(evaluate: Json, note: Json, context: TaskContext) -> None:
    context.product(context.project / "deployed.txt").write_text(f"{evaluate}")
    with Path("deployments.txt").open("a") as file:
        file.write(f"{evaluate[0]}-{evaluate[1]:02d}\\n")


dag = Dag(
    "fares",
    [extract, train, evaluate, note, deploy],
    parameters=Chosen,
    period=Period("month", ("year", "month")),
    headline="error",
)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project with months to train on."""
    (tmp_path / "fares.py").write_text(PIPELINE)
    (tmp_path / "orchestration_config.json").write_text(
        '{"baton": {"pipeline": "fares:dag", "engine": "make"}}'
    )
    (tmp_path / "months").mkdir()
    for month in range(1, 8):
        (tmp_path / f"months/2021-{month:02d}").write_text(f"{month:03d} first edition")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def matrix(baton: Command, *words: object) -> dict[str, dict[str, str]]:
    """Return how each task of each period ended in a backfill."""
    ended = baton("backfill", "--json", *words)
    assert ended.stdout, ended.stderr
    return {
        one["period"]: {task["task"]: task["outcome"] for task in one["tasks"]}
        for one in json.loads(ended.stdout)
    }


def ran(matrix: dict[str, dict[str, str]]) -> dict[str, list[str]]:
    """Return the tasks that were not cached, by period."""
    return {
        period: [task for task, outcome in tasks.items() if outcome != "cached"]
        for period, tasks in matrix.items()
    }


def nothing(periods: Iterable[str]) -> dict[str, list[str]]:
    """Return what `ran` does if nothing ran."""
    return {period: [] for period in periods}


EVERY = ("--from", "2021-01", "--to", "2021-04")
EFFECTS = ["note", "deploy"]


def deployments(folder: Path) -> list[str]:
    return (folder / "deployments.txt").read_text().split()


@pytest.mark.parametrize("engine", ["simple", "make"])
def test_each_period_runs_once_and_its_effects_in_order(folder: Path, baton: Command, engine: str) -> None:
    first = ran(matrix(baton, *EVERY, "--engine", engine))
    assert first["2021-01"] == ["extract_2021_01", "extract_2021_02", "train", "evaluate", *EFFECTS]
    assert first["2021-04"] == ["extract_2021_05", "train", "evaluate", *EFFECTS]
    assert deployments(folder) == ["2021-01", "2021-02", "2021-03", "2021-04"]
    runs = sorted((folder / ".baton/runs").iterdir())
    assert ran(matrix(baton, *EVERY, "--engine", engine)) == nothing(first)
    assert sorted((folder / ".baton/runs").iterdir()) == runs
    assert len(deployments(folder)) == 4


def test_a_longer_backfill_runs_only_the_new_periods(folder: Path, baton: Command) -> None:
    matrix(baton, *EVERY)
    later = ran(matrix(baton, "--from", "2021-01", "--to", "2021-06"))
    assert [period for period, tasks in later.items() if tasks] == ["2021-05", "2021-06"]


def test_a_month_that_is_published_anew_runs_what_it_changes_and_all_later_effects(
    folder: Path, baton: Command
) -> None:
    matrix(baton, *EVERY)
    (folder / "months/2021-02").write_text("002 the same trips in other types")
    assert ran(matrix(baton, *EVERY)) == {"2021-01": ["extract_2021_02"], **nothing(PERIODS[1:])}
    (folder / "months/2021-02").write_text("2x2 other trips")
    again = ran(matrix(baton, *EVERY))
    assert again["2021-01"] == ["extract_2021_02", "train", "evaluate", *EFFECTS]
    assert again["2021-02"] == ["train", "evaluate", *EFFECTS]
    assert again["2021-03"] == again["2021-04"] == EFFECTS  # the last period has the last word
    assert deployments(folder)[4:] == ["2021-01", "2021-02", "2021-03", "2021-04"]
    assert ran(matrix(baton, *EVERY)) == nothing(PERIODS)


PERIODS = ["2021-01", "2021-02", "2021-03", "2021-04"]


def test_the_last_period_is_deployed_again_after_another_run(folder: Path, baton: Command) -> None:
    matrix(baton, *EVERY)
    assert baton("run", "--month", "2").code == 0
    assert "2021, 2" in (folder / "deployed.txt").read_text()
    again = ran(matrix(baton, *EVERY))
    assert again == {**nothing(PERIODS[:3]), "2021-04": EFFECTS}
    assert "2021, 4" in (folder / "deployed.txt").read_text()


def test_what_was_cleaned_is_done_again_for_each_period(folder: Path, baton: Command) -> None:
    matrix(baton, *EVERY)
    assert baton("clean", "deploy").code == 0
    again = ran(matrix(baton, *EVERY))
    assert again == {"2021-01": ["deploy"], **dict.fromkeys(PERIODS[1:], EFFECTS)}
    assert deployments(folder)[4:] == PERIODS


def test_a_failure_stops_unless_told_otherwise_and_failed_periods_run_again(
    folder: Path, baton: Command
) -> None:
    broken = ("--broken", "2021-02")
    ended = baton("backfill", *EVERY, *broken)
    assert ended.code == 1
    assert "error: task 'evaluate' failed: 2021-02 is too bad" in ended.stderr
    assert [line.split()[0] for line in ended.stdout.splitlines()[2:]] == PERIODS[:2]
    ended = baton("backfill", *EVERY, *broken, "--keep-going")
    assert ended.code == 1
    assert deployments(folder) == ["2021-01", "2021-03", "2021-04"]
    longer = ("--from", "2021-01", "--to", "2021-06", "--failed")  # the last two never ran
    again = ran(matrix(baton, *longer))
    reads_broken = ["evaluate", *EFFECTS]
    assert again == dict.fromkeys(PERIODS[1:], reads_broken)
    assert deployments(folder)[3:] == PERIODS[1:]  # the last period has the last word
    assert baton("backfill", *longer).stderr.startswith("nothing to do")


def test_an_effect_that_failed_midway_acts_again(folder: Path, baton: Command) -> None:
    matrix(baton, *EVERY)
    (folder / "deployed.txt").unlink()
    (folder / "deployed.txt").mkdir()
    (folder / "months/2021-02").write_text("2x2 other trips")
    assert baton("backfill", *EVERY).code == 1
    (folder / "months/2021-02").write_text("002 first edition")  # as it was done before
    (folder / "deployed.txt").rmdir()
    again = ran(matrix(baton, *EVERY))
    assert "deploy" in again["2021-01"]
    assert all(again[period] for period in PERIODS)


@pytest.mark.fault("kill -9 during a backfill", "the next call continues with the period that it was in")
def test_a_killed_backfill_continues(folder: Path, baton: Command) -> None:
    process = subprocess.Popen(
        [*BATON, "backfill", *EVERY, "--nap-in", "3"], stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not (folder / "deployments.txt").exists() or len(deployments(folder)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (folder / "awake").touch()
    again = ran(matrix(baton, *EVERY, "--nap-in", "3"))
    assert again["2021-01"] == again["2021-02"] == []
    assert again["2021-03"][-2:] == again["2021-04"][-2:] == EFFECTS
    assert deployments(folder) == PERIODS


def test_a_plan_says_what_each_period_would_run(folder: Path, baton: Command) -> None:
    found = baton("backfill", *EVERY, "--dry-run")
    assert found.code == 0, found.stderr
    assert not (folder / ".baton/runs").exists()
    head, _, *lines = found.stdout.splitlines()
    assert head.split() == ["period", "extract", "train", "evaluate", "note", "deploy", "because"]
    assert lines[0].split(maxsplit=6) == ["2021-01", *["run"] * 5, "extract_2021_01: never built"]
    assert lines[1].split(maxsplit=7)[:4] == ["2021-02", "run", "1/2", "run"]
    matrix(baton, *EVERY)
    (folder / "months/2021-03").write_text("3x3 other trips")
    planned = json.loads(baton("backfill", *EVERY, "--dry-run", "--json").stdout)
    would = {one["period"]: [task["task"] for task in one["tasks"] if task["would_run"]] for one in planned}
    assert would == {
        "2021-01": [],
        "2021-02": ["extract_2021_03", "train", "evaluate", *EFFECTS],
        "2021-03": ["train", "evaluate", *EFFECTS],
        "2021-04": EFFECTS,
    }


def test_the_table_says_what_ran_why_and_the_headline(folder: Path, baton: Command) -> None:
    baton("backfill", *EVERY)
    (folder / "months/2021-05").write_text("5x5 other trips")
    _, _, *lines = baton("backfill", *EVERY).stdout.splitlines()
    assert lines[2].split() == ["2021-03", *["cached"] * 5, "0.6"]
    cells = lines[3].split(maxsplit=9)
    assert cells[:9] == ["2021-04", "ran", "1/2", *["ran"] * 4, "0.6", "extract_2021_05:"]
    assert cells[9].endswith("input from outside 005 first edition -> 5x5 other trips")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--from", "2021-13", "--to", "2021-14"), "'2021-13' is not a month"),
        (("--from", "2021-03", "--to", "2021-01"), "2021-01 comes before 2021-03"),
        ((*EVERY, "--month", "3"), "--month contradicts a backfill"),
        ((*EVERY, "--pipeline", "baton.testing.pipelines:diamond"), "pipeline 'diamond' has no period"),
        (("--from", "2021-01"), "--to"),
        ((*EVERY, "nothing"), "has no target 'nothing'"),
    ],
)
def test_what_cannot_be_backfilled_is_told(
    folder: Path, baton: Command, words: tuple[str, ...], told: str
) -> None:
    ended = baton("backfill", *words)
    assert ended.code == 2
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_program_gets_each_period_as_it_ends(folder: Path, environment: None) -> None:
    project = api.open_project()
    periods = api.backfill(project, "2021-01", "2021-02", ["train"], engine="simple")
    first = next(periods)
    assert (first.period, first.did_run, first.stages["extract"]) == (
        "2021-01",
        True,
        ("extract_2021_01", "extract_2021_02"),
    )
    assert [one.period for one in periods] == ["2021-02"]
    assert not any(one.did_run for one in api.backfill(project, "2021-01", "2021-02", ["train"]))
