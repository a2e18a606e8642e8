"""The blocks of which projects are made: what stands in ``blocks/``, one file for each family.

A block is a few files of a project.  ``$b`` is its name and the function that it offers, ``$b(x)``, in the
module ``$b``; ``$inner`` is another block whose function it calls.  A place written ``«one||other»`` can be
edited: it has the first text before and one of the others after.

=============================  ====================================================================
``=== title | flags``          begins a block; ``alone``: not to be put together with others;
                               ``apart``: the tasks stand in another module than the pipeline;
                               ``uncached``: what it depends on need not be known, but then it always runs;
                              ``names:word``: what a cause may name, too
``--- name``                   begins a file; none where the name becomes empty
``--- name -> target``         a symbolic link
``--- p``, ``--- env``         lines of the pipeline's module; variables of the environment
``«@word one||other»``         places of a block with one word are edited together
``«=one||other»``              an edit that must not run anything again
``«~one||other»``              an edit that changes no result, though it may run something again
=============================  ====================================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_PLACE = re.compile(r"«([=~]?)(?:@(\w+) )?([^«»]*\|\|[^«»]*)»")
_DISTRIBUTION = re.compile(r"site-packages/([^/]+)-[^-/]*\.(?:dist|egg)-info/")
BLOCKS = Path(__file__).parent / "blocks"


@dataclass(frozen=True)
class Spot:
    """A place, or several, of a block that can be edited.

    Parameters
    ----------
    name : str
        Its name within the block.
    choices : int
        How many texts there are.
    changes : bool
        Whether its edit changes a result.
    may_run : bool
        Whether its edit may run something again.
    causes : tuple of str
        What the cause of a run after its edit names, one of them: a file or its folder, a distribution, a
        variable.
    """

    name: str
    choices: int
    changes: bool
    may_run: bool
    causes: tuple[str, ...]


@dataclass(frozen=True)
class Files:
    """Files of a project by name, its environment, and links by name."""

    texts: Mapping[str, str]
    environment: Mapping[str, str]
    links: Mapping[str, str]


@dataclass(frozen=True)
class Block:
    """A few files of a project, with places that can be edited."""

    family: str
    title: str
    flags: frozenset[str]
    text: str

    @cached_property
    def uses_inner(self) -> bool:
        """Whether it calls another block."""
        return "$inner" in self.text

    @cached_property
    def spots(self) -> tuple[Spot, ...]:
        """What can be edited."""
        found: dict[str, Spot] = {}
        for name, place in self._places():
            spot = Spot(name, place[3].count("||") + 1, place[1] == "", place[1] != "=", self._causes(place))
            known = found.setdefault(name, spot)
            if known.causes != spot.causes and _DISTRIBUTION.search(self._heading(place)):
                found[name] = spot
        return tuple(found.values())

    def render(self, name: str, inner: str, chosen: Mapping[str, int]) -> Files:
        """Return the files of the block under a name, with a choice for each spot; the first unless given."""
        names = (name for name, _ in self._places())
        filled = _PLACE.sub(lambda place: place[3].split("||")[chosen.get(next(names), 0)], self.text)
        filled = filled.replace("$inner", inner).replace("$b", name).replace("$B", name.upper())
        texts: dict[str, str] = {}
        links: dict[str, str] = {}
        environment: dict[str, str] = {}
        for heading, body in _sections(filled):
            path, _, target = heading.partition(" -> ")
            if path == "env":
                environment = dict(line.split("=", 1) for line in body.splitlines() if line)
            elif target:
                links[path] = target
            elif path:
                texts[path] = body
        return Files(texts, environment, links)

    def _places(self) -> Iterator[tuple[str, re.Match[str]]]:
        for number, place in enumerate(_PLACE.finditer(self.text)):
            yield place[2] or str(number), place

    def _heading(self, place: re.Match[str]) -> str:
        """Return the heading in which or below which a place stands, as it is after an edit."""
        start = self.text.rfind("--- ", 0, place.start() + 1)
        heading = self.text[start + 4 : self.text.index("\n", start)]
        return _PLACE.sub(lambda one: one[3].split("||")[-1], heading)

    def _causes(self, place: re.Match[str]) -> tuple[str, ...]:
        also = tuple(flag.removeprefix("names:") for flag in sorted(self.flags) if flag.startswith("names:"))
        heading = self._heading(place)
        distribution = _DISTRIBUTION.search(heading)
        if distribution is not None:
            return (*also, distribution[1], distribution[1].replace("_", "-").replace(".", "-").lower())
        if heading == "env":
            line = self.text[self.text.rfind("\n", 0, place.start()) + 1 :]
            return (*also, line.replace("«", "").lstrip("|").partition("=")[0])
        path = heading.partition(" -> ")[0]
        if place.start() < self.text.index("\n", self.text.rfind("--- ", 0, place.start() + 1)):
            also += (f"module {path.rpartition('/')[2].removesuffix('.py')}",)  # a module comes or goes
        return (*also, *("p.py" if path == "p" else path).split("/"))


def catalogue() -> tuple[Block, ...]:
    """Return all blocks."""
    return tuple(block for path in sorted(BLOCKS.glob("*.txt")) for block in _blocks(path))


def _blocks(path: Path) -> Iterator[Block]:
    for part in re.split(r"^=== ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        first, _, text = part.partition("\n")
        title, _, flags = first.partition(" | ")
        yield Block(path.stem, title, frozenset(flags.split()), text.strip("\n") + "\n")


def _sections(text: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^--- ?", text, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        yield heading.strip(), body.strip("\n") + "\n"
