"""Months of trips in a folder of this machine."""

from __future__ import annotations

from pathlib import Path

from tripduration.addresses import file_path, month_url, scheme
from tripduration.errors import MonthNotPublished, SourceInvalid
from tripduration.months import Month

_EXAMPLE = "green_tripdata_2021-01.parquet"
_SHOWN_FILES = 4


def local_file(month: Month, source: str, url_template: str) -> Path | None:
    """Return the path of a month's file on this machine; None where the source is a server.

    Parameters
    ----------
    month
        The month wanted.
    source, url_template
        As in `tripduration.source.fetch_month`. A local folder may use the published name or
        the one that ends `url_template`.

    Raises
    ------
    MonthNotPublished
        The folder lacks the month; the hint says what it holds.
    SourceInvalid
        The folder is none, or the template names no file.
    """
    address = source or url_template
    if not source or scheme(source):
        url = month_url(address, month)
        if scheme(url) != "file":
            return None
        candidates = [file_path(url)]
    else:
        folder = existing_folder(source)
        names = [file_name(month)]
        if url_template:
            names.append(_name_in(url_template, month))
        candidates = [folder / name for name in names]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    place = candidates[0].parent
    raise MonthNotPublished(
        f"there are no trips for {month}: {candidates[0].name} is not in {place}",
        hint=_months_in(place),
    )


def existing_folder(source: str) -> Path:
    """Return the folder that a source names.

    Raises
    ------
    SourceInvalid
        It is no folder.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    found = "a file, not a folder" if folder.exists() else "not there"
    raise SourceInvalid(
        f"the source folder {source} is {found}",
        hint=f"name a folder with files like {_EXAMPLE}, an address, or 'sample'",
    )


def file_name(month: Month) -> str:
    """Name a month's file as it is published."""
    return f"green_tripdata_{month}.parquet"


def _name_in(url_template: str, month: Month) -> str:
    """Name a month's file as another template publishes it."""
    return month_url(url_template, month).partition("?")[0].rpartition("/")[2]


def _months_in(folder: Path) -> str:
    """Say what a folder holds instead of the month wanted."""
    names = sorted(path.name for path in folder.glob("*.parquet"))
    if not names:
        return f"put files like {_EXAMPLE} there, or choose another source"
    more = f" and {len(names) - _SHOWN_FILES} more" if len(names) > _SHOWN_FILES else ""
    return f"the folder holds {', '.join(names[:_SHOWN_FILES])}{more}"
