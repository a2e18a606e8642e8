"""As many threads train as there are free cores that the process may use."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import pytest

from tripduration import threads

if TYPE_CHECKING:
    from pathlib import Path


def test_a_number_that_is_given_is_taken() -> None:
    assert threads.choose_threads(3) == 3


def test_a_negative_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not -1"):
        threads.choose_threads(-1)


@pytest.mark.parametrize(
    ("cores", "idle", "chosen"),
    [
        pytest.param(2.0, 0.97, 2, id="two free cores"),
        pytest.param(2.0, 0.5, 1, id="one of two cores busy"),
        pytest.param(2.0, 0.0, 1, id="both cores busy"),
        pytest.param(1.0, 1.0, 1, id="a quota of one core"),
        pytest.param(0.5, 1.0, 1, id="a quota of half a core"),
        pytest.param(64.0, 1.0, 8, id="a large machine"),
        pytest.param(64.0, 0.06, 4, id="a large busy machine"),
    ],
)
def test_the_free_cores_are_counted(
    monkeypatch: pytest.MonkeyPatch, cores: float, idle: float, chosen: int
) -> None:
    monkeypatch.setattr(threads, "usable_cores", lambda: cores)
    monkeypatch.setattr(threads, "idle_share", lambda since: idle)
    assert threads.choose_threads() == chosen


def test_this_machine_has_at_least_one_thread_and_a_share_of_idle_time() -> None:
    assert 1 <= threads.choose_threads() <= threads.MOST_THREADS
    assert 0 <= threads.idle_share() <= 1


def test_own_work_since_the_look_began_does_not_count_as_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([(1000, 2000), (1000, 2200)])  # two seconds of one core, none of it idle
    monkeypatch.setattr(threads, "_core_ticks", lambda: next(ticks))
    before = threads.CoreTimes.now()
    moved = threads.CoreTimes(before.ticks, before.own_s - 1.5, before.read_at_s - 1.0)
    assert threads.idle_share(moved) == pytest.approx(0.75, abs=0.02)


def test_the_load_average_counts_where_idle_time_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "_core_ticks", lambda: None)
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(threads.os, "getloadavg", lambda: (3.0, 0.0, 0.0))
    assert threads.idle_share() == 0.25


def test_affinity_and_joblib_s_variable_limit_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert threads.usable_cores() <= 1
    finally:
        os.sched_setaffinity(0, allowed)
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert threads.usable_cores() <= 1


def test_a_service_s_quota_limits_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "group_quota", lambda: 0.5)
    assert threads.usable_cores() == 0.5


def test_the_quota_of_a_group_is_found(tmp_path: Path) -> None:
    group = tmp_path / "cgroup/job"
    group.mkdir(parents=True)
    (group / "cpu.max").write_text("150000 100000\n", encoding="utf-8")
    assert threads.group_quota(tmp_path / "cgroup", membership(tmp_path, "1:cpu:/other\n0::/job")) == 1.5


def test_the_quota_of_a_group_above_holds_too(tmp_path: Path) -> None:
    group = tmp_path / "cgroup/outer/inner"
    group.mkdir(parents=True)
    (group / "cpu.max").write_text("max 100000\n", encoding="utf-8")
    (group.parent / "cpu.max").write_text("100000 100000\n", encoding="utf-8")
    quota = threads.group_quota(tmp_path / "cgroup", membership(tmp_path, "0::/outer/inner"))
    assert quota == 1


def test_without_a_quota_there_is_no_limit(tmp_path: Path) -> None:
    assert threads.group_quota(tmp_path, membership(tmp_path, "0::/")) == math.inf
    assert threads.group_quota(tmp_path, membership(tmp_path, "4:cpu:/docker/123")) == math.inf
    assert threads.group_quota(tmp_path, tmp_path / "absent") == math.inf


def membership(folder: Path, text: str) -> Path:
    path = folder / "membership"
    path.write_text(text, encoding="utf-8")
    return path
