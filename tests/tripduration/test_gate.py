"""The gate before deployment: a verdict holds only while the champion is the one that it knew."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from baton import Champion
from tripduration.gate import champion_since


@dataclass
class Serving:
    """A registry in which one version serves."""

    version: str
    digest: str

    def champion(self, model: str) -> Champion | None:
        return Champion(self.version, {"model_digest": self.digest}, f"models:/{model}@champion")


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
