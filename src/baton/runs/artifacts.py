"""The artifacts of finished runs: found by name, loaded, or written to a file."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from baton.core.artifact import Artifact, Kind, kind_called
from baton.core.files import copy_file
from baton.core.offers import UnusableKind
from baton.errors import UsageError, nearest
from baton.kinds.plain import FOLDER_KIND, OF_SEVERAL_FILES
from baton.runs.project import Project
from baton.runs.records import RunRecord, list_runs, read_run

_LOOK_BACK = 100


@dataclass(frozen=True)
class FoundArtifact:
    """An artifact of a run, and how its value is read.

    Parameters
    ----------
    project : Project
        The project whose store holds it.
    artifact : Artifact
        The reference.
    kind : type
        Its kind.
    run_id : str
        The run that made or used it.
    """

    project: Project
    artifact: Artifact
    kind: type[Kind]
    run_id: str

    @property
    def path(self) -> Path:
        """The stored file or folder; read-only.

        Raises
        ------
        StoreError
            If it is gone or corrupt.
        """
        store = self.project.store
        if self.artifact.kind in OF_SEVERAL_FILES:
            folder: Path = store.load(self.artifact, FOLDER_KIND)
            return folder
        if self.kind.gives_path or self.artifact.suffix:
            named: Path = store.load(self.artifact, self.kind)
            return named
        return store.objects.path_of(self.artifact.digest)

    def load(self) -> Any:
        """Return the value, as a task would receive it."""
        return self.project.store.load(self.artifact, self.kind)

    def write_to(self, target: Path) -> None:
        """Copy the stored file or folder to a new place.

        Raises
        ------
        UsageError
            If the place exists or cannot be written.
        """
        if target.exists() or target.is_symlink():
            raise UsageError(f"{target} exists", "name another file with -o, or delete it")
        temporary = target.with_name(f".{target.name}.{os.urandom(6).hex()}.tmp")
        source = self.path
        try:
            if source.is_dir():
                shutil.copytree(source, temporary, copy_function=_copy)  # not read-only
            else:
                copy_file(source, temporary)
            temporary.rename(target)
        except OSError as error:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.unlink(missing_ok=True)
            raise UsageError(f"{target} cannot be written: {error.strerror or error}") from error


def _copy(source: str, target: str) -> None:
    copy_file(Path(source), Path(target))


def find_artifact(project: Project, name: str, run: str = "latest") -> FoundArtifact:
    """Return an artifact by its name.

    Parameters
    ----------
    project : Project
        The project.
    name : str
        Name of the artifact.
    run : str
        A run's id; ``"latest"`` is the latest run of the pipeline that has the artifact.

    Raises
    ------
    UsageError
        If there is no such run or artifact, with the nearest name.
    """
    if run == "latest":
        runs = [one for one in list_runs(project.home, _LOOK_BACK) if one.pipeline == project.declared.name]
    else:
        runs = [read_run(project.home, run)]
    for record in runs:
        fields = _outputs(record).get(name)
        if fields is not None:
            artifact = Artifact.from_dict(fields)
            return FoundArtifact(project, artifact, _kind_of(project, artifact), record.run_id)
    declared = project.declared.producers
    known = sorted(set(chain.from_iterable(map(_outputs, runs))) | set(declared))
    where = f"run {run}" if run != "latest" else f"any run of pipeline '{project.declared.name}'"
    if name in declared:
        raise UsageError(
            f"artifact '{name}' was not made in {where}", f"make it with: baton run {declared[name].name}"
        )
    raise UsageError(f"no artifact '{name}' in {where}{nearest(name, known)}", "list tasks with: baton list")


def _outputs(record: RunRecord) -> dict[str, dict[str, Any]]:
    return {name: fields for task in record.tasks for name, fields in task.outputs.items()}


def _kind_of(project: Project, artifact: Artifact) -> type[Kind]:
    """Return the kind with which the pipeline reads an artifact, or the loaded kind of that name."""
    maker = project.declared.producers.get(artifact.name)
    if maker is not None and maker.outputs[artifact.name].name == artifact.kind:
        return maker.outputs[artifact.name]
    try:
        kind = kind_called(artifact.kind)
    except UnusableKind as error:
        raise UsageError(
            f"'{artifact.name}' is a {artifact.kind}, a kind that is not loaded, and {error}",
            "repair or uninstall what offers it, or run the pipeline again",
        ) from error
    if kind is None:
        raise UsageError(
            f"'{artifact.name}' is a {artifact.kind}, a kind that the pipeline no longer declares",
            "run the pipeline again",
        )
    return kind
