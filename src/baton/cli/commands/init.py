"""``baton init``: a new project with a small pipeline."""

from __future__ import annotations

import json
import keyword
import sys
from importlib.resources import files
from pathlib import Path

import click

from baton.cli import output
from baton.config.file import DEFAULT_NAME
from baton.core.files import write_atomically
from baton.errors import UsageError

_EXAMPLE = "pipeline"
"""The module's name if the folder has none that is usable."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """Write a small pipeline, its test and configuration into the new folder NAME, or into this one."""
    folder = Path(name) if name is not None else Path()
    module = _module_name(folder, is_given=name is not None)
    content = _content(module)
    taken = [str(folder / file) for file in content if (folder / file).exists()]
    if taken:
        raise UsageError(f"{taken[0]} exists already", "nothing was written; name another folder")
    try:
        for file, text in content.items():
            write_atomically(folder / file, text.encode())
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror or error}") from error
    for file in content:
        output.say(f"wrote {folder / file}")
    output.say(f"\nnext: {f'cd {folder} && ' if name is not None else ''}baton run")


def _module_name(folder: Path, *, is_given: bool) -> str:
    """Return the name of the pipeline's module for a folder; refuse a given one that cannot be imported."""
    name = folder.absolute().name.replace("-", "_")
    usable = name.isidentifier() and not keyword.iskeyword(name) and name not in sys.stdlib_module_names
    usable = usable and name not in ("baton", "tripduration", "polars")
    if not usable and is_given:
        raise UsageError(
            f"'{folder.name}' cannot be the name of a module",
            "use letters, digits and _, for example: taxi_fares",
        )
    return name if usable else _EXAMPLE


def _content(module: str) -> dict[str, str]:
    """Return the text of each file by its name."""
    template = files("baton.cli") / "template"
    texts = {
        f"{module}.py": (template / "pipeline.py.txt").read_text(encoding="utf-8"),
        f"test_{module}.py": (template / "test_pipeline.py.txt").read_text(encoding="utf-8"),
        ".gitignore": (template / "gitignore.txt").read_text(encoding="utf-8"),
    }
    texts = {file: text.replace("NAME", module) for file, text in texts.items()}
    configuration = {"baton": {"pipeline": f"{module}:dag"}}
    return {**texts, DEFAULT_NAME: json.dumps(configuration, indent=2) + "\n"}
