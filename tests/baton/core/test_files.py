"""Files are written whole, and only where a file is or can be."""

import os
import stat
from pathlib import Path

import pytest

from baton.core.files import copy_file, write_atomically


def test_what_is_no_regular_file_is_left_as_it_is(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="not a regular file"):
        write_atomically(pipe, b"content")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_device_behind_a_link_is_left_as_it_is(tmp_path):
    link = tmp_path / "null"
    link.symlink_to(os.devnull)
    with pytest.raises(OSError, match="not a regular file"):
        write_atomically(link, b"content")
    assert link.is_symlink()


@pytest.mark.parametrize("size", [0, 1, (1 << 20) + 1])
def test_a_copy_has_the_whole_content_and_the_usual_permissions(tmp_path, size):
    content = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "given").write_bytes(content[:size])
    (tmp_path / "given").chmod(0o400)
    (tmp_path / "made").write_bytes(b"longer than before" * size)
    copy_file(tmp_path / "given", tmp_path / "made")
    assert (tmp_path / "made").read_bytes() == content[:size]
    assert (tmp_path / "made").stat().st_mode & 0o200


def test_a_copy_from_another_file_system(tmp_path):
    made = tmp_path / "version"
    copy_file(Path("/proc/version"), made)
    assert made.read_bytes() == Path("/proc/version").read_bytes() != b""
