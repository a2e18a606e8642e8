"""The effect scope: what a pipeline's effects act on, as seen from a project folder.

Two runs have the same scope if they use the same tracker, on any engine or machine.  The store, which
machines share, keeps each effect's last result per scope.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from baton.core.records import decode_record
from baton.core.task import Task
from baton.core.tracker import ModelRegistry
from baton.errors import BatonError, Unavailable

AnyTask = Task[..., Any]

LATER_THAN_ALL_RUNS = "~"
"""Compares as later than the id of any run; in a plan, for a run that is yet to come."""

UNKNOWN_STATE = "unknown: "
"""Prefix of an unknown state, which never equals another state."""


class FolderIdentity:
    """Identifies this folder on this machine; a copy of the folder has another identity.

    The folder holds a random id with the inode and path of its file and the machine's id: if these do not
    match, the file is a copy, and a new id is drawn.

    Parameters
    ----------
    folder : Path
        The folder that baton writes to.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder.absolute() / "folder.json"
        self._drawn = os.urandom(16).hex()
        self._kept = ""

    @property
    def id(self) -> str:
        """The stored id, or a new one that no record can have."""
        self._kept = self._kept or self._read()
        return self._kept or self._drawn

    def keep(self) -> None:
        """Store the id; if another process stored one first, use that one.

        Raises
        ------
        Unavailable
            If the folder cannot be written.
        """
        if self.id == self._kept:
            return
        try:
            self._write()
        except OSError as error:
            raise Unavailable(
                f"the folder {self._file.parent} cannot be written: {error.strerror}",
                "free space, or choose another place for what baton writes: --home FOLDER, or BATON_HOME",
            ) from error

    def _write(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._file.with_name(f".{self._file.name}.{self._drawn}.tmp")
        try:
            with temporary.open("xb") as file:
                inode = os.fstat(file.fileno()).st_ino
                drawn = _Identity(
                    id=self._drawn, inode=inode, path=str(self._file), machine=_installed_machine()
                )
                file.write(msgspec.json.encode(drawn))
            if self._file.exists() and not self._read():
                self._file.unlink(missing_ok=True)  # from a copy
            try:
                self._file.hardlink_to(temporary)  # unlike a rename, never replaces a file
            except FileExistsError:
                self._drawn = self._read() or self._drawn
            except OSError:  # no hard links on this file system
                temporary.replace(self._file)
        finally:
            temporary.unlink(missing_ok=True)

    def _read(self) -> str:
        try:
            inode = self._file.stat().st_ino
            kept = decode_record(self._file.read_bytes(), _Identity)
        except OSError:
            return ""
        expected = (inode, str(self._file), _installed_machine())
        return kept.id if kept is not None and (kept.inode, kept.path, kept.machine) == expected else ""


class _Identity(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    inode: int
    path: str
    machine: str


def machine_id() -> str:
    """Return an id of this machine: that of its installation, else its name."""
    return _installed_machine() or os.uname().nodename


def _installed_machine() -> str:
    try:
        return Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):  # not Linux, or a container
        return ""


class InBackfill(msgspec.Struct, frozen=True, kw_only=True):
    """A run's place in a backfill, in which the effects of the periods act in order.

    Parameters
    ----------
    period : str
        The run's period.
    is_last : bool
        Whether it is the last period.  What an earlier one left for people or in a registry is replaced by
        those after it, so only the last one is compared with it.
    since : str
        The latest run in which an effect of an earlier period acted; empty if there is none.  What this
        period did before that run is out of order.
    """

    period: str
    is_last: bool
    since: str = ""


@dataclass(frozen=True)
class EffectScope:
    """What effects act on, and how to check what they left behind.

    Parameters
    ----------
    pipeline : str
        The pipeline's name.
    tracker : str
        Identifies the tracker's location; empty for the database in the project folder, which differs
        from folder to folder.
    folder : FolderIdentity
        Identifies the project folder.
    roots : mapping of str to Path
        The project's folders by the names used in stored paths.
    experiment : str
        The tracker's experiment; empty if nothing is tracked.
    skips_done : bool
        Whether to skip an effect that is up to date.
    registry : ModelRegistry
        Gives quick answers about the model registry.
    effects_before : callable
        Returns the effects that a task, given by name, comes after.
    backfill : InBackfill, optional
        The run's place in a backfill.
    """

    pipeline: str
    tracker: str
    folder: FolderIdentity
    roots: Mapping[str, Path]
    experiment: str
    skips_done: bool
    registry: ModelRegistry
    effects_before: Callable[[str], tuple[AnyTask, ...]] = lambda _task: ()
    backfill: InBackfill | None = None

    @property
    def key(self) -> str:
        """An id of the scope, 16 hexadecimal digits; it reveals nothing."""
        named = f"tracker {self.tracker}" if self.tracker else f"folder {self.folder.id}"
        return hashlib.sha256(named.encode()).hexdigest()[:16]

    @property
    def is_replaced(self) -> bool:
        """Whether later periods of a backfill replace what effects leave in this run."""
        return self.backfill is not None and not self.backfill.is_last

    def state(self, task: AnyTask, parameters: Mapping[str, Any]) -> str:
        """Return the state of the world according to an effect's ``version``; empty if it has none.

        If it fails, the text begins with `UNKNOWN_STATE`.
        """
        if task.version is None:
            return ""
        try:
            arguments = {
                name: self.registry if takes_registry else parameters[name]
                for name, takes_registry in task.version_arguments.items()
            }
            return task.version(**arguments)
        except BatonError as error:
            return UNKNOWN_STATE + error.message
        except Exception as error:  # the task's code; the effect runs and shows the error
            return f"{UNKNOWN_STATE}{type(error).__name__}: {error}"
