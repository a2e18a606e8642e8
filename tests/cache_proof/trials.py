"""Try edits of generated projects: a run with the cache must make what a run in a new store makes."""

from __future__ import annotations

import difflib
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.cache_proof.catalogue import Block
from tests.cache_proof.forked import Forks, Ran, run_afresh
from tests.cache_proof.mutations import harmless_code, mutated_code, mutated_data
from tests.cache_proof.projects import Composition, Tree, fresh_folder, generated

Made = dict[str, dict[str, str] | None]


@dataclass(frozen=True)
class Edit:
    """A project after an edit.

    Parameters
    ----------
    what : str
        What was edited.
    tree : Tree
        The project after it.
    composition : Composition or None
        What the project is made of then; None where no choice of spots makes it.
    keep_times : bool
        Whether the files keep the times of their last change.
    """

    what: str
    tree: Tree
    composition: Composition | None = None
    keep_times: bool = False


@dataclass
class Findings:
    """What came of many edits.

    Parameters
    ----------
    edits : int
        How many were tried.
    effective : int
        Those after which a new run makes something else than before, or fails.
    unchanged : int
        Those after which it makes the same.
    spurious : int
        Of the latter, those after which a task was computed again.
    stale : list of str
        What was wrong, each with its projects.
    """

    edits: int = 0
    effective: int = 0
    unchanged: int = 0
    spurious: int = 0
    stale: list[str] = field(default_factory=list)

    def add(self, other: Findings) -> None:
        """Count what others found, too."""
        self.edits += other.edits
        self.effective += other.effective
        self.unchanged += other.unchanged
        self.spurious += other.spurious
        self.stale += other.stale

    def __str__(self) -> str:
        return (
            f"{self.edits} edits: {self.effective} change a result, {len(self.stale)} of them stale; "
            f"{self.unchanged} change none, {self.spurious} of them computed something again"
        )


class Trial:
    """One generated project, and edits of it.

    Parameters
    ----------
    seed : str
        The same seed gives the same project and the same edits.
    blocks : sequence of Block
        What projects are made of.
    forks : Forks
        Runs the command.
    folder : Path
        A place for the project.
    engine : str
        The engine of the runs with the cache.
    afresh : bool
        Whether the runs with the cache are processes of their own, as users start them.
    """

    def __init__(
        self, seed: str, blocks: Sequence[Block], forks: Forks, folder: Path, *, engine: str, afresh: bool
    ) -> None:
        self._seed = seed
        self._chance = random.Random(seed)
        self._composition = generated(blocks, self._chance)
        self._forks = forks
        self._folder = fresh_folder(folder)
        self._command = ["run", "--cache", "--keep-going", "--engine", engine]
        self._run: Callable[..., Ran] = run_afresh if afresh else forks.run

    def findings(self, edits: int) -> Findings:
        """Try some edits, each of the project as it was before, or as the edit before left it."""
        found = Findings()
        told: set[str] = set()
        tree = self._composition.tree
        self._cached(tree)
        made = self._truth(tree)
        for edit in self._edits(edits):
            cached, truth = self._cached(edit.tree, keep_times=edit.keep_times), self._truth(edit.tree)
            found.edits += 1
            if truth == made:
                found.unchanged += 1
                found.spurious += any(task["outcome"] == "succeeded" for task in cached.tasks.values())
            else:
                found.effective += 1
            wrong = [task for task, outputs in truth.items() if cached.made(task) != outputs]
            wrong += [task for task in cached.tasks if cached.made(task) is not None and task not in truth]
            results = {f"{task} {cached.made(task)}" for task in wrong}
            if not results <= told and self._is_certain(edit.tree, truth):
                told |= results  # what is stale now is so after further edits, too
                found.stale.append(self._told(tree, edit, wrong, cached, truth))
            if edit.composition is not None and not wrong:
                self._composition, tree, made = edit.composition, edit.tree, truth
        shutil.rmtree(self._folder)
        return found

    def _edits(self, number: int) -> Iterator[Edit]:
        for _ in range(number):
            chance = self._chance.random()
            keep_times = self._chance.random() < 0.1
            if chance < 0.6:
                yield self._at_a_spot(keep_times)
            elif chance < 0.93:
                yield self._by_chance(keep_times)
            else:
                yield self._that_says_the_same(keep_times)

    def _at_a_spot(self, keep_times: bool) -> Edit:
        composition = self._composition
        choices = [
            (number, spot)
            for number, part in enumerate(composition.parts)
            for spot in part.block.spots
            if spot.changes or self._chance.random() < 0.3
        ]
        number, spot = self._chance.choice(choices)
        part = composition.parts[number]
        now = dict(part.chosen).get(spot.name, 0)
        choice = self._chance.choice([one for one in range(spot.choices) if one != now])
        edited = composition.edited(number, spot, choice)
        keeps = self._chance.random() < 0.5
        what = f"place {spot.name} of {part.name} ({part.block.family}: {part.block.title})"
        return Edit(what, edited.tree, edited if keeps else None, keep_times)

    def _by_chance(self, keep_times: bool) -> Edit:
        tree = self._composition.tree
        # A changed word could be a command that nobody meant.
        names = [name for name, text in self._own(tree).items() if "subprocess" not in text]
        name = self._chance.choice(names)
        change = mutated_code if name.endswith(".py") else mutated_data
        changed = tree.with_text(name, change(tree.texts[name], self._chance))
        return Edit(f"{name} changed by chance", changed, keep_times=keep_times)

    def _that_says_the_same(self, keep_times: bool) -> Edit:
        tree = self._composition.tree
        name = self._chance.choice([name for name in self._own(tree) if name.endswith(".py")])
        changed = tree.with_text(name, harmless_code(tree.texts[name], self._chance))
        return Edit(f"{name} written otherwise", changed, keep_times=keep_times)

    @staticmethod
    def _own(tree: Tree) -> dict[str, str]:
        """Return the project's files that say something, without the pipeline's module."""
        kept = {name: text for name, text in tree.texts.items() if not name.startswith("site-packages/")}
        return {name: text for name, text in kept.items() if name != "p.py" and text.strip()}

    def _cached(self, tree: Tree, *, keep_times: bool = False) -> Ran:
        tree.write(self._folder, keep_times=keep_times)
        return self._run(self._folder, tree.environment, *self._command)

    def _truth(self, tree: Tree, *targets: str) -> Made:
        """Return what a run in a new store makes."""
        home = self._folder.with_name(f"{self._folder.name}-truth")
        words = ["run", *targets, "--no-cache", "--keep-going", "--home", str(home)]
        truth = self._forks.run(self._folder, tree.environment, *words)
        shutil.rmtree(home, ignore_errors=True)
        return {task: truth.made(task) for task in truth.tasks}

    def _is_certain(self, tree: Tree, truth: Made) -> bool:
        """Say whether each task makes the same again, and without those that it does not need."""
        return all(self._truth(tree, task).get(task) == made for task, made in truth.items())

    def _told(self, before: Tree, edit: Edit, wrong: Sequence[str], cached: Ran, truth: Made) -> str:
        """Return all that is needed to see what is wrong."""
        lines = [f"seed {self._seed}: {', '.join(wrong)} stale after an edit: {edit.what}"]
        for task in wrong:
            record = cached.tasks.get(task, {})
            lines.append(
                f"  {task}: {record.get('outcome')}, {record.get('reason')}; anew: {truth.get(task)}"
            )
        lines += _differences(before, edit.tree)
        lines.append("before:")
        lines += [f"--- {name}\n{text}" for name, text in sorted(before.texts.items())]
        lines += [f"--- env\n{dict(before.environment)}", f"--- links\n{dict(before.links)}"]
        return "\n".join(lines)


def _differences(before: Tree, after: Tree) -> Iterator[str]:
    for name in sorted({*before.texts, *after.texts}):
        old, new = before.texts.get(name), after.texts.get(name)
        if old != new:
            yield f"{name}{' is new' if old is None else ' is gone' if new is None else ''}"
            lines = difflib.unified_diff((old or "").splitlines(), (new or "").splitlines(), n=0, lineterm="")
            yield from list(lines)[2:]
    for one, other in ((before.environment, after.environment), (before.links, after.links)):
        if one != other:
            yield f"{dict(one)}\n-> {dict(other)}"
