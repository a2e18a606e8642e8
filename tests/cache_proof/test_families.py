"""Every place of every block, edited alone: what an edit can change runs again, and the cause is named."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cache_proof.catalogue import Block, Spot, catalogue
from tests.cache_proof.forked import Forks, Ran
from tests.cache_proof.projects import Composition, alone

BLOCKS = {f"{block.family}: {block.title}": block for block in catalogue()}


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    """Yield a process that runs the command in forks of itself."""
    with Forks() as made:
        yield made


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_an_edit_runs_again_what_it_changes_and_says_why(forks: Forks, tmp_path: Path, block: Block) -> None:
    project = alone(block)
    folder, kept = tmp_path / "project", tmp_path / "kept"
    before = run(forks, folder, project)
    (folder / ".baton").rename(kept)
    wrong = []
    for number, part in enumerate(project.parts):
        for spot in part.block.spots:
            shutil.rmtree(folder / ".baton", ignore_errors=True)
            shutil.copytree(kept, folder / ".baton", symlinks=True)
            after = run(forks, folder, project.edited(number, spot, 1))
            found = fault(before, after, spot, part.name)
            if found:
                wrong.append(f"{part.name}, place {spot.name}: {found}")
    assert wrong == []


def run(forks: Forks, folder: Path, project: Composition) -> Ran:
    """Run a project with the cache."""
    tree = project.tree
    tree.write(folder)
    ended = forks.run(folder, tree.environment, "run", "--cache")
    assert ended.code == 0, (ended.said, ended.answer)
    return ended


def fault(before: Ran, after: Ran, spot: Spot, name: str) -> str:
    """Return what is wrong with a run after an edit; nothing where it is right."""
    ran = {task: record["reason"] for task, record in after.tasks.items() if record["outcome"] == "succeeded"}
    if spot.harmless:
        return f"ran for nothing: {ran}" if ran else ""
    if not ran:
        return "stale"
    if all(before.made(task) == after.made(task) for task in ran):
        return "the edit changes nothing"
    causes = [cause.replace("$b", name).replace("$B", name.upper()) for cause in spot.causes]
    if any(cause in reason for cause in causes for reason in ran.values()):
        return ""
    return f"names no {' or '.join(causes)}: {ran}"
