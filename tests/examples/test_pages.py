"""What the pages around the examples show is true."""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path

import pytest

from tests.examples.conftest import EXAMPLES, Copy

ROOT = EXAMPLES.parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHORTEST = 12
"""Characters of a text in the code that say enough to be told from chance."""


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [body for found, body in BLOCK.findall(text) if found == language]


def texts_in_code() -> set[str]:
    """Return every text that the program's code holds, those between braces of an f-string included."""
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value.strip())
    return {text for text in found if len(text) >= SHORTEST}


MESSAGES = blocks("how-to/troubleshooting.md", "text")


@pytest.mark.parametrize("message", MESSAGES, ids=lambda text: text.split("\n")[0][:60])
def test_a_message_shown_is_one_that_the_program_gives(message: str) -> None:
    error, hint = (part.strip() for part in message.split("\n\nhint: "))
    texts = texts_in_code()
    assert any(text in error for text in texts), error
    assert any(text in hint for text in texts), hint


def test_the_lessons_about_a_pipeline_as_an_object_run(small: Copy) -> None:
    (small.folder / "lesson.py").write_text(
        "\n".join(blocks("explanation/architecture-patterns.md", "python")), encoding="utf-8"
    )
    ended = small.type("python lesson.py")
    assert ended.code == 0, ended.stderr
    assert re.search(r"^\d+\.\d+$", ended.stdout, re.MULTILINE)
    assert re.search(r"^\d+ is the champion$", ended.stdout, re.MULTILINE)


def test_the_graph_drawn_is_the_pipeline_s() -> None:
    from tripduration.pipeline import dag

    (drawn,) = [
        block for block in blocks("explanation/architecture-patterns.md", "mermaid") if "> check" in block
    ]
    edges = set()
    for line in drawn.splitlines()[1:]:
        names = [name.strip() for name in line.split("-->")]
        edges |= set(itertools.pairwise(names))
    chosen = dag.subset()
    needed = {(up.name, task.name) for task in chosen.tasks for up in chosen.upstream_of(task)}
    assert edges <= needed
    assert reachable(edges) == reachable(needed)


def reachable(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return every pair of which the first comes before the second, along however many edges."""
    found = set(edges)
    while True:
        more = {(a, d) for a, b in found for c, d in found if b == c} - found
        if not more:
            return found
        found |= more


def test_the_examples_folder_holds_what_the_map_names() -> None:
    text = (ROOT / "docs/reference/from-the-reference.md").read_text(encoding="utf-8")
    named = {Path(path).name for path in re.findall(r"`examples/([\w.-]+)`", text)}
    assert named == {path.name for path in EXAMPLES.iterdir() if path.is_file()}
