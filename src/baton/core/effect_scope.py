"""The effect scope: what the effects of a pipeline act on, as seen from one project's folder.

Two runs have the same scope where they use the same tracker, on whichever engine or machine.  What
effects did last in a scope is remembered in the store, where machines meet.
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

CANNOT_TELL = "cannot be told: "
"""Begins what stands for a state that nobody can tell; it is the same as no other state."""


class FolderIdentity:
    """Tells this folder on this machine from every other one, copies of it included.

    An id drawn by chance lies in the folder, with the file's own inode, its path and the machine's id:
    where these do not fit, the file is a copy and another id is drawn.

    Parameters
    ----------
    folder : Path
        The folder of what baton writes.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder.absolute() / "folder.json"
        self._drawn = os.urandom(16).hex()
        self._kept = ""

    @property
    def id(self) -> str:
        """The id that is kept or, where there is none, one that no record can have."""
        self._kept = self._kept or self._read()
        return self._kept or self._drawn

    def keep(self) -> None:
        """Keep the id; one that another process kept first is taken over.

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
                self._file.unlink(missing_ok=True)  # a copy's
            try:
                self._file.hardlink_to(temporary)  # unlike a rename it never replaces what is there
            except FileExistsError:
                self._drawn = self._read() or self._drawn
            except OSError:  # a file system without links
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
    """Return what tells this machine from others: the id of its installation, else its name."""
    return _installed_machine() or os.uname().nodename


def _installed_machine() -> str:
    try:
        return Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):  # not a Linux, or a container
        return ""


@dataclass(frozen=True)
class EffectScope:
    """What effects act on, and how one looks at what they left.

    Parameters
    ----------
    pipeline : str
        The pipeline's name.
    tracker : str
        What tells the tracker's place from every other one; empty for the database in the project's own
        folder, which is another one in every folder.
    folder : FolderIdentity
        Tells the project's own folder from every other one.
    roots : mapping of str to Path
        The project's folders by the names under which what lies there is remembered.
    experiment : str
        Where the tracker keeps the runs; empty where nothing is tracked.
    leaves_out_done : bool
        Whether an effect that is done is left out.
    registry : ModelRegistry
        Answers quickly what is registered.
    effects_before : callable
        Returns the effects that a task, by its name, comes after.
    """

    pipeline: str
    tracker: str
    folder: FolderIdentity
    roots: Mapping[str, Path]
    experiment: str
    leaves_out_done: bool
    registry: ModelRegistry
    effects_before: Callable[[str], tuple[AnyTask, ...]] = lambda _task: ()

    @property
    def key(self) -> str:
        """What tells the scope from others, 16 hexadecimal digits; it gives nothing away."""
        named = f"tracker {self.tracker}" if self.tracker else f"folder {self.folder.id}"
        return hashlib.sha256(named.encode()).hexdigest()[:16]

    def state(self, task: AnyTask, parameters: Mapping[str, Any]) -> str:
        """Return what an effect's ``version`` says of the world now; empty where it has none.

        Where it fails, the text begins with `CANNOT_TELL`.
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
            return CANNOT_TELL + error.message
        except Exception as error:  # the task's own code; the effect then runs, and shows what is wrong
            return f"{CANNOT_TELL}{type(error).__name__}: {error}"
