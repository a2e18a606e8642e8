"""Every place of every block, edited alone: what an edit can change runs again, and the cause is named."""

from __future__ import annotations

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
    before, again = run(forks, tmp_path, project), run(forks, tmp_path, project)
    wrong = [f"ran again: {reason}" for reason in computed(again).values() if reason[:14] != "not remembered"]
    for number, part in enumerate(project.parts):
        for spot in part.block.spots:
            project = project.edited(number, spot, 1)
            after = run(forks, tmp_path, project)
            found = fault(before, after, spot, part.name)
            if found:
                wrong.append(f"{part.name}, place {spot.name}: {found}")
            before = after
    assert wrong == []


def run(forks: Forks, folder: Path, project: Composition) -> Ran:
    """Run a project with the cache."""
    tree = project.tree
    tree.write(folder)
    ended = forks.run(folder, tree.environment, "run", "--cache")
    assert ended.code == 0, (ended.said, ended.answer)
    return ended


def computed(ran: Ran) -> dict[str, str]:
    """Return the reasons of the tasks that were computed."""
    return {name: task["reason"] for name, task in ran.tasks.items() if task["outcome"] == "succeeded"}


def fault(before: Ran, after: Ran, spot: Spot, name: str) -> str:
    """Return what is wrong with a run after an edit; nothing where it is right."""
    ran = computed(after)
    if not spot.changes:
        return f"ran for nothing: {ran}" if ran and not spot.may_run else ""
    if not ran:
        return "stale"
    if all(before.made(task) == after.made(task) for task in ran):
        return "the edit changes nothing"
    causes = [cause.replace("$b", name).replace("$B", name.upper()) for cause in spot.causes]
    if any(cause in reason for cause in causes for reason in ran.values()):
        return ""
    return f"names no {' or '.join(causes)}: {ran}"
