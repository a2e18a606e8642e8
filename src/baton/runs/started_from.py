"""What a run was started from: the commit of the project's folder, and the user."""

from __future__ import annotations

import getpass
import subprocess
from dataclasses import dataclass
from pathlib import Path

_GIT_WITHIN_S = 5
_STATUS = "status --porcelain=v2 --branch --untracked-files=no".split()  # noqa: SIM905  # as one would type it


@dataclass(frozen=True, slots=True)
class StartedFrom:
    """Who started a run, and from which commit.

    Parameters
    ----------
    commit : str
        Git's commit of the repository that the project's folder is in; empty if there is none.
    dirty : bool
        Whether files of that repository have changes that are not committed; new files do not count.
    user : str
        The user's name; empty if the system knows none.
    """

    commit: str = ""
    dirty: bool = False
    user: str = ""

    @classmethod
    def now(cls, folder: Path) -> StartedFrom:
        """Ask git about a folder, and the system for the user."""
        lines = _git_status(folder)
        oids = [line.split()[-1] for line in lines if line.startswith("# branch.oid ")]
        commit = next((oid for oid in oids if oid != "(initial)"), "")
        return cls(commit, bool(commit) and any(not line.startswith("#") for line in lines), _user())

    @property
    def tags(self) -> dict[str, str]:
        """The tags of a tracking run and of a model version, MLflow's own names where it has one."""
        tags = {"mlflow.user": self.user, "mlflow.source.git.commit": self.commit}
        if self.commit:
            tags["baton.git_dirty"] = str(self.dirty).lower()
        return {name: value for name, value in tags.items() if value}


def _git_status(folder: Path) -> list[str]:
    # Without the repository's own file monitor, which is a program that its configuration names.
    words = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", *_STATUS]
    try:
        ended = subprocess.run(
            words,
            check=False,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_WITHIN_S,
        )
    except (OSError, subprocess.SubprocessError):  # no git, or too slow
        return []
    return ended.stdout.decode(errors="replace").splitlines() if ended.returncode == 0 else []


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no name for the process's user id
        return ""
