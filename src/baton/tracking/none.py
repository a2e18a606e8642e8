"""The tracker that records nothing, for pipelines without effects that track, and for tests."""

from __future__ import annotations

from collections.abc import Mapping

from baton.core.tracker import TrackingRun
from baton.errors import Unavailable


class NoTracker:
    """Offers no tracking runs."""

    def check(self) -> None:
        """Be always usable."""

    def start(self, *, name: str, tags: Mapping[str, str]) -> TrackingRun:
        """Refuse: there is nothing to record with."""
        raise Unavailable("no tracker is configured", "set a tracking URI: baton config set tracking_uri URI")

    def resume(self, run_id: str) -> TrackingRun:
        """Refuse: there is nothing to record with."""
        raise Unavailable(f"no tracker is configured to continue tracking run {run_id}")
