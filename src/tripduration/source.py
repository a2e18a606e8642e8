"""Where a month of trips comes from: the publisher, a mirror, a local folder, the sample."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from tripduration.addresses import file_path, folder_name, identity, month_url, scheme
from tripduration.download import DEFAULT_PATIENCE, Log, Patience, Progress, download, storage_errors
from tripduration.errors import DataError, DownloadFailed, MonthNotPublished, SourceInvalid
from tripduration.local_files import existing_folder, file_name, local_file
from tripduration.parquet import sha256_of, verify_parquet
from tripduration.zones import ZONE_FILE, read_zones

if TYPE_CHECKING:
    from tripduration.months import Month

SAMPLE = "sample"
"""The source that is generated, and needs no network."""

URL_TEMPLATE = "https://d37ci6vzurychx.cloudfront.net/trip-data/green_tripdata_{year}-{month:02d}.parquet"
"""Where the NYC Taxi and Limousine Commission publishes green-taxi trips."""

ZONE_URL = "https://d37ci6vzurychx.cloudfront.net/misc/taxi_zone_lookup.csv"
"""Where it publishes the table of taxi zones."""


def fetch_month(
    month: Month,
    *,
    source: str,
    url_template: str,
    folder: Path,
    progress: Progress | None = None,
    log: Log | None = None,
    patience: Patience = DEFAULT_PATIENCE,
) -> Path:
    """Return the path of one month's trips, verified to be the Parquet file it claims to be.

    Parameters
    ----------
    month
        The month wanted.
    source
        Empty for `url_template`; ``sample`` for the generated sample; an address with ``{year}``
        and ``{month}`` (``http``, ``https`` or ``file``); else a local folder. A month there may be
        a folder of Parquet parts.
    url_template
        The publisher's address, as `URL_TEMPLATE`.
    folder
        Where downloads, samples and joined parts go, each address into a folder of its own. Local
        files stay where they are.
    progress
        Told of bytes so far, bytes in all (None if unknown) and the file's name.
    log
        Told of retries, waiting, and the use of an earlier download.
    patience
        Retries and timeouts.

    Raises
    ------
    MonthNotPublished
        The place has no such month.
    SourceInvalid
        The template or the folder cannot name the file.
    DownloadFailed, NotParquet, StorageFailed
        The file did not arrive, is something else, or cannot be stored.
    """
    if source == SAMPLE:
        from tripduration.sample import write_sample

        path = folder / SAMPLE / file_name(month)
        with storage_errors(path):
            return write_sample(month, path)
    local = local_file(month, source, url_template)
    if local is not None:
        with storage_errors(local):
            if not local.is_dir():
                verify_parquet(local)
                return local
        return _joined(local, folder / file_name(month))
    template = source or url_template
    url = month_url(template, month)
    path = folder / folder_name(template) / file_name(month)
    try:
        return download(url, path, verify=verify_parquet, patience=patience, progress=progress, log=log)
    except DownloadFailed as error:
        # CloudFront answers 403 where S3 has no such file.
        if error.status not in {403, 404, 410}:
            raise
        raise MonthNotPublished(
            f"there are no trips for {month}: {error.message}",
            hint="months appear about two months late: choose an earlier one, or another source",
        ) from error


def source_version(month: Month, source: str, url_template: str) -> str:
    """Return text that changes when the month at a source is known to hold something else.

    A local file counts by its content, the sample by its generator's version, an address by
    itself: what a server holds is only known once it is asked.

    Raises
    ------
    MonthNotPublished, SourceInvalid, StorageFailed
        As `fetch_month`, for local files.
    """
    if source == SAMPLE:
        from tripduration.sample import GENERATOR_VERSION

        return f"sample:{GENERATOR_VERSION}"
    local = local_file(month, source, url_template)
    if local is None:
        return identity(month_url(source or url_template, month))
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
    """Return the names of the taxi zones, for charts; empty where they cannot be had.

    Parameters
    ----------
    source
        As in `fetch_month`. A local folder, or that of a ``file`` address, must hold
        ``taxi_zone_lookup.csv``; the network is not asked then.
    zone_url
        The address of the table for every other source, as `ZONE_URL`; may be empty.
    folder, progress, log, patience
        As in `fetch_month`; `log` is told why there are no names.

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
            log(f"charts go without zone names: {error.message}")
        return {}


def _joined(parts: Path, path: Path) -> Path:
    """Return a month's parts as one file, which lies in a folder for this folder of parts alone."""
    from tripduration.parts import join_parts

    place = hashlib.sha256(str(parts.absolute()).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    joined = path.parent / f"parts-{place}" / path.name
    with storage_errors(joined):
        return join_parts(parts, joined)


def _local_zones(source: str, zone_url: str) -> Path | None:
    """Return the path of the zone table on this machine; None where it is on a server."""
    if scheme(source) == "file":
        return file_path(source).parent / ZONE_FILE
    if source and not scheme(source):
        return existing_folder(source) / ZONE_FILE
    if scheme(zone_url) == "file":
        return file_path(zone_url)
    if not zone_url:
        raise SourceInvalid("no address of a zone table is set", hint="set zone_url")
    return None
