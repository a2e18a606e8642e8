"""The checks of ``baton doctor``, including a pipeline's own, each with a way to fix what it finds."""

from __future__ import annotations

import importlib
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from baton.core.execute import describe
from baton.core.parameters import value_of
from baton.runs.project import Project

_MINIMUM_FREE_GB = 1.0


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: what was found and, if it is not good, how to fix it."""

    check: str
    good: bool
    found: str
    hint: str = ""


class CheckFailed(Exception):
    """A check that found a problem."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def examine(project: Project) -> tuple[Finding, ...]:
    """Check everything that a run of the project's pipeline needs."""
    checks: dict[str, Callable[[], str]] = {
        "python": lambda: f"{platform.python_version()} on {platform.system()}",
        "packages": lambda: _packages(project),
        "folder": lambda: _folder(project),
        "disk": lambda: _disk(project),
        "store": lambda: _store(project),
        "mlflow": lambda: _mlflow(project),
        "engine": lambda: _engine(project),
    }
    for label, check in project.declared.health.items():
        checks[label] = _with_parameters(check, project)
    return tuple(_try(label, check) for label, check in checks.items())


def _with_parameters(check: Callable[..., str], project: Project) -> Callable[[], str]:
    code = check.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return lambda: check(**{name: value_of(project.configuration.parameters, name) for name in names})


def _try(label: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(label, True, check())
    except Exception as error:  # a check may fail in any way
        failure = describe(error)
        return Finding(label, False, failure.message, failure.hint)


def _packages(project: Project) -> str:
    """Import MLflow, and the libraries that read the pipeline's artifacts."""
    tasks = project.declared.tasks
    kinds = [kind for task in tasks for kind in (*task.inputs.values(), *task.outputs.values())]
    versions = {}
    for name in dict.fromkeys(["mlflow", *(kind.module for kind in kinds if kind.module)]):
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            raise CheckFailed(
                f"{name} cannot be imported: {error}", f"install it with: pip install {name}"
            ) from error
        versions[name] = getattr(module, "__version__", "")
    return ", ".join(f"{name} {version}".rstrip() for name, version in versions.items())


def _folder(project: Project) -> str:
    project.require_writable()
    return str(project.home)


def _disk(project: Project) -> str:
    place = project.home if project.home.exists() else project.folder
    free_gb = shutil.disk_usage(place).free / 1e9
    if free_gb < _MINIMUM_FREE_GB:
        raise CheckFailed(
            f"{free_gb:.1f} GB free", f"free space; a run needs about {_MINIMUM_FREE_GB:.0f} GB"
        )
    return f"{free_gb:.0f} GB free"


def _store(project: Project) -> str:
    from baton import Json

    project.store.objects.check()
    artifact = project.store.save("probe", Json, {"probe": 1})
    project.store.load(artifact, Json)
    return project.store.objects.place.shown


def _mlflow(project: Project) -> str:
    from baton.core.addresses import without_secrets
    from baton.tracking.moved import elsewhere

    tracker = project.tracker(project.configuration.settings.baton.engine)
    tracker.check()
    tracker.client.search_experiments(max_results=1)
    lost = elsewhere(tracker.local_database) if tracker.local_database is not None else []
    if lost:
        raise CheckFailed(
            f"MLflow's artifacts are not where its records say: {lost[0]} does not exist",
            "move them back, or delete these experiments: baton ui",
        )
    return without_secrets(tracker.uri)


def _engine(project: Project) -> str:
    from baton.engines.find import find_engine

    engine = find_engine(project.configuration.settings.baton.engine)
    engine.check()
    return f"{engine.name}: {engine.description}"
