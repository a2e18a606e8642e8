"""``baton sweep``: trials with different parameters, nothing twice, and the best one."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from baton import api
from baton.core.parameters import Leaf
from baton.errors import ExtraMissing, UsageError
from baton.runs.space import space_of
from baton.tracking.location import tracking_uri
from baton.tracking.mlflow import MlflowTracker
from tests.conftest import BATON, Command

PIPELINE = """
import time
from pathlib import Path
from typing import Annotated, Literal

from baton import Dag, Json, Parameters, TaskContext, TaskError, parameter, task


Shape = Literal["flat", "round"]


class Chosen(Parameters):
    rows: int = 3
    depth: Annotated[int, parameter("levels", ge=1, le=20)] = 2
    rate: float = 0.1
    shape: Shape = "flat"
    nap_at: int = 0


@task
def extract(rows: int) -> Json:
    return list(range(rows))


@task
def train(extract: Json, depth: int, rate: float, shape: Shape, nap_at: int) -> Json:
    if depth == nap_at and not Path("awake").exists():
        time.sleep(60)
    if depth == 13:
        raise TaskError("13 brings bad luck", "take 12")
    return {"depth": depth, "rate": rate, "shape": shape, "rows": len(extract)}


@task
def evaluate(train: Json) -> Json:
    error = abs(train["depth"] - 5) + abs(train["rate"] - 0.2)
    if train["depth"] == 17:
        error = "large"
    return {"metrics": {"error": error, "depth": train["depth"]}, "name": "x"}


@task(effect=True)
def deploy(evaluate: Json) -> None:
    Path("deployed").touch()


dag = Dag("prices", [extract, train, evaluate, deploy], parameters=Chosen)
"""

GOAL = ("--minimise", "evaluate.metrics.error")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "prices.py").write_text(PIPELINE)
    (tmp_path / "orchestration_config.json").write_text('{"baton": {"pipeline": "prices:dag"}}')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def swept(baton: Command, *words: object, code: int = 0) -> dict[str, Any]:
    """Return the document of a sweep that records nothing with the tracker."""
    ended = baton("sweep", "--json", "--no-track", *GOAL, *words)
    assert ended.code == code, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def ran(found: dict[str, Any]) -> list[list[str]]:
    """Return the tasks of each trial that were not cached."""
    return [
        [task["task"] for task in trial["tasks"] if task["outcome"] != "cached"] for trial in found["trials"]
    ]


GRID = ("--depth", "4,5,6", "--rate", "0.1:0.3:0.1")


@pytest.mark.parametrize("engine", ["simple", "make"])
def test_every_combination_is_tried_and_what_they_share_is_computed_once(
    folder: Path, baton: Command, engine: str
) -> None:
    found = swept(baton, *GRID, "--engine", engine)
    tried = [trial["parameters"] for trial in found["trials"]]
    assert tried[:4] == [
        {"depth": "4", "rate": "0.1"},
        {"depth": "4", "rate": "0.2"},
        {"depth": "4", "rate": "0.3"},
        {"depth": "5", "rate": "0.1"},
    ]
    assert len(tried) == 9
    assert ran(found) == [["extract", "train", "evaluate"], *[["train", "evaluate"]] * 8]
    assert found["best"] == 5
    assert found["command"] == "baton run --depth=5 --rate=0.2"
    assert not (folder / "deployed").exists()
    again = swept(baton, *GRID, "--engine", engine)
    assert ran(again) == [[]] * 9
    assert all(trial["run_id"] == "" for trial in again["trials"])
    more = swept(baton, "--depth", "4,5,6,7", "--rate", "0.1:0.3:0.1", "--engine", engine)
    assert ran(more) == [*[[]] * 9, *[["train", "evaluate"]] * 3]


def test_a_trial_makes_what_a_run_with_its_parameters_makes(folder: Path, baton: Command) -> None:
    found = swept(baton, "--rate", "0.05:0.3:log", "--trials", "2", "--sampler", "random")
    trial = found["trials"][1]
    run = baton("run", "evaluate", "--cache", "--json", "--rate", trial["parameters"]["rate"])
    tasks = json.loads(run.stdout)["tasks"]
    assert {task["outcome"] for task in tasks} == {"cached"}
    made = [task["outputs"] for task in trial["tasks"]]
    assert [task["outputs"] for task in tasks] == made


@pytest.mark.parametrize("sampler", ["random", "optuna"])
def test_a_sampler_suggests_the_same_again_and_continues(folder: Path, baton: Command, sampler: str) -> None:
    words = ("--sampler", sampler, "--depth", "1:12", "--rate", "0.01:1:log", "--shape", "flat,round")
    few = swept(baton, *words, "--trials", "3")
    more = swept(baton, *words, "--trials", "14")
    assert [trial["parameters"] for trial in more["trials"][:3]] == [
        trial["parameters"] for trial in few["trials"]
    ]
    assert ran(more)[:3] == [[], [], []]
    other = swept(baton, *words, "--trials", "3", "--sampler-seed", "1")
    assert other["trials"][0]["parameters"] != few["trials"][0]["parameters"]
    assert all(1 <= int(trial["parameters"]["depth"]) <= 12 for trial in more["trials"])
    assert {trial["parameters"]["shape"] for trial in more["trials"]} == {"flat", "round"}


def test_another_number_at_once_continues_the_tracking_run(folder: Path, baton: Command) -> None:
    words = (
        "sweep",
        *GOAL,
        "--engine",
        "make",
        "--depth",
        "1:12",
        "--rate",
        "0:1",
        "--trials",
        "12",
        "--json",
    )
    one, three = (json.loads(baton(*words, "-j", jobs).stdout) for jobs in (1, 3))
    assert one["tracking_run_id"] == three["tracking_run_id"]
    assert [trial["value"] for trial in three["trials"]].count(None) == 0


def test_trials_at_once_make_the_same(folder: Path, baton: Command) -> None:
    together = swept(baton, *GRID, "--engine", "make", "-j", "3")
    assert [trial["trial"] for trial in together["trials"]] == list(range(1, 10))
    assert together["best"] == 5
    assert ran(swept(baton, *GRID)) == [[]] * 9


def test_a_trial_that_fails_is_told_and_the_others_go_on(folder: Path, baton: Command) -> None:
    found = swept(baton, "--depth", "12,13,17,6", code=1)
    problems = [trial["problem"] for trial in found["trials"]]
    assert problems == [
        "",
        "train: 13 brings bad luck",
        "evaluate.metrics.error is 'large', no finite number",
        "",
    ]
    assert found["best"] == 4
    ended = baton("sweep", "--no-track", *GOAL, "--depth", "13,25")
    assert ended.code == 2
    assert "--depth cannot be '13,25'" in ended.stderr
    ended = baton("sweep", "--no-track", *GOAL, "--depth", "13,6")
    assert ended.code == 1
    table = [line.split() for line in ended.stdout.splitlines()]
    assert table[0] == ["trial", "error", "depth", "problem"]
    assert table[2] == ["2", "1.1", "6"]
    assert table[3][:3] == ["1", "failed", "13"]


def test_the_sweep_ends_if_what_all_trials_share_fails(folder: Path, baton: Command) -> None:
    (folder / "prices.py").write_text(PIPELINE.replace("return list(range(rows))", "return 1 / 0"))
    ended = baton("sweep", "--no-track", *GOAL, "--depth", "4,5,6", "--json")
    assert ended.code == 1
    assert [trial["trial"] for trial in json.loads(ended.stdout)["trials"]] == [1]
    assert "no other trial runs: 'extract' is the same in all trials" in ended.stderr


def test_a_failure_that_a_varied_section_may_explain_ends_no_sweep(folder: Path, baton: Command) -> None:
    (folder / "prices.py").write_text(
        PIPELINE.replace("class Chosen(", "class Tree(Parameters):\n    leaves: int = 3\n\n\nclass Chosen(")
        .replace("    rows: int = 3", "    rows: int = 3\n    tree: Tree = Tree()")
        .replace("def extract(rows: int) -> Json:", "def extract(rows: int, tree: Tree) -> Json:")
        .replace("return list(range(rows))", "return [1] * (4 // (tree.leaves - 4))")
    )
    found = swept(baton, "--leaves", "4,5", code=1)
    assert [bool(trial["problem"]) for trial in found["trials"]] == [True, False]


@pytest.mark.fault("kill -9 during a sweep", "the next call continues with the trial that it was in")
def test_a_killed_sweep_continues(folder: Path, baton: Command) -> None:
    words = ("--depth", "3,4,5,6", "--nap-at", "5")
    process = subprocess.Popen(
        [*BATON, "sweep", "--no-track", *GOAL, *words], stderr=subprocess.PIPE, start_new_session=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(b"trial 2 of 4"):
            break
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (folder / "awake").touch()
    assert ran(swept(baton, *words)) == [[], [], ["train", "evaluate"], ["train", "evaluate"]]


PRUNED = """
from pathlib import Path

from baton import Dag, Json, Parameters, TaskContext, task


class Chosen(Parameters):
    depth: int = 2


@task
def train(depth: int, context: TaskContext) -> Json:
    score = 0
    for step in range(1, 5):
        Path("trained").open("a").write(f"{depth}-{step} ")
        score = depth * step
        context.intermediate(score, step, maximise=True)
    return {"score": score}


dag = Dag("pruned", [train], parameters=Chosen)
"""


@pytest.mark.parametrize("engine", ["simple", "make"])
def test_a_hopeless_trial_ends_early(folder: Path, baton: Command, engine: str) -> None:
    (folder / "prices.py").write_text(PRUNED)
    words = ("--no-track", "--json", "--maximise", "train.score", "--engine", engine, "--prune-after", 3)
    ended = baton("sweep", *words, "--depth", "2,3,4,5,6,1,9,3", "-v")
    assert ended.code == 0, ended.stderr
    trials = {trial["trial"]: trial for trial in json.loads(ended.stdout)["trials"]}
    assert [number for number, trial in trials.items() if trial["pruned"]] == [6]
    assert trials[6]["problem"] == "pruned after step 3: 3 is worse than 12, the median of 5 earlier trials"
    steps = (folder / "trained").read_text().split()
    assert [step for step in steps if step.startswith("1-")] == ["1-1", "1-2", "1-3"]
    assert len([step for step in steps if step.startswith("9-")]) == 4
    # The same trials again: what was finished comes from the cache, and sets the same bar.
    again = baton("sweep", *words, "--depth", "2,3,4,5,6,1,9,3")
    repeated = json.loads(again.stdout)["trials"]
    assert [trial["trial"] for trial in repeated if trial["pruned"]] == [6]
    assert (folder / "trained").read_text().split() == [*steps, "1-1", "1-2", "1-3"]
    table = baton("sweep", *(word for word in words if word != "--json"), "--depth", "2,3,4,5,6,1").stdout
    assert ["6", "pruned", "1", "pruned"] in [line.split()[:4] for line in table.splitlines()]
    whole = baton("sweep", *words[:-2], "--depth", "1,2")
    assert [trial["pruned"] for trial in json.loads(whole.stdout)["trials"]] == [False, False]


def test_optuna_learns_from_pruned_trials(folder: Path, baton: Command) -> None:
    (folder / "prices.py").write_text(PRUNED)
    words = ("--no-track", "--json", "--maximise", "train.score", "--prune-after", 1, "--sampler", "optuna")
    ended = baton("sweep", *words, "--depth", "1:50", "--trials", 12)
    trials = json.loads(ended.stdout)["trials"]
    assert len(trials) == 12
    assert any(trial["pruned"] for trial in trials)


def test_two_processes_on_one_store_divide_the_trials(folder: Path, baton: Command) -> None:
    (folder / "awake").touch()
    (folder / "prices.py").write_text(
        PIPELINE.replace("if depth == 13:", "time.sleep(0.3)\n    if depth == 13:")
    )
    other = folder / "other"
    other.mkdir()
    for name in ("prices.py", "orchestration_config.json"):
        (other / name).write_text((folder / name).read_text())
    words = ("sweep", "--no-track", "--json", *GOAL, "--depth", "1,2,3,4,5,6,7,8,9,10")
    processes = [
        subprocess.Popen(
            [*BATON, *words, "--store", str(folder / "shared")], cwd=where, stdout=subprocess.PIPE
        )
        for where in (folder, other)
    ]
    trials = [json.loads(process.communicate()[0])["trials"] for process in processes]
    ran_here, ran_there = ({one["trial"] for one in found if one["run_id"]} for found in trials)
    assert ran_here | ran_there == set(range(1, 11))
    assert not ran_here & ran_there
    assert min(len(ran_here), len(ran_there)) >= 2
    assert trials[0][0]["value"] == trials[1][0]["value"]


def test_the_trials_are_runs_inside_one_tracking_run_and_none_is_recorded_twice(
    folder: Path, baton: Command
) -> None:
    words = ("sweep", *GOAL, "--depth", "4,5,13")
    first = baton(*words)
    assert first.code == 1
    again = baton(*words, "--json")
    parent = json.loads(again.stdout)["tracking_run_id"]
    assert first.facts["MLflow run_id"] == parent
    tracker = MlflowTracker(
        tracking_uri(folder / ".baton", uri=None, host=None), folder / ".baton", "prices-simple"
    )
    children = tracker.children(parent, "baton.trial")
    assert sorted(children) == ["depth 13", "depth 4", "depth 5"]
    assert children["depth 13"] == "failed"
    runs = tracker.client.search_runs([tracker.experiment_id])
    assert len(runs) == 4
    by_name = {run.info.run_name: run.data for run in runs}
    assert by_name["depth 5"].params == {"depth": "5"}
    assert by_name["depth 5"].metrics == {"error": pytest.approx(0.1), "depth": 5}
    assert by_name["depth 13"].tags["baton.problem"] == "train: 13 brings bad luck"
    whole = tracker.client.get_run(parent).data
    assert whole.metrics["error"] == pytest.approx(0.1)
    assert whole.tags["baton.best_trial"] == "depth 5"
    assert len(tracker.client.get_metric_history(parent, "error")) == 1
    # The same trials in another order, as another number of jobs may suggest them.
    other = baton("sweep", *GOAL, "--depth", "5,4,13", "--json")
    assert json.loads(other.stdout)["tracking_run_id"] != parent


def test_the_page_opens_without_a_network(folder: Path, baton: Command) -> None:
    ended = baton("sweep", "--no-track", *GOAL, *GRID, "--shape", "flat,round")
    page = (folder / ended.facts["Page"]).read_text()
    assert ended.facts["Best"] == "baton run --depth=5 --rate=0.2 --shape=flat"
    assert page.count("Plotly.newPlot") == 3
    assert re.findall(r'<(?:script|link)[^>]+(?:src|href)="', page) == []
    assert "baton run --depth=5" in page
    (folder / ended.facts["Page"]).write_text(page + "kept")
    baton("sweep", "--no-track", *GOAL, *GRID, "--shape", "flat,round")
    assert (folder / ended.facts["Page"]).read_text() == page + "kept"
    baton("sweep", "--no-track", *GOAL, "--depth", "4,5", "--rate", "0.1:0.3:0.1", "--shape", "flat,round")
    assert not (folder / ended.facts["Page"]).read_text().endswith("kept")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((*GOAL,), "nothing is varied"),
        (("--depth", "4,5"), "give either --minimise or --maximise"),
        ((*GOAL, "--maximise", "evaluate.name", "--depth", "4,5"), "give either --minimise or --maximise"),
        (("--minimise", "evaluat.metrics.error", "--depth", "4,5"), "did you mean 'evaluate'?"),
        (("--minimise", "evaluate.metrics.eror", "--depth", "4,5"), "did you mean 'error'?"),
        ((*GOAL, "--target", "deploy", "--depth", "4,5"), "a sweep runs no effects"),
        ((*GOAL, "--target", "train", "--depth", "4,5"), "the target does not make 'evaluate'"),
        ((*GOAL, "--depth", "4,five"), "--depth cannot be '4,five'"),
        ((*GOAL, "--depth", "9:4"), "no range of numbers from low to high"),
        ((*GOAL, "--rate", "0:1:log"), "a log scale begins above 0"),
        ((*GOAL, "--rate", "0:1:-1"), "'-1' is no step"),
        ((*GOAL, "--shape", "flat,square"), "--shape cannot be 'flat,square'"),
        (
            (*GOAL, "--rate", "0:1", "--sampler", "grid"),
            "the grid needs values, but --rate is the range 0.0:1.0",
        ),
        ((*GOAL, "--rate", "0:1"), "needs a number of trials"),
    ],
)
def test_what_cannot_be_swept_is_told(
    folder: Path, baton: Command, words: tuple[str, ...], told: str
) -> None:
    ended = baton("sweep", "--no-track", *words)
    assert ended.code == 2
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_program_iterates_over_the_trials(folder: Path, environment: None) -> None:
    project = api.open_project(options={"rate": 0.2})
    sweep = api.sweep(project, {"depth": "4,6,5"}, "evaluate.metrics.error", tracked=False)
    assert [(trial.number, trial.value(sweep.objective)) for trial in sweep] == [(1, 1.0), (2, 1.0), (3, 0.0)]
    assert sweep.best is not None
    assert dict(sweep.best.parameters) == {"depth": 5}
    assert list(sweep) == []
    assert len(sweep.trials) == 3
    first_only = api.sweep(project, {"depth": "4,6,5"}, "evaluate.metrics.error")
    for _ in first_only:
        break
    assert [trial.number for trial in first_only] == [2, 3]
    largest = api.sweep(project, {"depth": "4,6,9"}, "evaluate.metrics.error", minimise=False, tracked=False)
    assert [trial.did_run for trial in largest] == [False, False, True]
    assert largest.best is not None
    assert largest.best.number == 3
    with pytest.raises(UsageError, match="varied and set for all trials"):
        api.sweep(project, {"rate": "0.1,0.2"}, "evaluate.metrics.error")
    with pytest.raises(UsageError, match="has no parameter 'dept'; did you mean 'depth'"):
        api.sweep(project, {"dept": "1,2"}, "evaluate.metrics.error")
    with pytest.raises(UsageError, match="has one value"):
        api.sweep(project, {"depth": "4"}, "evaluate.metrics.error")


def test_without_optuna_there_is_the_grid(
    folder: Path, environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    project = api.open_project()
    grid = api.sweep(project, {"rate": "0:1:0.5"}, "evaluate.metrics.error", tracked=False)
    assert len(list(grid)) == 3
    for sampler in ("random", "optuna"):
        with pytest.raises(ExtraMissing, match=f"the sampler '{sampler}'") as caught:
            api.sweep(project, {"rate": "0:1"}, "evaluate.metrics.error", sampler=sampler, trials=2)
        assert "baton-ml[sweep]" in caught.value.hint


@pytest.mark.parametrize(
    ("kind", "text", "shown"),
    [
        (int, "1:10:3", "1,4,7,10"),
        (int, "2:64:log", "2:64:log"),
        (float, "0.1:0.4:0.1", "0.1,0.2,0.3,0.4"),
        (float, "1e-3:1", "0.001:1.0"),
        (bool, "true,false", "true,false"),
        (int | None, "none, 3", "none,3"),
        (str, "a,b", None),
        (str, "http://x:80", None),
        (int, "7", None),
        (int, "4,4,5", "4,5"),
    ],
)
def test_a_text_is_a_value_several_or_a_range(kind: Any, text: str, shown: str | None) -> None:
    found = space_of(Leaf(("x",), kind, None, ""), text)
    assert (None if found is None else str(found)) == shown
