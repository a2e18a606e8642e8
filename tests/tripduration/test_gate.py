"""The gate before deployment: a verdict holds only while the champion is the one that it knew."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import pytest

from baton import Champion
from baton.core.tracker import UnusableModel
from tripduration.gate import TRAINED_ON, champion_since, judge


@dataclass
class Serving:
    """A registry in which one version serves."""

    version: str
    digest: str
    trained_on: str = ""

    def champion(self, model: str) -> Champion | None:
        tags = {"model_digest": self.digest, TRAINED_ON: self.trained_on}
        return Champion(self.version, tags, f"models:/{model}@champion")

    def predict(self, uri: str, records: object) -> object:
        raise UnusableModel("it was asked")


@pytest.mark.parametrize(
    ("version", "digest", "since"),
    [("1", "theirs", None), ("2", "theirs", "2"), ("2", "ours", None)],
    ids=["the one that the verdict knew", "another one", "the judged model itself"],
)
def test_a_champion_after_the_verdict_is_named(version, digest, since):
    verdict = {"champion_version": "1"}
    registry = Serving(version, digest)
    found = champion_since(registry, verdict=verdict, model_digest="ours", model_name="model")  # type: ignore[arg-type]
    assert found == since


@pytest.mark.parametrize(
    ("trained_on", "is_compared"), [("2021-02 2021-03", False), ("2020-12 2021-01", True)]
)
def test_a_champion_that_was_trained_on_the_validation_trips_is_not_compared_with(trained_on, is_compared):
    numbers = {name: [1, 2] for name in ("PULocationID", "DOLocationID")}
    verdict = judge(
        Serving("3", "theirs", trained_on),  # type: ignore[arg-type]
        rmse=1.0,
        val_trips=pl.DataFrame({**numbers, "trip_distance": [1.0, 2.0], "duration_min": [3.0, 4.0]}),
        val_months=["2021-02"],
        model_digest="ours",
        model_name="model",
        min_rmse=0.1,
        max_rmse=8.0,
        max_regression=0.05,
    )
    assert verdict["accepted"] is not is_compared  # the comparison fails here
    because = "it was asked" if is_compared else "it was trained on 2021-02, the trips to compare on"
    assert verdict["reason"].endswith(because)
