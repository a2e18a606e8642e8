"""Parameters of every type, from the command line to the task: through files, records and processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Command

PIPELINE = Path(__file__).parents[1] / "every_type.py"
GIVEN = {
    "months": "3,04",
    "names": '["a,b","c"]',
    "pair": "2,b",
    "colours": "blue,red",
    "colour": "blue",
    "level": "02",
    "out": "~/x",
    "outs": "a,b",
    "day": "2022-02-03",
    "at": "2022-02-03T04:05:06",
    "clock": "01:02:03",
    "mode": "slow",
    "size": "01",
    "maybe": "b",
    "rate": "05.5",
    "weights": ".5,1e-3",
}
PLAIN = {
    "months": [3, 4],
    "names": ["a,b", "c"],
    "pair": [2, "b"],
    "colours": ["blue", "red"],
    "colour": "blue",
    "level": 2,
    "out": "/home/me/x",
    "outs": ["a", "b"],
    "day": "2022-02-03",
    "at": "2022-02-03T04:05:06",
    "clock": "01:02:03",
    "mode": "slow",
    "size": 1,
    "maybe": "b",
    "rate": 5.5,
    "weights": [0.5, 0.001],
}
SEEN = {
    "months": "(3, 4)",
    "names": "['a,b', 'c']",
    "pair": "(2, 'b')",
    "colours": "(<Colour.BLUE: 'blue'>, <Colour.RED: 'red'>)",
    "colour": "<Colour.BLUE: 'blue'>",
    "level": "<Level.HIGH: 2>",
    "out": "PosixPath('/home/me/x')",
    "outs": "(PosixPath('a'), PosixPath('b'))",
    "day": "datetime.date(2022, 2, 3)",
    "at": "datetime.datetime(2022, 2, 3, 4, 5, 6)",
    "clock": "datetime.time(1, 2, 3)",
    "mode": "'slow'",
    "size": "1",
    "maybe": "'b'",
    "rate": "5.5",
    "model": "Model(tree=Tree(depth=7, leaves=4), weights=[0.5, 0.001])",
}
OPTIONS = [f"--{name}={text}" for name, text in GIVEN.items()]


@pytest.fixture
def every_type(baton: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return the command in a folder whose pipeline has a parameter of every type."""
    (tmp_path / "every_type.py").write_text(PIPELINE.read_text())
    monkeypatch.setenv("BATON_PIPELINE", "every_type:dag")
    monkeypatch.setenv("HOME", "/home/me")
    return baton


def values_of(shown: str) -> dict[str, object]:
    return {key.rpartition(".")[2]: one["value"] for key, one in json.loads(shown).items()}


def test_every_type_is_shown_from_each_source_and_set_in_the_file(
    every_type: Command, tmp_path: Path
) -> None:
    on_line = every_type("config", "show", "--json", *OPTIONS)
    variables = {f"BATON_{name.upper()}": text for name, text in GIVEN.items()}
    in_environment = every_type("config", "show", "--json", **variables)
    assert values_of(on_line.stdout).items() >= PLAIN.items()
    assert values_of(in_environment.stdout).items() >= PLAIN.items()
    for name in ("months", "names", "colours", "level", "out", "at", "rate"):
        assert every_type("config", "set", name, GIVEN[name]).code == 0
    [written] = json.loads((tmp_path / "orchestration_config.json").read_text())["pipelines"].values()
    assert written == {name: PLAIN[name] for name in written}
    assert len(written) == 7
    shown = every_type("config", "show")
    assert '["a, b", "c"]' not in shown.stdout
    assert [line.split()[:2] for line in shown.stdout.splitlines() if line.startswith("months")] == [
        ["months", "3,4"]
    ]


def test_a_task_gets_every_type_and_the_run_is_resumed_with_the_same(every_type: Command) -> None:
    failed = every_type("run", "--engine=make", *OPTIONS)  # whose tasks run in processes of their own
    assert failed.code == 1, failed.stderr
    assert "it is slow" in failed.stderr
    command = failed.stderr.rsplit("resume: baton ", 1)[1].split()
    ended = every_type(*command, "--fast", "true")
    assert ended.code == 0, ended.stderr
    assert ended.facts.items() >= SEEN.items()
    record = json.loads(every_type("status", "--run", "latest", "--json").stdout)
    assert record["parameters"].items() >= PLAIN.items()
    others = [option for option in OPTIONS if not option.startswith("--months=")]
    again = every_type("plan", *others, "--fast=true", "--months=3,5", "--engine=make")
    assert "parameter months [3, 4] -> [3, 5]" in again.stdout


def test_the_option_of_a_list_may_be_given_several_times(every_type: Command) -> None:
    shown = every_type("config", "show", "--json", "--months", "1", "--months", "2,03", "--names", "x")
    assert values_of(shown.stdout).items() >= {"months": [1, 2, 3], "names": ["x"]}.items()
    mixed = every_type("config", "show", "--months", "1", "--months", "[2]")
    assert mixed.code == 2
    assert "--months is repeated, but one value is a whole list" in mixed.stderr


def test_a_month_may_have_a_zero_before_it(baton: Command) -> None:
    shown = baton("config", "show", "--json", "--month", "08", BATON_TRAIN_MONTHS="03")
    assert values_of(shown.stdout).items() >= {"month": 8, "train_months": 3}.items()
    refused = baton("config", "show", "--month", "0x8", BATON_YEAR="2_021")
    assert refused.code == 2
    assert "--month cannot be '0x8': expected a whole number in the digits 0 to 9" in refused.stderr
    assert "BATON_YEAR cannot be '2_021': expected a whole number in the digits 0 to 9" in refused.stderr


def test_a_choice_called_none_can_be_set(baton: Command, tmp_path: Path) -> None:
    (tmp_path / "chosen.py").write_text(
        "from typing import Literal\nfrom baton import *\n"
        "class Chosen(Parameters):\n    penalty: Literal['l2', 'none'] = 'l2'\n"
        "@task\ndef one(penalty: Literal['l2', 'none']) -> Json:\n    return penalty\n"
        "dag = Dag('chosen', [one], parameters=Chosen)\n"
    )
    assert baton("config", "set", "penalty", "none", "--pipeline", "chosen:dag").code == 0
    written = json.loads((tmp_path / "orchestration_config.json").read_text())
    assert written == {"pipelines": {"chosen:dag": {"penalty": "none"}}}


def test_the_home_folder_may_be_written_as_a_tilde_everywhere(
    baton: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.json").write_text('{"baton": {"home": "~/kept"}, "artifacts": {"data_dir": "~"}}')
    place = tmp_path / "project"
    place.mkdir()
    shown = baton(
        "config", "show", "--json", "--config=~/mine.json", "--store=~/store", BATON_PROJECT="~/project"
    )
    found = values_of(shown.stdout)
    assert (found["home"], found["data_dir"]) == (f"{tmp_path}/kept", str(tmp_path))
    assert found["store"] == f"{tmp_path}/store"
    assert baton("config", "path", "-C", "~/project").stdout == f"{place}/orchestration_config.json\n"
    diamond = ("--pipeline", "baton.testing.pipelines:diamond")
    assert baton("run", *diamond, BATON_CONFIG="~/mine.json", folder=place).code == 0
    assert (tmp_path / "kept" / "store").is_dir()
    assert not (place / "~").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--home", r"C:\baton"), "baton.home cannot be"),
        (("--store", "file:///C:/store"), "baton.store cannot be"),
        (("--store", "D:/store"), "baton.store cannot be"),
        (("--data-dir", r"\\server\share"), "artifacts.data_dir cannot be"),
        (("--config", r"C:\config.json"), "cannot be used"),
    ],
)
def test_a_path_of_windows_is_refused_with_the_reason(
    baton: Command, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    ended = baton("run", *arguments, "--source", "sample")
    assert ended.code == 2
    assert words in ended.stderr
    assert "not a Windows one; in WSL C:\\ is /mnt/c/" in ended.stderr
    assert not list(tmp_path.iterdir())
