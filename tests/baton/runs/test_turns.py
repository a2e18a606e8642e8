"""Turns: one process at a time does a piece of work, also on another machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from baton.runs import turns
from baton.runs.turns import Turns
from baton.store.objects import ObjectStore


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return ObjectStore(str(tmp_path / "store"), tmp_path / "mirror")


def test_a_turn_is_taken_once_until_it_is_given_back(objects: ObjectStore, tmp_path: Path) -> None:
    with Turns(objects, tmp_path / "here") as one, Turns(objects, tmp_path / "there") as other:
        assert one.take("first")
        assert one.take("first")
        assert not other.take("first")
        assert other.take("second")
        one.give_back("first")
        assert other.take("first")


def test_the_end_gives_all_back(objects: ObjectStore, tmp_path: Path) -> None:
    with Turns(objects, tmp_path / "here") as one:
        assert one.take("first")
    assert not list((tmp_path / "here").iterdir())
    with Turns(objects, tmp_path / "there") as other:
        assert other.take("first")


def test_a_turn_of_another_machine_lasts_while_it_is_renewed(
    objects: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(turns.time, "monotonic", lambda: now[0])
    silent = Turns(objects, tmp_path / "silent")
    assert silent.take("first")
    other = Turns(objects, tmp_path / "there", given_up_after_s=60)
    assert not other.take("first")
    now[0] += 59
    assert not other.take("first")
    silent._renewals += 1
    silent._write("first")
    now[0] += 59
    assert not other.take("first")
    now[0] += 61
    assert other.take("first")
    assert not silent.take("first")


def test_a_turn_of_a_killed_process_of_this_machine_is_free_at_once(
    objects: ObjectStore, tmp_path: Path
) -> None:
    program = f"""
import os, signal
from pathlib import Path
from baton.runs.turns import Turns
from baton.store.objects import ObjectStore
turns = Turns(ObjectStore({str(tmp_path / "store")!r}, Path({str(tmp_path / "mirror")!r})), Path("turns"))
with turns:
    print(turns.take("first"), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert killed.stdout == "True\n"
    with Turns(objects, tmp_path / "turns") as mine:
        assert mine.take("first")
