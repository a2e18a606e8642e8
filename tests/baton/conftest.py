"""What the tests of the core share: packages written for the test, a store, a run."""

from __future__ import annotations

import importlib
import itertools
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from baton import Parameters
from baton.codetrace.observing import follow_imports
from baton.codetrace.reach import ORDER, Reach
from baton.codetrace.reader import CodeReader
from baton.core.effect_scope import EffectScope, FolderIdentity
from baton.core.events import Event
from baton.core.execute import Folders, TaskRun
from baton.store.store import Store

_numbers = itertools.count()


@dataclass
class Package:
    """A package of the test's own on the import path, with a name that nothing else has."""

    name: str
    folder: Path

    def write(self, module: str, source: str) -> None:
        """Write a module by its path below the package; ``PKG`` in the source is the package's name."""
        path = self.folder / self.name / module
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source).replace("PKG", self.name), encoding="utf-8")
        self.forget()

    def forget(self) -> None:
        """Let the next import read the sources anew."""
        importlib.invalidate_caches()
        for name in [name for name in sys.modules if name.partition(".")[0] == self.name]:
            del sys.modules[name]

    def load(self, module: str = "tasks") -> ModuleType:
        """Import a module of the package as it stands on disk now."""
        self.forget()
        return importlib.import_module(f"{self.name}.{module}")

    def reach(self, function: str = "f", module: str = "tasks", memory: Path | None = None) -> Reach:
        """Return what a function of the package reaches now, without importing it."""
        self.forget()

        def stand_in() -> None: ...

        stand_in.__module__ = f"{self.name}.{module}"
        stand_in.__qualname__ = function
        return CodeReader(memory).reach(stand_in)

    def names(self, function: str = "f", module: str = "tasks") -> set[str]:
        """Return the reached definitions without the package's name, imports aside."""
        return {
            part.removeprefix(f"{self.name}.")
            for part, digest in self.reach(function, module).parts.items()
            if not digest.startswith("-> ") and not part.endswith(f":{ORDER}")
        }


@pytest.fixture(autouse=True, scope="session")
def _followed() -> None:
    """Import modules from the first test on as pipelines are imported, whichever test comes first."""
    follow_imports("baton")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    """Return an empty package that can be imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made = Package(f"written_{next(_numbers)}", tmp_path)
    made.write("__init__.py", "")
    yield made
    made.forget()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return an empty local store."""
    return Store(str(tmp_path / "store"), tmp_path / "home")


class SmallParameters(Parameters, frozen=True):
    """Two numbers and a word."""

    factor: int = 2
    share: float = 0.5
    word: str = "one"


class NothingRegistered:
    """Stands for a tracker that knows no model and every run."""

    def champion(self, model: str) -> str:
        return "no champion"

    def has_run(self, run_id: str) -> bool:
        return True


@pytest.fixture
def effect_scope(tmp_path: Path) -> EffectScope:
    """Return what effects of the test's folder act on, for an engine that leaves out what is done."""
    return EffectScope(
        pipeline="small",
        tracker="",
        folder=FolderIdentity(tmp_path / "home"),
        roots={"models": tmp_path / "models", "data": tmp_path / "data", "project": tmp_path},
        experiment="",
        skips_done=True,
        registry=NothingRegistered(),
    )


@pytest.fixture
def make_run(tmp_path: Path, store: Store) -> Callable[..., TaskRun]:
    """Return a function that makes a run over the store; events go to the list given as ``seen``."""

    def make(seen: list[Event] | None = None, **changes: Any) -> TaskRun:
        given: dict[str, Any] = {
            "run_id": "20260101-000000-abcd",
            "pipeline": "small",
            "engine": "simple",
            "parameters": SmallParameters(),
            "store": store,
            "folders": Folders(tmp_path, tmp_path / "scratch", tmp_path / "data", tmp_path / "models"),
            "use_cache": True,
            "report": (lambda event: None) if seen is None else seen.append,
        }
        return TaskRun(**{**given, **changes})

    return make
