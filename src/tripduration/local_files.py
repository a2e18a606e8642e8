"""Months of trips in a local folder: one file each, or a folder of Parquet parts."""

from __future__ import annotations

from pathlib import Path

from tripduration.addresses import WINDOWS_HINT, expanded, file_path, is_windows_path, month_url, scheme
from tripduration.errors import MonthNotPublished, SourceInvalid
from tripduration.months import Month
from tripduration.service import Service, file_name

_EXAMPLE = "green_tripdata_2021-01.parquet"
_SHOWN_FILES = 4


def local_file(month: Month, source: str, url_template: str, service: Service = "green") -> Path | None:
    """Return the path of a month's local file or folder of parts; None if the source is a server.

    Parameters
    ----------
    month
        The month.
    source, url_template, service
        As in `tripduration.source.fetch_month`. A local folder may use the published name or the one
        at the end of `url_template`.

    Raises
    ------
    MonthNotPublished
        The folder lacks the month; the hint lists what it contains.
    SourceInvalid
        The folder does not exist, or the template has no file name.
    """
    address = source or url_template
    if not source or scheme(source):
        url = month_url(address, month, service)
        if scheme(url) != "file":
            return None
        candidates = [file_path(url)]
    else:
        folder = existing_folder(source)
        published = file_name(month, service)
        names = [published, published.removesuffix(".parquet")]
        if url_template:
            names.append(_name_in(url_template, month, service))
        candidates = [folder / name for name in names]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    wanted = candidates[0]
    raise MonthNotPublished(
        f"no trips for {month}: {wanted.name} is not in {wanted.parent}",
        hint=_describe_folder(wanted, month, service),
    )


def existing_folder(source: str) -> Path:
    """Return the folder of a source.

    Raises
    ------
    SourceInvalid
        It is not a folder.
    """
    folder = expanded(source)
    if folder.is_dir():
        return folder
    if is_windows_path(source):
        raise SourceInvalid(f"the source folder {source} is a Windows path", hint=WINDOWS_HINT)
    if folder.is_file() and folder.suffix == ".parquet":
        hint = f"use the folder that contains it: {folder.parent}"
    else:
        hint = f"use a folder with files like {_EXAMPLE}, an address, or 'sample'"
    found = "a file, not a folder" if folder.exists() else "missing"
    raise SourceInvalid(f"the source folder {source} is {found}", hint=hint)


def _name_in(url_template: str, month: Month, service: Service) -> str:
    """Return the name of a month's file in another template."""
    return month_url(url_template, month, service).partition("?")[0].rpartition("/")[2]


def _describe_folder(wanted: Path, month: Month, service: Service) -> str:
    """Describe what a folder contains instead of the month."""
    folder = wanted.parent
    if not folder.is_dir():
        return f"folder {folder} does not exist"
    if wanted.is_symlink():
        return f"the link {wanted.name} is broken"
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    alike = [name for name in names if str(month) in name]
    if alike:
        return f"found {alike[0]}, but a month must be a Parquet file of {service} trips called {wanted.name}"
    names = [name for name in names if name.endswith(".parquet")]
    if not names:
        return f"put files like {wanted.name} there, or choose another source"
    more = f" and {len(names) - _SHOWN_FILES} more" if len(names) > _SHOWN_FILES else ""
    return f"the folder contains {', '.join(names[:_SHOWN_FILES])}{more}"
