"""Fetch months of trips from the publisher, a mirror, a local folder or the sample."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from tripduration.addresses import file_path, folder_name, identity, month_url, scheme
from tripduration.download import DEFAULT_PATIENCE, Log, Patience, Progress, download, storage_errors
from tripduration.errors import DataError, DownloadFailed, MonthNotPublished, SourceInvalid
from tripduration.local_files import existing_folder, local_file
from tripduration.parquet import sha256_of, verify_parquet
from tripduration.service import Service, file_name
from tripduration.zones import ZONE_FILE, read_zones

if TYPE_CHECKING:
    from tripduration.months import Month

SAMPLE = "sample"
"""The generated source, which needs no network."""
SAMPLE_VERSION = 1
"""Increased by every change that affects a row of `tripduration.sample`."""

URL_TEMPLATE = "https://d37ci6vzurychx.cloudfront.net/trip-data/{service}_tripdata_{year}-{month:02d}.parquet"
"""Where the NYC Taxi and Limousine Commission publishes the trips of a service."""

ZONE_URL = "https://d37ci6vzurychx.cloudfront.net/misc/taxi_zone_lookup.csv"
"""Where it publishes the table of taxi zones."""


def fetch_month(
    month: Month,
    *,
    source: str,
    url_template: str,
    folder: Path,
    service: Service = "green",
    progress: Progress | None = None,
    log: Log | None = None,
    patience: Patience = DEFAULT_PATIENCE,
) -> Path:
    """Return the path of one month's trips, verified to be a Parquet file.

    Parameters
    ----------
    month
        The month.
    source
        Empty for `url_template`; ``sample`` for the generated sample; an address with ``{year}``
        and ``{month}`` (``http``, ``https`` or ``file``); else a local folder, in which a month may be
        a folder of Parquet parts.
    url_template
        The publisher's address, in the form of `URL_TEMPLATE`.
    folder
        Folder for downloads, samples and joined parts, with a subfolder per address. Local files are not
        copied.
    service
        The taxis whose trips are wanted.
    progress
        Called with bytes so far, total bytes (None if unknown) and the file's name.
    log
        Called with retries, waiting, and the use of an earlier download.
    patience
        Retries and timeouts.

    Raises
    ------
    MonthNotPublished
        The source has no such month.
    SourceInvalid
        The template or the folder is invalid.
    DownloadFailed, NotParquet, StorageFailed
        The file was not delivered, is something else, or cannot be stored.
    """
    if source == SAMPLE:
        from tripduration.sample import write_sample

        path = folder / SAMPLE / file_name(month, service)
        with storage_errors(path):
            return write_sample(month, path, service)
    local = local_file(month, source, url_template, service)
    if local is not None:
        with storage_errors(local):
            if not local.is_dir():
                verify_parquet(local)
                return local
        return _joined(local, folder / file_name(month, service), service)
    template = source or url_template
    url = month_url(template, month, service)
    path = folder / folder_name(template) / file_name(month, service)
    try:
        return download(url, path, verify=verify_parquet, patience=patience, progress=progress, log=log)
    except DownloadFailed as error:
        # CloudFront answers 403 if S3 has no such file.
        if error.status not in {403, 404, 410}:
            raise
        raise MonthNotPublished(
            f"no trips for {month}: {error.message}",
            hint="months are published about two months later: choose an earlier one, or another source",
        ) from error


def source_version(month: Month, source: str, url_template: str, service: Service = "green") -> str:
    """Return a text that changes when the month's data at a source is known to have changed.

    A local file is identified by its content, the sample by its generator's version, an address only by
    itself: the data on a server is not known in advance.

    Raises
    ------
    MonthNotPublished, SourceInvalid, StorageFailed
        As in `fetch_month`, for local files.
    """
    if source == SAMPLE:
        return f"sample:{SAMPLE_VERSION}"
    local = local_file(month, source, url_template, service)
    if local is None:
        return identity(month_url(source or url_template, month, service))
    with storage_errors(local):
        if local.is_dir():
            from tripduration.parts import version_of

            return f"{local.name} parts sha256:{version_of(local)}"
        return f"{local.name} sha256:{sha256_of(local)}"


def fetch_zones(
    *,
    source: str,
    zone_url: str,
    folder: Path,
    progress: Progress | None = None,
    log: Log | None = None,
    patience: Patience = DEFAULT_PATIENCE,
) -> dict[str, dict[str, str]]:
    """Return the names of the taxi zones, for charts; empty if they are not available.

    Parameters
    ----------
    source
        As in `fetch_month`. A local folder, or that of a ``file`` address, must contain
        ``taxi_zone_lookup.csv``; the network is not used then.
    zone_url
        The address of the table for all other sources, in the form of `ZONE_URL`; may be empty.
    folder, progress, log, patience
        As in `fetch_month`; `log` is also called if there are no names.

    Returns
    -------
    dict of str to dict
        ``{"1": {"borough": "...", "zone": "..."}, ...}``, by location id, 1 to 265.
    """
    if source == SAMPLE:
        from tripduration.sample_city import sample_zones

        return sample_zones()
    try:
        path = _local_zones(source, zone_url)
        if path is None:
            path = download(
                zone_url,
                folder / folder_name(zone_url) / ZONE_FILE,
                verify=read_zones,
                patience=patience,
                progress=progress,
                log=log,
            )
        with storage_errors(path):
            return read_zones(path)
    except DataError as error:
        if log is not None:
            log(f"charts will have no zone names: {error.message}")
        return {}


def zones_version(source: str, zone_url: str) -> str:
    """Return a text that changes when the zone names of a source are known to have changed."""
    if source == SAMPLE:
        return f"sample:{SAMPLE_VERSION}"
    try:
        path = _local_zones(source, zone_url)
        if path is None:
            return identity(zone_url)
        with storage_errors(path):
            return f"{path.name} sha256:{sha256_of(path)}"
    except DataError:
        return "no zone names"


def _joined(parts: Path, path: Path, service: Service) -> Path:
    """Join a month's parts to one file, in a folder specific to this folder of parts."""
    from tripduration.parts import join_parts

    place = hashlib.sha256(str(parts.absolute()).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    joined = path.parent / f"parts-{place}" / path.name
    with storage_errors(joined):
        return join_parts(parts, joined, service)


def _local_zones(source: str, zone_url: str) -> Path | None:
    """Return the path of the local zone table; None if it is on a server."""
    if scheme(source) == "file":
        return file_path(source).parent / ZONE_FILE
    if source and not scheme(source):
        return existing_folder(source) / ZONE_FILE
    if scheme(zone_url) == "file":
        return file_path(zone_url)
    if not zone_url:
        raise SourceInvalid("the address of the zone table is not set", hint="set zone_url")
    return None
