"""The table of taxi zones: name and borough of each location id."""

from __future__ import annotations

import csv
from pathlib import Path

from tripduration.errors import WrongContent

ZONE_FILE = "taxi_zone_lookup.csv"
"""The table's published file name."""


def read_zones(path: Path, name: str | None = None) -> dict[str, dict[str, str]]:
    """Read the published table of taxi zones.

    Parameters
    ----------
    path
        A CSV file with the columns ``LocationID``, ``Borough`` and ``Zone``.
    name
        Name for messages; the file name if None.

    Returns
    -------
    dict of str to dict
        ``{"1": {"borough": "...", "zone": "..."}, ...}``, by location id, in the file's order.

    Raises
    ------
    WrongContent
        The file is not such a table.
    OSError
        The file cannot be read.
    """
    called = name or path.name
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            zones = {
                str(int(row["LocationID"])): {"borough": row["Borough"], "zone": row["Zone"]}
                for row in csv.DictReader(file)
            }
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise WrongContent(
            f"{called} is not a table of taxi zones: {type(error).__name__}: {error}",
            hint="it needs the columns LocationID, Borough and Zone",
        ) from error
    if not zones:
        raise WrongContent(f"{called} is an empty table of taxi zones", hint="download it again")
    return zones
