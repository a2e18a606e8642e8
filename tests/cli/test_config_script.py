"""The configuration as a script: ``python config.py``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.examples.conftest import EXAMPLES, Copy, copy_examples


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return copy_examples(tmp_path)


def stored(copy: Copy) -> dict:
    return json.loads((copy.folder / "orchestration_config.json").read_text())


def test_the_shipped_file_is_the_default_one(copy: Copy) -> None:
    (copy.folder / "orchestration_config.json").unlink()
    ended = copy.type("python config.py --create-default")
    assert (ended.code, ended.stderr) == (0, "wrote orchestration_config.json\n")
    shipped = (EXAMPLES / "orchestration_config.json").read_text()
    assert (copy.folder / "orchestration_config.json").read_text() == shipped


def test_the_shipped_file_names_nobody_s_server_and_no_machine_s_folder() -> None:
    shipped = json.loads((EXAMPLES / "orchestration_config.json").read_text())
    assert shipped["mlflow"]["tracking_server_host"] is None
    assert shipped["mlflow"]["tracking_uri"] is None
    assert shipped["mlflow"]["aws_profile"] is None
    assert '"/' not in json.dumps(shipped)


def test_the_file_before_is_kept(copy: Copy) -> None:
    copy.configure(data={"month": 7})
    ended = copy.type("python config.py --create-default")
    assert "the one before is orchestration_config.json.bak" in ended.stderr
    assert stored(copy)["data"]["month"] == 1
    assert json.loads((copy.folder / "orchestration_config.json.bak").read_text())["data"]["month"] == 7
    again = copy.type("python config.py --create-default")
    assert "the one before is orchestration_config.json.bak2" in again.stderr
    assert json.loads((copy.folder / "orchestration_config.json.bak").read_text())["data"]["month"] == 7


def test_changes_are_saved_together(copy: Copy) -> None:
    ended = copy.type(
        "python config.py --update-mlflow-host mlflow.example.org --update-aws-profile ours "
        "--update-year 2022 --update-month 3 --save"
    )
    assert (ended.code, ended.stderr) == (0, "saved orchestration_config.json\n")
    assert stored(copy)["mlflow"]["tracking_server_host"] == "mlflow.example.org"
    assert stored(copy)["mlflow"]["aws_profile"] == "ours"
    assert (stored(copy)["data"]["year"], stored(copy)["data"]["month"]) == (2022, 3)


def test_without_save_changes_are_only_shown(copy: Copy) -> None:
    ended = copy.type("python config.py --update-month 3")
    assert any(line.split()[:2] == ["data.month", "3"] for line in ended.stdout.splitlines())
    assert "hint: nothing is saved yet: add --save" in ended.stderr
    assert stored(copy)["data"]["month"] == 1


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (
            "python config.py --update-month 13 --save",
            "data.month cannot be 13: expected a whole number <= 12",
        ),
        ("python config.py --update-month March", "'March' is not a valid integer"),
        ("python config.py --shwo", "No such option '--shwo'"),
    ],
    ids=["out of range", "no number", "unknown option"],
)
def test_a_mistake_exits_2_and_changes_nothing(copy: Copy, command: str, told: str) -> None:
    before = stored(copy)
    ended = copy.type(command)
    assert ended.code == 2
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr
    assert stored(copy) == before


def test_a_file_with_an_unknown_key_is_refused_with_the_nearest_one(copy: Copy) -> None:
    copy.configure(data={"yaer": 2021})
    ended = copy.type("python config.py --show")
    assert ended.code == 2
    assert "unknown key 'data.yaer'; did you mean 'data.year'?" in ended.stderr


def test_each_script_has_its_own_experiment(copy: Copy) -> None:
    ended = copy.type(
        'python -c "from config import get_config; c=get_config(); c.update_data_settings(month=2); '
        "p=c.get_script_config('prefect'); print(p['mlflow']['experiment_name'], p['data']['month'])\""
    )
    assert ended.stdout == "nyc-taxi-experiment-prefect 2\n", ended.stderr
