"""Each place of each block, edited alone: what an edit can change runs again, and the cause is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cache_proof.catalogue import Block, Spot, catalogue
from tests.cache_proof.forked import Forks, Ran
from tests.cache_proof.projects import Composition, alone

BLOCKS = {f"{block.family}: {block.title}": block for block in catalogue()}

NOT_CACHED = "not cached: "
STALE = "stale"
NO_CHANGE = "the edit changes nothing, which is a fault of the block"


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    """Yield a process that runs the command in forks of itself."""
    with Forks() as made:
        yield made


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_an_edit_runs_again_what_it_changes_and_says_why(forks: Forks, tmp_path: Path, block: Block) -> None:
    project = alone(block)
    number, spot = len(project.parts) - 1, block.spots[-1]
    before, after = (run(forks, tmp_path, one) for one in (project, project.edited(number, spot, 1)))
    assert fault(before, after, spot, project.parts[number].name) == ""


@pytest.mark.long
@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_each_edit_runs_again_what_it_changes_and_nothing_runs_without_one(
    forks: Forks, tmp_path: Path, block: Block
) -> None:
    project = alone(block)
    before, again = run(forks, tmp_path, project), run(forks, tmp_path, project)
    wrong = [f"ran again unchanged: {reason}" for reason in computed(again).values()]
    if "uncached" in block.flags:
        wrong = [one for one in wrong if NOT_CACHED not in one]
    for number, part in enumerate(project.parts):
        for spot in part.block.spots:
            project = project.edited(number, spot, 1)
            after = run(forks, tmp_path, project)
            found = fault(before, after, spot, part.name)
            if found == STALE and outputs(after) == outputs(run_anew(forks, tmp_path, project)):
                found = NO_CHANGE
            if found:
                wrong.append(f"{part.name}, place {spot.name}: {found}")
            before = after
    assert not wrong, "\n".join(wrong)


def run(forks: Forks, folder: Path, project: Composition) -> Ran:
    """Run a project with the cache."""
    tree = project.tree
    tree.write(folder)
    ended = forks.run(folder, tree.environment, "run", "--cache")
    assert ended.code == 0, (ended.said, ended.answer)
    return ended


def run_anew(forks: Forks, folder: Path, project: Composition) -> Ran:
    """Run a project in a new store."""
    home = str(folder / ".baton" / "anew")
    return forks.run(folder, project.tree.environment, "run", "--no-cache", "--home", home)


def computed(ran: Ran) -> dict[str, str]:
    """Return the reasons of the tasks that were computed."""
    return {name: task["reason"] for name, task in ran.tasks.items() if task["outcome"] == "succeeded"}


def outputs(ran: Ran) -> dict[str, object]:
    """Return what the tasks made."""
    return {name: ran.made(name) for name in ran.tasks}


def fault(before: Ran, after: Ran, spot: Spot, name: str) -> str:
    """Return what is wrong with a run after an edit; nothing where it is right."""
    reasons = computed(after)
    if not spot.changes:
        return f"ran for nothing: {reasons}" if reasons and not spot.may_run else ""
    if not reasons:
        return STALE
    if outputs(before) == outputs(after):
        return NO_CHANGE
    causes = [cause.replace("$b", name).replace("$B", name.upper()) for cause in spot.causes]
    if any(NOT_CACHED in reason or cause in reason for cause in causes for reason in reasons.values()):
        return ""
    return f"names no {' or '.join(causes)}: {reasons}"
