"""Pictures for people."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baton.core.artifact import Kind, mismatch
from baton.core.files import copy_file

if TYPE_CHECKING:
    from typing import TypeAlias


class FigureKind(Kind):
    """A figure of matplotlib, stored as PNG, or of plotly, stored as a page that needs no network.

    A task that takes it receives the path of the picture or page.
    """

    name = "figure"
    suffix = ".png"
    gives_path = True
    packages = ("matplotlib",)
    types = ("matplotlib.Figure", "plotly.Figure", "plotly.FigureWidget")
    conversions = {"matplotlib.Axes": "value.figure", "matplotlib._AxesBase": "value.figure"}

    @classmethod
    def write(cls, value: Any, path: Path) -> None:
        """Draw a figure, or copy the picture that another task drew; raise TypeError for anything else."""
        if isinstance(value, Path):
            copy_file(value, path)
            return
        if _is_of_plotly(value):
            path.write_text(_page(value), encoding="utf-8")
            return
        from matplotlib.figure import Figure as Drawn

        if not isinstance(value, Drawn):
            raise mismatch("a matplotlib or plotly Figure", value, cls)
        value.savefig(path, format="png", metadata={"Software": None})

    @classmethod
    def read(cls, path: Path) -> Any:
        """Return the path of the picture."""
        return path

    @classmethod
    def suffix_of(cls, value: Any) -> str:
        """Return ``.html`` for a plotly figure."""
        is_page = value.suffix == _PAGE if isinstance(value, Path) else _is_of_plotly(value)
        return _PAGE if is_page else ""


@contextmanager
def drawn(name: str, figure: Any) -> Iterator[Path]:
    """Yield a file with a figure that will be kept under a name.

    Raises
    ------
    ValueError
        If the name has another suffix than the figure's form.
    TypeError
        If it is no figure.
    """
    wanted = FigureKind.suffix_of(figure) or FigureKind.suffix
    if Path(name).suffix != wanted:
        raise ValueError(f"the name of this figure must end in {wanted}, not {name!r}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "figure")
        FigureKind.write(figure, path)
        yield path


_PAGE = ".html"


def _is_of_plotly(value: Any) -> bool:
    loaded = sys.modules.get("plotly.basedatatypes")
    return loaded is not None and isinstance(value, loaded.BaseFigure)


def _page(figure: Any) -> str:
    """Return a page with a plotly figure and the library that draws it.

    Plotly's own ``to_html`` gives the figure a random id, keeps the order in which its properties were set,
    and writes its numbers with orjson where that is installed.
    """
    from plotly.io.json import to_json_plotly
    from plotly.offline import get_plotlyjs

    content = figure.to_dict()
    for trace in content["data"]:
        if type(figure).__name__ == "FigureWidget":
            trace.pop("uid", None)  # random
    plain = json.loads(to_json_plotly(content, engine="json"))
    text = json.dumps(plain, sort_keys=True, separators=(",", ":")).replace("<", r"\u003c")
    return (
        '<!DOCTYPE html>\n<html>\n<head><meta charset="utf-8"></head>\n<body>\n'
        f'<script>{get_plotlyjs()}</script>\n<div id="figure"></div>\n'
        f'<script>Plotly.newPlot("figure", {text});</script>\n'
        "</body>\n</html>\n"
    )


if TYPE_CHECKING:
    Figure: TypeAlias = Any  # a figure where a task makes it, a path where one takes it
else:
    Figure = FigureKind
