"""The command line as a person meets it: what it prints, where, and how it exits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import BATON, Command

DIAMOND = ("--pipeline", "baton.testing.pipelines:diamond")


def test_windows_is_refused_in_one_line() -> None:
    script = "import sys; from baton.cli.app import main; sys.platform = 'win32'; main(['run'])"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 4
    assert ended.stdout == ""
    assert ended.stderr.splitlines() == [
        "error: baton does not run on Windows",
        "",
        "hint: use Linux, macOS or WSL (Linux on Windows)",
    ]


def test_help_lists_every_command(baton: Command) -> None:
    from baton.cli.app import COMMANDS

    ended = baton("--help")
    assert ended.code == 0
    assert all(f"  {command} " in ended.stdout for command in COMMANDS)


@pytest.mark.parametrize("arguments", [("--help",), ("list",), ("run", "--help"), ("config", "show")])
def test_looking_around_imports_nothing_heavy(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    script = (
        "import sys; from baton.cli.app import run_command_line; "
        f"code = run_command_line({arguments!r}); "
        "heavy = {'mlflow', 'xgboost', 'polars', 'pandas', 'sklearn', 'numpy', 'fsspec', 'rich', 'httpx', "
        "'matplotlib', 'airflow', 'prefect', 'pydantic'} & set(sys.modules); "
        "sys.stderr.write(f'{code} {sorted(heavy)}')"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert ended.stderr == "0 []"


def test_results_go_to_stdout_and_everything_else_to_stderr(baton: Command) -> None:
    ended = baton("run", *DIAMOND)
    assert ended.code == 0
    assert ended.stdout == "joined: [2, 11]\n"
    assert [line.split()[:2] for line in ended.stderr.splitlines()[1:]] == [
        [name, "succeeded"] for name in ("source", "left", "right", "join", "publish")
    ]


def test_quiet_shows_only_results(baton: Command) -> None:
    ended = baton("run", "-q", *DIAMOND)
    assert (ended.stdout, ended.stderr) == ("joined: [2, 11]\n", "")


def test_verbose_shows_why_each_task_runs(baton: Command) -> None:
    assert "the cache is not used" in baton("run", "-v", *DIAMOND).stderr


def test_a_dry_run_shows_what_would_run_and_does_nothing(baton: Command, tmp_path: Path) -> None:
    baton("run", *DIAMOND, "--engine", "make")
    ended = baton("run", "--dry-run", *DIAMOND, "--engine", "make", "--factor", "3")
    assert ended.code == 0
    would = {line.split()[0]: line.split()[1] for line in ended.stdout.splitlines()[1:]}
    assert would == {"source": "cached", "left": "run", "right": "cached", "join": "run", "publish": "run"}
    assert "parameter factor 2 -> 3" in ended.stdout
    again = baton("run", "--dry-run", *DIAMOND, "--engine", "make").stdout
    assert all(line.split()[1] == "cached" for line in again.splitlines()[1:])


def test_a_dry_run_without_the_cache_says_so(baton: Command) -> None:
    baton("run", *DIAMOND)
    assert baton("run", "--dry-run", *DIAMOND).stdout.count("the cache is not used") == 5
    assert "computed by run" in baton("run", "--dry-run", "--cache", *DIAMOND).stdout


def test_a_run_can_tell_why_each_task_ran(baton: Command) -> None:
    baton("run", *DIAMOND, "--engine", "make")
    told = baton("run", "--explain", *DIAMOND, "--engine", "make", "--factor", "3").stderr
    assert "parameter factor 2 -> 3" in told
    assert "started:" not in told


def test_force_without_a_task_runs_everything(baton: Command) -> None:
    baton("run", *DIAMOND, "--engine", "make")
    forced = json.loads(baton("run", *DIAMOND, "--engine", "make", "--json", "--force").stdout)
    assert {task["reason"] for task in forced["tasks"]} == {"forced"}


def test_json_holds_the_whole_report(baton: Command) -> None:
    ended = baton("run", "--json", *DIAMOND)
    report = json.loads(ended.stdout)
    assert report["succeeded"] is True
    assert report["facts"] == {"joined": "[2, 11]"}
    assert [task["outcome"] for task in report["tasks"]] == ["succeeded"] * 5
    assert len(report["tasks"][0]["outputs"]["source"]["digest"]) == 64


def test_a_failed_task_exits_1_and_says_how_to_go_on(baton: Command) -> None:
    ended = baton("run", *DIAMOND, "--broken", "left")
    assert ended.code == 1
    assert ended.stdout == ""
    assert "error: task 'left' failed: left was told to fail" in ended.stderr
    assert "hint: choose another task to fail" in ended.stderr
    assert "resume: baton run --resume " in ended.stderr
    assert "Traceback" not in ended.stderr


def test_resume_goes_on_where_the_run_failed(baton: Command) -> None:
    failed = baton("run", *DIAMOND, "--broken", "left", "--start", "4", "--keep-going")
    command = failed.stderr.rsplit("resume: baton ", 1)[1].split()
    assert command[3:] == ["--pipeline", "baton.testing.pipelines:diamond"]
    ended = baton(*command, "--broken", "")
    assert ended.code == 0
    outcomes = {line.split()[0]: line.split()[1] for line in ended.stderr.splitlines()[1:]}
    assert outcomes == {
        "source": "succeeded",
        "left": "succeeded",
        "right": "succeeded",
        "join": "succeeded",
        "publish": "succeeded",
    }
    assert ended.stdout == "joined: [8, 14]\n"


def test_resume_uses_what_was_finished(baton: Command) -> None:
    retried = ("--pipeline", "baton.testing.pipelines:retried")
    assert baton("run", *retried, "--failures", "5").code == 1
    assert baton("run", "--resume", "latest", *retried).code == 0
    assert "flaky  cached" in baton("run", "--resume", "latest", *retried).stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("rnu",), 2, "command 'rnu' does not exist; did you mean 'run'?"),
        (("run", "--lerning-rate", "1"), 2, "No such option '--lerning-rate'"),
        (("run", "trian"), 2, "pipeline 'duration' has no target 'trian'; did you mean 'train'?"),
        (("run", "--month", "13"), 2, "--month cannot be '13': expected a whole number <= 12"),
        (("run", "--month", "one"), 2, "--month cannot be 'one': expected a whole number in the digits"),
        (("run", "--encoding", "dense"), 2, "--encoding cannot be 'dense'"),
        (("run", "--engine", "spark"), 2, "engine 'spark' does not exist"),
        (("airflow", "up", "--source", ""), 2, "--source cannot be empty here"),
        (("run", "--resume", "yesterday"), 2, "run 'yesterday' does not exist"),
        (("run", "--pipeline", "nowhere:dag"), 2, "module 'nowhere' does not exist"),
        (("run", "--pipeline", "json:dag"), 2, "json has no 'dag'"),
        (("run", "--pipeline", "json:dumps"), 2, "is a function, not a Dag"),
        (("config", "set", "data.yaer", "2022"), 2, "did you mean 'data.year'?"),
        (("list", "-C", "nowhere"), 2, "folder nowhere does not exist"),
        (("list", "--config", "nowhere.json"), 2, "nowhere.json does not exist"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_told_in_one_line_with_a_hint(
    baton: Command, arguments: tuple[str, ...], code: int, told: str
) -> None:
    ended = baton(*arguments)
    assert ended.code == code
    assert ended.stderr.startswith("error: ")
    assert told in ended.stderr
    assert "hint: " in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_all_wrong_settings_are_told_at_once(baton: Command) -> None:
    ended = baton("run", "--month", "13", "--year", "x", BATON_MAX_DEPTH="deep", BATON_MONT="2")
    assert ended.code == 2
    for told in ("--month cannot be '13'", "--year cannot be 'x'", "BATON_MAX_DEPTH cannot be 'deep'"):
        assert told in ended.stderr
    assert "unknown environment variable BATON_MONT; did you mean 'BATON_MONTH'?" in ended.stderr


def test_an_invalid_pipeline_exits_3_with_every_finding(baton: Command, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(
        "from baton import Dag, Json, task\n"
        "@task\n"
        "def one(two: Json) -> Json:\n    return two\n"
        "@task\n"
        "def two(one: Json, missing: int) -> Json:\n    return one\n"
        "dag = Dag('wrong', [one, two])\n"
    )
    ended = baton("run", "--pipeline", "wrong:dag")
    assert ended.code == 3
    assert "tasks depend on each other in a circle" in ended.stderr
    assert "'missing' is neither an artifact nor a parameter" in ended.stderr


def test_a_module_that_fails_on_import_exits_3(baton: Command, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    ended = baton("list", "--pipeline", "broken:dag")
    assert ended.code == 3
    assert "importing broken fails at broken.py:1: ZeroDivisionError: division by zero" in ended.stderr


def test_a_server_that_is_down_exits_4_before_anything_runs(baton: Command, tmp_path: Path) -> None:
    ended = baton(
        "run", "--pipeline", "baton.testing.pipelines:tracked", "--tracking-uri", "http://127.0.0.1:1"
    )
    assert ended.code == 4
    assert "the MLflow server at http://127.0.0.1:1 cannot be used" in ended.stderr
    assert "hint: " in ended.stderr
    assert "succeeded" not in ended.stderr
    assert not (tmp_path / ".baton" / "store").exists()


def test_a_folder_that_cannot_be_written_exits_4(baton: Command, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    ended = baton("run", *DIAMOND, "--home", "taken")
    assert ended.code == 4
    assert "taken cannot be written" in ended.stderr


def test_a_secret_in_the_tracking_uri_is_never_shown(baton: Command) -> None:
    uri = "http://someone:secret@127.0.0.1:1"
    ended = baton("run", "--pipeline", "baton.testing.pipelines:tracked", "--tracking-uri", uri)
    shown = baton("config", "show", BATON_TRACKING_URI=uri)
    assert ended.code == 4
    assert "secret" not in ended.stderr + shown.stdout + shown.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.fault("SIGINT or SIGTERM to a run", "it ends 130 or 143; its record says interrupted")
def test_a_signal_ends_the_run_with_its_own_code(tmp_path: Path, number: signal.Signals, code: int) -> None:
    (tmp_path / "sleepy.py").write_text(
        "import time\n"
        "from baton import Dag, Json, TaskContext, task\n"
        "@task\n"
        "def nap(context: TaskContext) -> Json:\n"
        "    (context.project / 'asleep').touch()\n    time.sleep(60)\n    return 1\n"
        "dag = Dag('sleepy', [nap])\n"
    )
    process = subprocess.Popen(
        [*BATON, "run", "--pipeline", "sleepy:dag"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / "asleep").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    _, told = process.communicate(timeout=20)
    assert process.returncode == code
    assert "Traceback" not in told
    record = json.loads(next((tmp_path / ".baton" / "runs").glob("*.json")).read_text())
    assert record["state"] == "interrupted"
    assert f"resume: baton run --resume {record['run_id']} --pipeline sleepy:dag" in told


def test_plan_repeats_its_own_words_in_the_command_that_runs_it(baton: Command) -> None:
    told = baton("plan", "--broken", "left", *DIAMOND).stderr
    assert f"hint: run it with: baton run --cache --broken left {' '.join(DIAMOND)}" in told
    told = baton("plan", "--engine", "make", *DIAMOND).stderr
    assert "hint: run it with: baton run --engine make --pipeline" in told


def test_a_command_in_a_folder_below_a_project_says_so(baton: Command, tmp_path: Path) -> None:
    (tmp_path / "orchestration_config.json").write_text("{}")
    below = tmp_path / "one" / "two"
    below.mkdir(parents=True)
    told = (
        f"a new project begins in this folder; the one in {tmp_path} is not used (to use it: -C {tmp_path})"
    )
    assert told in baton("list", folder=below).stderr
    assert told not in baton("list", "-C", tmp_path, folder=below).stderr
    assert told not in baton("list", folder=tmp_path).stderr
    (below / "orchestration_config.json").write_text("{}")
    assert told not in baton("list", folder=below).stderr


def test_status_shows_the_latest_runs(baton: Command) -> None:
    baton("run", *DIAMOND)
    baton("run", *DIAMOND, "--broken", "source!")
    table = baton("status", *DIAMOND).stdout.splitlines()
    assert "failed" in table[1]
    assert "succeeded" in table[2]
    one = baton("status", *DIAMOND, "--run", "latest").stdout
    assert "ZeroDivisionError: source divided by nothing" in one
    assert "Traceback (most recent call last)" in one


def test_plan_says_what_would_run_and_why(baton: Command, tmp_path: Path) -> None:
    baton("run", *DIAMOND)
    before = sorted(path.name for path in (tmp_path / ".baton").rglob("*"))
    rows = {row["task"]: row for row in json.loads(baton("plan", *DIAMOND, "--factor", "7", "--json").stdout)}
    assert not rows["source"]["would_run"]
    assert rows["left"]["would_run"]
    assert not rows["right"]["would_run"]
    assert rows["join"]["reason"] == "after 'left', which would run"
    assert rows["publish"]["would_run"]
    assert sorted(path.name for path in (tmp_path / ".baton").rglob("*")) == before


@pytest.mark.parametrize("command", ["plan", "explain left"])
def test_a_store_that_cannot_be_used_is_told_by_who_looks_at_it(baton: Command, command: str) -> None:
    ended = baton(*command.split(), *DIAMOND, "--store", "nowhere://x")
    assert ended.code == 4
    assert "nowhere://x" in ended.stderr


def test_dag_draws_text_and_mermaid(baton: Command) -> None:
    text = baton("dag").stdout
    mermaid = baton("dag", "--format", "mermaid").stdout
    assert "  train " in text
    assert mermaid.startswith("flowchart LR")
    assert "  features --> train" in mermaid
    assert "subgraph extract_group[extract]" in mermaid


def test_a_value_can_be_asked_for_and_removed(baton: Command) -> None:
    baton("config", "set", "month", "3")
    assert baton("config", "get", "data.month").stdout == "3\n"
    told = json.loads(baton("config", "get", "month", "--json").stdout)
    assert (told["key"], told["value"], told["source"]) == ("data.month", 3, "file")
    assert baton("config", "unset", "month").code == 0
    assert baton("config", "get", "month").stdout == "1\n"
    assert "did you mean 'month'?" in baton("config", "get", "mnth").stderr
    assert baton("config", "unset", "mnth").code == 2


def test_config_set_is_kept_and_shown_with_its_origin(baton: Command, tmp_path: Path) -> None:
    assert baton("config", "set", "data.month", "3").code == 0
    assert baton("config", "set", "learning_rate", "0.2").code == 0
    content = json.loads((tmp_path / "orchestration_config.json").read_text())
    assert content == {"data": {"month": 3}, "model": {"params": {"learning_rate": 0.2}}}
    shown = json.loads(baton("config", "show", "--json", "--year", "2023", BATON_SEED="7").stdout)
    assert shown["data.month"]["source"] == "file"
    assert shown["data.year"] == {"value": 2023, "source": "command line", "place": "--year"}
    assert shown["model.params.seed"] == {"value": 7, "source": "environment", "place": "BATON_SEED"}
    assert shown["model.params.max_depth"]["source"] == "default"


def test_the_reference_configuration_file_is_understood(baton: Command, tmp_path: Path) -> None:
    (tmp_path / "orchestration_config.json").write_text(
        json.dumps(
            {
                "mlflow": {
                    "tracking_server_host": "tracking.example",
                    "aws_profile": "someone",
                    "experiment_name": "nyc-taxi-experiment",
                },
                "data": {
                    "year": 2021,
                    "month": 1,
                    "url_template": "https://data.example/{year}-{month:02d}.parquet",
                },
                "model": {
                    "params": {
                        "learning_rate": 0.1,
                        "max_depth": 30,
                        "objective": "reg:squarederror",
                        "seed": 42,
                    },
                    "num_boost_round": 30,
                    "early_stopping_rounds": 50,
                },
                "artifacts": {"models_dir": "models", "data_dir": "data"},
            }
        )
    )
    shown = json.loads(baton("config", "show", "--json").stdout)
    assert shown["mlflow.tracking_server_host"]["value"] == "tracking.example"
    assert shown["model.params.learning_rate"]["value"] == 0.1


def test_doctor_finds_what_is_wrong(baton: Command) -> None:
    ended = baton("doctor", "--source", "nowhere", "--json")
    findings = {finding["check"]: finding for finding in json.loads(ended.stdout)}
    assert ended.code == 4
    assert findings["training"]["good"]
    assert findings["mlflow"]["good"]
    assert not findings["data source"]["good"]
    assert "nowhere" in findings["data source"]["found"]
    assert findings["data source"]["hint"]


def test_engines_are_listed_with_whether_they_can_be_used(baton: Command) -> None:
    rows = {row["engine"]: row for row in json.loads(baton("engines", "--json").stdout)}
    assert rows["simple"]["usable"] is True


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(baton: Command, shell: str) -> None:
    assert "_BATON_COMPLETE" in baton("completion", shell).stdout


def test_no_colour_outside_a_terminal(baton: Command) -> None:
    ended = baton("run", *DIAMOND, "--broken", "left")
    assert "\x1b" not in ended.stdout + ended.stderr


def test_a_defect_of_ours_is_told_without_a_traceback(tmp_path: Path) -> None:
    script = (
        "from baton.cli import app; import baton.api; "
        "baton.api.plan = None; raise SystemExit(app.run_command_line(['plan']))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, env=dict(os.environ)
    )
    assert ended.returncode == 1
    assert "this is a bug in baton" in ended.stderr
    assert "Traceback" not in ended.stderr
