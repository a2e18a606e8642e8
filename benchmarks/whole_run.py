"""The whole pipeline, data to registered model, against the same pipeline written the usual way."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import reference_way_file
from benchmarks.measure import Command, CommandFailed, Measured, alternate, ratios, script
from benchmarks.report import Figure, Section

WALL_BUDGET = 0.30
PEAK_BUDGET = 0.45
MONTHS = ("green_tripdata_2021-01.parquet", "green_tripdata_2021-02.parquet")
BATON = "baton run deploy"
REFERENCE = "the reference's way"


def measure_whole_run(runs: int | None, tell: Callable[[str], None]) -> Section:
    pass
