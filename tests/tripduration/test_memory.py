"""Whether a training fits into memory is told before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tripduration.memory import TooLittleMemory, free_bytes, needed_bytes, require_memory

GB = 10**9


def test_more_trips_than_memory_are_refused_with_both_figures() -> None:
    with pytest.raises(TooLittleMemory) as caught:
        require_memory(38_000_000, 30_000, free_bytes=1_600_000_000)
    assert caught.value.message == (
        "training on 38.0 M trips needs about 5.0 GB of memory, but 1.6 GB are free"
    )
    assert "--train-months" in caught.value.hint
    assert "--check-memory=false" in caught.value.hint


def test_what_fits_and_what_is_unknown_pass() -> None:
    needed = needed_bytes(1_000_000, 13_000)
    assert require_memory(1_000_000, 13_000, free_bytes=needed).endswith("0.3 GB are free")
    assert require_memory(1_000_000, 13_000, free_bytes=None).endswith("of memory")


def machine(root: Path, cgroup: str, **files: str) -> Path:
    """Make the files of a machine with 8 GB free, and those of control groups."""
    for name, text in {
        "proc/meminfo": "MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\n",
        "proc/self/cgroup": cgroup,
        **{name.replace("__", "/"): text for name, text in files.items()},
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_without_a_limit_the_available_memory_is_free(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/user"
    files = {f"{group}/memory.max": "max\n", f"{group}/memory.current": "1000\n"}
    assert free_bytes(machine(tmp_path, "0::/user\n", **files)) == 8_192_000_000


def test_a_container_has_what_its_control_group_leaves(tmp_path: Path) -> None:
    group = "sys/fs/cgroup"
    files = {
        f"{group}/memory.max": f"{4 * GB}\n",
        f"{group}/memory.current": f"{3 * GB}\n",
        f"{group}/memory.stat": f"anon 5\ninactive_file {GB // 2}\n",
    }
    assert free_bytes(machine(tmp_path, "0::/\n", **files)) == 1.5 * GB


def test_the_limit_of_an_outer_group_of_the_first_version_counts(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/memory/outer"
    files = {
        f"{group}/memory.limit_in_bytes": f"{2 * GB}\n",
        f"{group}/memory.usage_in_bytes": f"{GB}\n",
        f"{group}/memory.stat": "total_inactive_file 0\n",
    }
    lines = "9:cpu:/elsewhere\n4:memory:/outer/inner\n"
    assert free_bytes(machine(tmp_path, lines, **files)) == GB


def test_another_system_says_nothing(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) is None
