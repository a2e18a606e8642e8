"""Files are written whole, and only where a file is or can be."""

import os
import stat

import pytest

from baton.core.files import write_atomically


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
