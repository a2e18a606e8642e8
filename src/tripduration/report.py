"""Write an evaluation as one self-contained HTML file."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tripduration.evaluate import Evaluation

TEMPLATES = Path(__file__).with_name("templates")

#: Alternative texts of the pictures.
CAPTIONS = {
    "learning_curve": "Root mean squared error after each boosting round, in minutes.",
    "predicted_vs_actual": (
        "Predicted against actual duration in minutes. Trips on the line are predicted exactly; "
        "below it the model says too short."
    ),
    "error_by_hour": "Error in minutes by hour of the pickup.",
    "error_by_distance": "Error in minutes by distance of the trip.",
    "error_by_borough": "Error in minutes by borough of the pickup.",
    "feature_importance": "Share of the model's gain that the strongest pairs of zones bring.",
}


def write_report(
    evaluation: Evaluation,
    pictures: Mapping[str, Path],
    facts: Mapping[str, str],
    path: Path,
) -> None:
    """Write the report.

    Parameters
    ----------
    evaluation
        From `tripduration.evaluate.evaluate_predictions`.
    pictures
        PNG files by name, from `tripduration.pictures.draw_pictures`; they are embedded.
    facts
        Facts about the training, such as ``{"Trained on": "2021-01"}``. HTML in them and in the evaluation is
        escaped.
    path
        The file to write; its folder is created if missing.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("report.html.jinja").render(
        evaluation=evaluation,
        pictures=[
            (base64.b64encode(picture.read_bytes()).decode("ascii"), CAPTIONS.get(name, name))
            for name, picture in pictures.items()
        ],
        facts=facts,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, encoding="utf-8", newline="\n")
