"""The evaluation is drawn and written as one page that opens anywhere."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from tripduration.evaluate import Evaluation, evaluate_predictions, rank_importance
from tripduration.onehot_form import to_onehot_form
from tripduration.pictures import draw_pictures
from tripduration.report import CAPTIONS, write_report

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tripduration.model_fixtures import Months
    from tripduration.train import Trained

pytest_plugins = ("tests.tripduration.model_fixtures",)

HOSTILE = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def evaluation(small_months: Months, small_trained: Trained, zones: dict[str, dict[str, str]]) -> Evaluation:
    hostile_zones = {**zones, "7": {"borough": HOSTILE, "zone": HOSTILE}}
    onehot = to_onehot_form(small_trained.booster, len(small_months.pairs)).booster
    return evaluate_predictions(
        small_months.val,
        small_trained.val_predictions,
        small_trained.history,
        hostile_zones,
        rank_importance(onehot, small_months.pairs),
    )


@pytest.fixture(scope="module")
def pictures(
    evaluation: Evaluation,
    small_months: Months,
    small_trained: Trained,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pictures")
    return draw_pictures(evaluation, small_months.val, small_trained.val_predictions, folder)


@pytest.fixture(scope="module")
def page(evaluation: Evaluation, pictures: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "new folder" / "report.html"
    write_report(evaluation, pictures, {"Trained on": "2021-01", HOSTILE: HOSTILE}, path)
    return path.read_text(encoding="utf-8")


def test_every_picture_is_a_png_with_a_caption(pictures: dict[str, Path]) -> None:
    assert list(pictures) == list(CAPTIONS)
    for name, path in pictures.items():
        assert path.name == f"{name}.png"
        assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_pictures_drawn_again_are_the_same_to_the_last_byte(
    evaluation: Evaluation,
    small_months: Months,
    small_trained: Trained,
    pictures: dict[str, Path],
    tmp_path: Path,
) -> None:
    again = draw_pictures(evaluation, small_months.val, small_trained.val_predictions, tmp_path)
    for name, path in pictures.items():
        assert again[name].read_bytes() == path.read_bytes(), name
        assert b"Software" not in path.read_bytes()


def test_the_user_s_matplotlib_settings_change_no_picture(
    evaluation: Evaluation,
    small_months: Months,
    small_trained: Trained,
    pictures: dict[str, Path],
    tmp_path: Path,
) -> None:
    import matplotlib

    with matplotlib.rc_context({"axes.facecolor": "black", "savefig.dpi": 30, "font.size": 30}):
        drawn = draw_pictures(evaluation, small_months.val, small_trained.val_predictions, tmp_path)
    assert drawn["error_by_hour"].read_bytes() == pictures["error_by_hour"].read_bytes()


def test_without_boroughs_and_importance_their_pictures_are_left_out(
    evaluation: Evaluation, small_months: Months, small_trained: Trained, tmp_path: Path
) -> None:
    bare: Evaluation = {**evaluation, "by_borough": [], "importance": []}
    drawn = draw_pictures(bare, small_months.val, small_trained.val_predictions, tmp_path)
    assert set(CAPTIONS) - set(drawn) == {"error_by_borough", "feature_importance"}
    write_report(bare, drawn, {}, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "By pickup borough" not in page
    assert "What the model goes by" not in page


def test_the_page_shows_the_metrics_and_the_facts(page: str, evaluation: Evaluation) -> None:
    assert page.startswith("<!doctype html>")
    assert f"{evaluation['metrics']['rmse']:.2f}" in page
    assert "1,000 validation trips" in page
    assert "2021-01" in page


def test_names_that_look_like_html_are_shown_as_text(page: str) -> None:
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;") == 3


def test_the_page_needs_no_network(page: str) -> None:
    """Every address in it is data, and its own policy forbids any other."""
    addresses = re.findall(r"""(?:src|href|action)\s*=\s*["']?([^"'\s>]{5})""", page)
    assert addresses == ["data:"] * len(CAPTIONS)
    assert not re.search(r"https?:|url\(|@import", page)
    assert "default-src 'none'" in page


def test_the_pictures_are_in_the_page_as_they_are(page: str, pictures: dict[str, Path]) -> None:
    embedded = re.findall(r"data:image/png;base64,([^\"]+)", page)
    assert [base64.b64decode(text) for text in embedded] == [path.read_bytes() for path in pictures.values()]


def test_every_tag_of_the_page_is_closed(page: str) -> None:
    parser = _Nesting()
    parser.feed(page)
    assert parser.open_tags == []


def test_the_same_evaluation_gives_the_same_page(
    evaluation: Evaluation, pictures: dict[str, Path], page: str, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    write_report(evaluation, pictures, {"Trained on": "2021-01", HOSTILE: HOSTILE}, path)
    assert path.read_text(encoding="utf-8") == page


class _Nesting(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open_tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "img"}:
            self.open_tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags.pop() == tag
