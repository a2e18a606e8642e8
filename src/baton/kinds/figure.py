"""Pictures for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from baton.core.artifact import Kind, mismatch
from baton.core.files import copy_file

if TYPE_CHECKING:
    from typing import TypeAlias


class FigureKind(Kind):
    """A matplotlib figure, stored as PNG; a task that takes it receives the path of the picture."""

    name = "figure"
    suffix = ".png"
    gives_path = True
    packages = ("matplotlib",)
    types = ("matplotlib.Figure",)
    conversions = {"matplotlib.Axes": "value.figure", "matplotlib._AxesBase": "value.figure"}

    @classmethod
    def write(cls, value: Any, path: Path) -> None:
        """Draw a figure, or copy the picture that another task drew; raise TypeError for anything else."""
        if isinstance(value, Path):
            copy_file(value, path)
            return
        from matplotlib.figure import Figure as Drawn

        if not isinstance(value, Drawn):
            raise mismatch("a matplotlib Figure", value, cls)
        value.savefig(path, format="png", metadata={"Software": None})

    @classmethod
    def read(cls, path: Path) -> Any:
        """Return the path of the picture."""
        return path


if TYPE_CHECKING:
    Figure: TypeAlias = Any  # a figure where a task makes it, a path where one takes it
else:
    Figure = FigureKind
