"""Every command of the reference runs here as it is written there, with data and MLflow local.

Those that train do so on small months and three rounds; one long test for each script holds
the figure on the published months.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.examples.conftest import EXAMPLES, PROGRAMS, Copy, require_engine

MAP = EXAMPLES.parent / "docs/reference/from-the-reference.md"
HOST = "ec2-18-223-115-201.us-east-2.compute.amazonaws.com"
OURS = f"--year 2021 --month 1 --tracking-server-host {HOST} --aws-profile mlops_zc"
CUSTOM = "--year 2021 --month 2 --tracking-server-host custom-server.com --aws-profile custom-profile"
IMPORT = "from config import get_config; c=get_config(); "
GROUPS = ("extract", "transform", "features", "train", "validate", "deploy")

TRAINING = [
    "python simple_pipeline.py",
    "python simple_pipeline.py --year=2021 --month=1",
    f"python simple_pipeline.py {CUSTOM}",
    f"uv run python simple_pipeline.py {OURS}",
    "uv run python simple_pipeline.py",
    "python airflow_pipeline.py",
    f"python airflow_pipeline.py {CUSTOM}",
    "uv run python airflow_pipeline.py",
    "python prefect_pipeline.py",
    f"python prefect_pipeline.py --year=2021 --month=1 --tracking-server-host={HOST} --aws-profile=mlops_zc",
    f"python prefect_pipeline.py {CUSTOM}",
    "uv run python prefect_pipeline.py",
    "python make_pipeline.py deploy",
    "python make_pipeline.py deploy --force",
    f"python make_pipeline.py deploy --year 2021 --month 1 --tracking-server-host {HOST}",
    "python make_pipeline.py deploy --year 2021 --month 3 --force",
    f"python make_pipeline.py {CUSTOM}",
    "uv run python make_pipeline.py",
    "uv run python make_pipeline.py deploy --year 2021 --month 1",
    "uv run python make_pipeline.py deploy --force",
]
LISTING = ["python make_pipeline.py --list", "uv run python make_pipeline.py --list"]
SETTING = {
    f"python -c \"{IMPORT}c.update_mlflow_settings('new-server.com'); c.save_config()\"": {
        ("mlflow", "tracking_server_host"): "new-server.com"
    },
    f"python -c \"{IMPORT}c.update_mlflow_settings(aws_profile='new-profile'); c.save_config()\"": {
        ("mlflow", "aws_profile"): "new-profile"
    },
    f'python -c "{IMPORT}c.update_data_settings(year=2022, month=3); c.save_config()"': {
        ("data", "year"): 2022,
        ("data", "month"): 3,
    },
}
OTHERS = [
    "python make_pipeline.py validate",
    "python make_pipeline.py --clean",
    "python config.py --show",
    "python --version",
    'pip list | grep -E "(mlflow|pandas|xgboost|scikit-learn|prefect)"',
    "airflow version",
]


def require_all_of(command: str) -> None:
    """Skip where what a command needs is not there."""
    for engine in ("airflow", "prefect"):
        if command.startswith((f"python {engine}_", f"uv run python {engine}_")):
            require_engine(engine)
    if command.startswith("uv ") and not (PROGRAMS / "uv").exists():
        pytest.skip("there is no uv beside Python")


def month_of(command: str) -> str:
    found = re.search(r"--month[ =](\d+)", command)
    return f"2021-{int(found.group(1)) if found else 1:02d}"


def seldom(command: str) -> Any:
    """Mark what starts a script in yet another way: the scripts read their words with the same code."""
    script = command.removeprefix("uv run ").removeprefix("python ")
    plain = script.endswith("_pipeline.py") and not command.startswith("uv ")
    kinds = (f"python simple_pipeline.py {CUSTOM}", "python make_pipeline.py deploy --force")
    first_of_its_kind = command in kinds
    return pytest.param(command, id=command, marks=[] if plain or first_of_its_kind else [pytest.mark.long])


@pytest.mark.parametrize("command", [seldom(command) for command in TRAINING])
def test_a_command_that_trains(command: str, small: Copy, request: pytest.FixtureRequest) -> None:
    """The exit code, the reference's lines, and the files that it names."""
    require_all_of(command)
    # A setting that wins over the host: no such server answers here.
    local = {"BATON_TRACKING_URI": f"sqlite:///{small.folder}/local.db"} if "-host" in command else {}
    if "prefect_" in command:
        local["PREFECT_API_URL"] = request.getfixturevalue("prefect_server")
    ended = small.type(command, **local)
    assert ended.code == 0, ended.stdout + ended.stderr
    told = ended.stdout
    assert told.startswith("🎯 Target: deploy\n")
    assert f"\n📅 Data: {month_of(command)}\n" in told
    assert f"\n🔄 Force rebuild: {'--force' in command}\n" in told
    ends = re.findall(r"✅ Task '(\w+)' (?:completed in \d+\.\d\ds|is up to date)", told)
    assert ends == list(GROUPS)
    assert re.search(r"^Training features shape: \(\d+, \d+\)$", told, re.MULTILINE)
    assert re.search(r"^Validation features shape: \(\d+, \d+\)$", told, re.MULTILINE)
    assert "🎉 Pipeline completed successfully!" in told
    (trained,) = re.findall(r"^Model trained successfully\. RMSE: (\d+\.\d{4})$", told, re.MULTILINE)
    assert f"📊 Final model RMSE: {trained}\n" in told
    assert "\nRun id file: run_id.txt\n" in told
    assert f"🆔 Model run ID: {small.run_id}\n" in told
    assert f"MLflow run_id: {small.run_id}\n" in told
    assert (small.folder / ".baton/models/report.html").is_file()
    if "--force" in command:
        assert re.findall(r"🚀 Running task: (\w+)", told) == list(GROUPS)


@pytest.mark.parametrize("command", LISTING, ids=str)
def test_a_command_that_lists_tasks(command: str, small: Copy) -> None:
    require_all_of(command)
    ended = small.type(command)
    assert ended.code == 0, ended.stderr
    targets = {line.split()[0] for line in ended.stdout.splitlines()[1:]}
    assert {*GROUPS, "cleanup"} <= targets


def test_validate_runs_only_up_to_the_gate(small: Copy) -> None:
    ended = small.type("python make_pipeline.py validate")
    assert ended.code == 0, ended.stderr
    assert ended.stdout.startswith("🎯 Target: validate\n")
    assert re.findall(r"✅ Task '(\w+)'", ended.stdout) == list(GROUPS[:-1])


def test_after_clean_everything_runs_again(small: Copy) -> None:
    small.type("python make_pipeline.py deploy")
    assert "Running task" not in small.type("python make_pipeline.py deploy").stdout
    cleaned = small.type("python make_pipeline.py --clean")
    assert cleaned.code == 0, cleaned.stderr
    assert not (small.folder / "run_id.txt").exists()
    again = small.type("python make_pipeline.py deploy")
    assert re.findall(r"🚀 Running task: (\w+)", again.stdout) == list(GROUPS)
    assert small.run_id


@pytest.mark.parametrize("command", SETTING, ids=str)
def test_a_line_of_python_that_changes_the_configuration(command: str, copy: Copy) -> None:
    before = json.loads((copy.folder / "orchestration_config.json").read_text())
    ended = copy.type(command)
    assert ended.code == 0, ended.stderr
    for (section, key), value in SETTING[command].items():
        before[section][key] = value
    assert json.loads((copy.folder / "orchestration_config.json").read_text()) == before


def test_the_configuration_is_shown(copy: Copy) -> None:
    ended = copy.type("python config.py --show")
    assert ended.code == 0, ended.stderr
    rows = {line.split()[0]: line.split()[1] for line in ended.stdout.splitlines()}
    assert (rows["data.year"], rows["data.month"]) == ("2021", "1")
    assert rows["mlflow.experiment_name"] == "nyc-taxi-experiment"
    assert rows["model.params.max_depth"] == "30"


@pytest.mark.parametrize("command", ["python --version", OTHERS[4]])
def test_a_command_that_looks_at_the_environment(command: str, copy: Copy) -> None:
    if command.startswith("pip") and not (PROGRAMS / "pip").exists():
        pytest.skip("there is no pip beside Python")
    ended = copy.type(command)
    assert ended.code == 0, ended.stderr
    assert re.match("Python 3" if "version" in command else r"(?s).*^mlflow .*^xgboost ", ended.stdout, re.M)


def test_airflow_tells_its_version(copy: Copy) -> None:
    require_engine("airflow")
    ended = copy.type("airflow version", AIRFLOW_HOME=str(copy.folder / "airflow"))
    assert (ended.code, ended.stdout.strip()[:2]) == (0, "3.")


@pytest.mark.long
@pytest.mark.parametrize("engine", ["simple", "make", "prefect", "airflow"])
def test_a_script_gives_the_reference_s_figure_on_real_trips(engine: str, real: Copy) -> None:
    require_engine(engine)
    ended = real.type(f"python {engine}_pipeline.py")
    assert ended.code == 0, ended.stdout + ended.stderr
    assert "Training features shape: (73908, 13221)\n" in ended.stdout
    assert "Validation features shape: (61921, 13221)\n" in ended.stdout
    assert "Model trained successfully. RMSE: 6.6077\n" in ended.stdout
    assert f"MLflow run_id: {real.run_id}\n" in ended.stdout


@pytest.mark.long
def test_the_plain_script_gives_the_reference_s_figure_on_real_trips(real: Copy) -> None:
    ended = real.type("python duration-prediction.py --year 2021 --month 1")
    assert ended.code == 0, ended.stderr
    assert "Training features shape: (73908, 13221)\n" in ended.stdout
    assert "Validation features shape: (61921, 13221)\n" in ended.stdout
    assert "Model trained successfully. RMSE: 6.6077\n" in ended.stdout
    assert f"MLflow run_id: {real.run_id}\n" in ended.stdout
    assert (real.folder / "models/preprocessor.b").is_file()


@pytest.mark.parametrize("command", [*TRAINING, *LISTING, *SETTING, *OTHERS], ids=str)
def test_a_command_stands_in_the_map(command: str) -> None:
    # In a table, a bar stands behind a backslash.
    assert f"`{command}`".replace("|", r"\|") in MAP.read_text(encoding="utf-8")


def test_the_map_names_files_that_exist() -> None:
    text = MAP.read_text(encoding="utf-8")
    named = re.findall(r"`((?:src|examples|docs)/[\w./-]+)`", text)
    assert named
    assert [path for path in named if not (EXAMPLES.parent / path).exists()] == []


# The plain script has nothing to rest on; the others rest on scripts.py.
NO_LESSONS = ("duration-prediction.py", "scripts.py")
LESSONS = sorted(path for path in EXAMPLES.glob("*.py") if path.name not in NO_LESSONS)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.name)
def test_a_script_over_baton_is_a_lesson_of_at_most_40_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 40
