"""A comparison as a generated section of a Markdown page, between two markers."""

from __future__ import annotations

import re
from pathlib import Path

from baton.comparison.result import Comparison
from baton.comparison.table import WHAT_FIGURES_ARE, table_of
from baton.core.files import write_atomically
from baton.errors import UsageError

BEGIN = "<!-- Generated from here on by `baton compare`: do not edit. -->"
END = "<!-- Generated up to here. -->"


def as_markdown(comparison: Comparison, command: str) -> str:
    """Return the generated section, without its markers; `command` regenerates it."""
    header, rows = table_of(comparison, shortened=True)
    machine = comparison.machine
    lines = [
        f"Measured by `{command}`:",
        "",
        _line(header),
        "|" + "---|" * len(header),
        *(_line((_explained(row[0]), *row[1:])) for row in rows),
        "",
        f"Outputs of pure tasks, compared by digest: **{_plain(comparison.verdict)}**.",
        "",
        *(f"- *{what}*: {meaning}." for what, meaning in WHAT_FIGURES_ARE.items()),
        "",
        *(f"`{one.engine}` was left out: {_plain(one.reason)}.\n" for one in comparison.unusable),
        f"On {machine.date}, {machine.system}, {machine.cores} cores, load {machine.load:.2f} before the "
        "start (above about 0.5, other programs used the machine, too).",
        "",
        f"Python {machine.python}, "
        + ", ".join(f"{name} {version}" for name, version in machine.packages.items())
        + ".",
    ]
    return "\n".join(lines)


def check_page(path: Path) -> None:
    """Check that a page can hold the generated section.

    Raises
    ------
    UsageError
        If its folder is missing, or it exists without markers.
    """
    if path.exists():
        _split(path)
    elif not path.absolute().parent.is_dir():
        raise UsageError(f"the folder of {path} does not exist", f"create it with: mkdir -p {path.parent}")


def write_part(path: Path, part: str) -> None:
    """Write the generated section between its markers in a page, or create the page."""
    before, after = _split(path) if path.exists() else ("", "\n")
    content = f"{before}{BEGIN}\n\n{part}\n\n{END}{after}"
    write_atomically(path.absolute(), content.encode())


def _split(path: Path) -> tuple[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as a page: {error}", "choose another file") from error
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(END) < text.index(BEGIN):
        raise UsageError(
            f"{path} has no place for the figures",
            f"add these two lines where the figures belong: {BEGIN} and {END}; or choose a new file",
        )
    return text.split(BEGIN)[0], text.split(END)[1]


def _explained(label: str) -> str:
    return f"*{label}*" if label in WHAT_FIGURES_ARE else _plain(label)


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells[:1] + tuple(_plain(cell) for cell in cells[1:])) + " |"


def _plain(text: str) -> str:
    """Return a text with Markdown and HTML escaped."""
    escaped = re.sub(r"([\\`*_\[\]|#])", r"\\\1", " ".join(text.split()))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
