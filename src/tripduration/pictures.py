"""Draw the pictures of an evaluation; equal numbers give equal bytes.

Matplotlib's figures are used directly, without pyplot: no global state and no window system.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt
    import polars as pl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tripduration.evaluate import Evaluation, GroupErrors

    Draw = Callable[[Axes], None]

BLUE, ORANGE, GREY = "#2166ac", "#d6604d", "#6b7280"

#: Range of the axes: trips last 1 to 60 minutes, but predictions can be outside.
DURATION_RANGE_MIN = (0.0, 62.0)

_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#9ca3af",
    "axes.grid": True,
    "axes.labelcolor": "#374151",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titley": 1.0,  # its default place; searching for it takes 5 % of the drawing time
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 9.5,
    "grid.color": "#e5e7eb",
    "legend.frameon": False,
    "xtick.color": "#4b5563",
    "ytick.color": "#4b5563",
}


def draw_pictures(
    evaluation: Evaluation,
    trips_val: pl.DataFrame,
    predictions: npt.NDArray[np.float32],
    folder: Path,
) -> dict[str, Path]:
    """Draw the pictures of an evaluation as PNG files.

    Parameters
    ----------
    evaluation
        From `tripduration.evaluate.evaluate_predictions`.
    trips_val
        The validation trips, n rows, with the column ``duration_min``.
    predictions
        Minutes, shape (n,).
    folder
        Where to write the files; created if missing.

    Returns
    -------
    dict
        By name, in report order: ``learning_curve``, ``predicted_vs_actual``,
        ``error_by_hour``, ``error_by_distance``, ``error_by_borough`` (if there is a table by borough) and
        ``feature_importance`` (if importance is known).
    """
    import matplotlib.style

    duration_min = trips_val["duration_min"].to_numpy()
    drawings: dict[str, Draw] = {
        "learning_curve": lambda axes: _learning_curve(axes, evaluation["learning_curve"]),
        "predicted_vs_actual": lambda axes: _predicted(axes, duration_min, predictions),
        "error_by_hour": lambda axes: _groups(axes, evaluation["by_hour"], "pickup hour"),
        "error_by_distance": lambda axes: _groups(axes, evaluation["by_distance"], "trip distance (miles)"),
    }
    if evaluation["by_borough"]:
        drawings["error_by_borough"] = lambda axes: _groups(axes, evaluation["by_borough"], "pickup borough")
    if evaluation["importance"]:
        drawings["feature_importance"] = lambda axes: _importance(axes, evaluation)
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {}
    # "default" overrides the user's matplotlibrc.
    with matplotlib.style.context(["default", _STYLE]):
        for name, draw in drawings.items():
            pictures[name] = folder / f"{name}.png"
            _write(_draw(draw), pictures[name])
    return pictures


def _draw(draw: Draw) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.0), dpi=110)
    FigureCanvasAgg(figure)
    # Fixed margins: a layout engine draws everything twice to compute them.
    figure.subplots_adjust(left=0.1, right=0.97, bottom=0.15, top=0.91)
    draw(figure.add_subplot())
    return figure


def _write(figure: Figure, path: Path) -> None:
    # Without Matplotlib's version in the file; minimal compression takes a third of the time.
    figure.savefig(path, format="png", metadata={"Software": None}, pil_kwargs={"compress_level": 1})


def _learning_curve(axes: Axes, curve: dict[str, list[float]]) -> None:
    for name, label, color in (
        ("validation", "validation trips", BLUE),
        ("train", "training trips", ORANGE),
    ):
        axes.plot(range(1, len(curve[name]) + 1), curve[name], color=color, label=label)
    last = curve["validation"][-1]
    axes.annotate(
        f"{last:.2f}",
        (len(curve["validation"]), last),
        xytext=(0, 6),
        textcoords="offset points",
        ha="center",
        color=BLUE,
    )
    axes.set(title="Error after each round", xlabel="boosting round", ylabel="RMSE (minutes)")
    axes.set_ylim(bottom=0)
    axes.legend()


def _predicted(
    axes: Axes, duration_min: npt.NDArray[np.float64], predictions: npt.NDArray[np.float32]
) -> None:
    from matplotlib.colors import LogNorm

    low, high = DURATION_RANGE_MIN
    bins = np.arange(low, high + 1)
    counts, _, _ = np.histogram2d(duration_min, np.clip(predictions, low, high - 0.5), bins=[bins, bins])
    mesh = axes.pcolormesh(bins, bins, np.ma.masked_equal(counts.T, 0), cmap="Blues", norm=LogNorm(vmin=0.5))
    axes.plot([low, high], [low, high], color=ORANGE, linewidth=1, label="exact")
    # Plain numbers: typesetting powers of ten takes longer than all other drawing.
    axes.figure.colorbar(
        mesh, ax=axes, label="trips per square minute", pad=0.02, format="%d"
    ).minorticks_off()
    axes.set(
        title="Predicted and actual duration",
        xlabel="actual (minutes)",
        ylabel="predicted (minutes)",
        xlim=DURATION_RANGE_MIN,
        ylim=DURATION_RANGE_MIN,
    )
    axes.legend(loc="upper left")


def _groups(axes: Axes, groups: Sequence[GroupErrors], label: str) -> None:
    positions = np.arange(len(groups))
    axes.bar(positions, [row["rmse"] for row in groups], color=BLUE, label="RMSE")
    axes.plot(
        positions,
        [row["bias"] for row in groups],
        color=ORANGE,
        marker="o",
        markeredgecolor="white",
        markersize=6,
        linestyle="none",
        label="bias (predicted minus actual)",
    )
    axes.axhline(0, color=GREY, linewidth=0.8)
    has_room = len(groups) <= 12
    axes.set_xticks(
        positions,
        [f"{row['group']}\n{row['n']:,}" if has_room else row["group"] for row in groups],
    )
    axes.grid(visible=False, axis="x")
    axes.set(title=f"Error by {label.split(' (')[0]}", ylabel="minutes")
    axes.set_xlabel(f"{label}, number of trips" if has_room else label)
    axes.margins(x=0.02, y=0.2)
    axes.legend(ncols=2, loc="upper left")


def _importance(axes: Axes, evaluation: Evaluation) -> None:
    pairs = [row for row in evaluation["importance"] if row["feature"] != "trip_distance"]
    distance = [row for row in evaluation["importance"] if row["feature"] == "trip_distance"]
    names = [row["feature"].replace("_", " → ") for row in pairs]
    axes.barh(range(len(pairs)), [100 * row["gain_share"] for row in pairs], color=BLUE)
    axes.set_yticks(range(len(pairs)), names, fontsize=8)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    if distance:
        axes.text(
            0.98,
            0.06,
            f"trip distance, not shown: {distance[0]['gain_share']:.1%}",
            color=GREY,
            ha="right",
            transform=axes.transAxes,
        )
    axes.figure.subplots_adjust(left=0.15)
    axes.set(
        title="The pairs of zones that matter most",
        xlabel="share of the gain of all splits (%)",
        ylabel="pickup → drop-off (location ids)",
    )
