"""One attempt at the command line with whatever somebody may write, in a folder of its own."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from baton.cli.app import run_command_line
from baton.cli.exit_codes import ExitCode

DIAMOND = "baton.testing.pipelines:diamond"
SECRET = "hunter2"


@dataclass(frozen=True)
class Attempt:
    """How a command ended."""

    code: int
    out: str
    err: str


def attempt(
    *arguments: str,
    config: bytes | None = None,
    environ: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
) -> Attempt:
    """Run the real command in this process, in a new folder; nothing of it stays."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BATON_", "MLFLOW_"))}
    before, path = Path.cwd(), list(sys.path)
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.dict(os.environ, {**kept, "BATON_PIPELINE": DIAMOND, **(environ or {})}, clear=True),
    ):
        try:
            os.chdir(folder)
            if config is not None:
                Path("orchestration_config.json").write_bytes(config)
            for name, text in (files or {}).items():
                Path(name).write_text(text, encoding="utf-8", errors="surrogatepass")
            return _captured(arguments)
        finally:
            os.chdir(before)
            sys.path[:] = path


def _captured(arguments: Sequence[str]) -> Attempt:
    # As a shell's: what cannot be encoded is an error on stdout, and is written with escapes on stderr.
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict", write_through=True)
    err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace", write_through=True)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run_command_line(arguments)
    return Attempt(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))


def must_be_told(ended: Attempt) -> None:
    """Hold an end against what is promised for every input: a known code, no defect, no secret."""
    assert ended.code in list(ExitCode), ended
    assert "baton failed on" not in ended.err, ended.err
    assert "Traceback" not in ended.out + ended.err, ended
    if ended.code in (ExitCode.USAGE, ExitCode.INVALID_PIPELINE, ExitCode.UNAVAILABLE):
        assert "error: " in ended.err or "Usage: " in ended.err, ended
    assert SECRET not in ended.out + ended.err, ended
