"""Projects put together from blocks, and how they lie in a folder."""

from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.cache_proof.catalogue import Block, Spot

LEAF = Block("leaf", "a function", frozenset(), "--- $b.py\ndef $b(x): return [x, «10||20»]\n")
_TASK = re.compile(r"^(?:@task.*\n)+def (\w+)|^(\w+) = task\(", re.MULTILINE)


@dataclass(frozen=True)
class Tree:
    """A project as it lies in a folder, with its environment."""

    texts: Mapping[str, str]
    environment: Mapping[str, str]
    links: Mapping[str, str]

    def with_text(self, name: str, text: str) -> Tree:
        """Return the project with one file changed."""
        return replace(self, texts={**self.texts, name: text})

    def write(self, folder: Path, *, keep_times: bool = False) -> None:
        """Make a folder hold the project; a file that stays as it is is not touched.

        Parameters
        ----------
        folder : Path
            What baton keeps there is left alone.
        keep_times : bool
            Whether a changed file keeps the time of its last change.
        """
        folder.mkdir(exist_ok=True)
        own = (path for path in folder.iterdir() if path.name != ".baton")
        for path in sorted((path for top in own for path in (top, *top.rglob("*"))), reverse=True):
            name = path.relative_to(folder).as_posix()
            if path.is_symlink():
                path.unlink()
            elif path.is_dir():
                if not any(path.iterdir()):
                    path.rmdir()
            elif name not in self.texts:
                path.unlink()
        for name, text in self.texts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.write_text(text, encoding="utf-8")
            elif path.read_text(encoding="utf-8") != text:
                before = path.stat()
                path.write_text(text, encoding="utf-8")
                if keep_times:
                    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        for name, target in self.links.items():
            (folder / name).symlink_to(target)


@dataclass(frozen=True)
class Part:
    """A block under a name, with what it calls and a choice for each of its spots."""

    block: Block
    name: str
    inner: str = ""
    chosen: tuple[tuple[str, int], ...] = ()

    def edited(self, spot: Spot, choice: int) -> Part:
        """Return the part with another choice for one spot."""
        return replace(self, chosen=tuple(sorted({**dict(self.chosen), spot.name: choice}.items())))


@dataclass(frozen=True)
class Composition:
    """Parts and the tasks that call them.

    Parameters
    ----------
    parts : sequence of Part
        What the project is made of.
    tasks : sequence of str
        Parts that have a task of their own.
    apart : bool
        Whether the tasks stand in another module than the pipeline.
    """

    parts: Sequence[Part]
    tasks: Sequence[str]
    apart: bool

    def edited(self, number: int, spot: Spot, choice: int) -> Composition:
        """Return the composition with another choice for a spot of one part."""
        parts = list(self.parts)
        parts[number] = parts[number].edited(spot, choice)
        return replace(self, parts=tuple(parts))

    @property
    def tree(self) -> Tree:
        """The project's files."""
        texts: dict[str, str] = {}
        environment: dict[str, str] = {}
        links: dict[str, str] = {}
        pipeline = ""
        for part in self.parts:
            made = part.block.render(part.name, part.inner, dict(part.chosen))
            pipeline += made.texts.get("p", "")
            texts.update({name: text for name, text in made.texts.items() if name != "p"})
            environment.update(made.environment)
            links.update(made.links)
        if "p.py" not in texts:
            texts.update(self._modules(pipeline))
        return Tree(texts, environment, links)

    def _modules(self, pipeline: str) -> dict[str, str]:
        """Return the module of the pipeline, and that of the tasks."""
        head = "from baton import Dag, Json, Parameters, parameter, task\n"
        imports = "".join(f"from {name} import {name}\n" for name in self.tasks)
        tasks = "".join(f"@task\ndef t_{name}() -> Json:\n    return {name}(2)\n" for name in self.tasks)
        names = [f"t_{name}" for name in self.tasks] + [
            one or other for one, other in _TASK.findall(pipeline)
        ]
        dag = f'dag = Dag("p", [{", ".join(names)}])\n'
        if not self.apart:
            return {"p.py": head + pipeline + imports + tasks + dag}
        brought = f"from steps import {', '.join(f't_{name}' for name in self.tasks)}\n"
        return {"p.py": head + brought + pipeline + dag, "steps.py": head + imports + tasks}


def alone(block: Block) -> Composition:
    """Return a project of one block, and of the function that it calls where it calls one."""
    parts = [Part(LEAF, "leaf")] if block.uses_inner else []
    return Composition((*parts, Part(block, "unit", "leaf")), ("unit",), "apart" in block.flags)


def generated(blocks: Sequence[Block], chance: random.Random) -> Composition:
    """Return a project of several blocks that call each other, in a form that chance chooses."""
    usable = [block for block in blocks if "alone" not in block.flags]
    ends = [LEAF, *(block for block in usable if not block.uses_inner)]
    links = [block for block in usable if block.uses_inner]
    parts: list[Part] = []
    for number in range(chance.randint(3, 6)):
        block = chance.choice(ends if not parts or chance.random() < 0.35 else links)
        inner = chance.choice(parts[-3:]).name if block.uses_inner else ""
        chosen = tuple((spot.name, chance.randrange(spot.choices)) for spot in block.spots)
        parts.append(Part(block, f"u{number}", inner, chosen))
    called = {part.inner for part in parts}
    tasks = [part.name for part in parts if part.name not in called or chance.random() < 0.15]
    is_apart = any("apart" in part.block.flags for part in parts) or chance.random() < 0.2
    return Composition(tuple(parts), tuple(tasks), is_apart)


def fresh_folder(folder: Path) -> Path:
    """Return a folder that is empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
