"""Errors in the trip data.

Every error has a ``message`` (what failed, which one, why) and a ``hint`` (what to do).

::

    DataError
    ├── MonthInvalid         an invalid year or month
    ├── SourceInvalid        an invalid URL template or folder
    ├── MonthNotPublished    the source has no such month
    ├── DownloadFailed       the server did not deliver the file
    ├── WrongContent         the file is something else
    │   └── NotParquet       not a complete Parquet file
    ├── StorageFailed        the disk is full, or the folder cannot be written
    ├── ContractBroken       the trips break the data contract
    └── NoTripsLeft          cleaning removed all trips
"""

from __future__ import annotations

from dataclasses import dataclass


class DataError(Exception):
    """Says what is wrong with the data, and what to do about it.

    Parameters
    ----------
    message
        What failed, which one, why. No full stop on one sentence.
    hint
        What to do; empty if there is nothing to say.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class MonthInvalid(DataError):
    """An invalid year or month."""


class SourceInvalid(DataError):
    """An invalid URL template or folder."""


class MonthNotPublished(DataError):
    """The source has no such month."""


class DownloadFailed(DataError):
    """The server did not deliver the file.

    Parameters
    ----------
    message, hint
        As in `DataError`.
    status
        The HTTP status, or None without a response.
    """

    def __init__(self, message: str, *, hint: str = "", status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class WrongContent(DataError):
    """The file is something else."""


class NotParquet(WrongContent):
    """The file is not Parquet, or not complete."""


class StorageFailed(DataError):
    """The disk is full, or the folder cannot be written."""


@dataclass(frozen=True)
class Finding:
    """One way in which a column breaks the contract.

    Parameters
    ----------
    column
        The column's published name, or empty for a finding about the whole file.
    expected, found
        What the contract requires and what the file has, in words.
    """

    column: str
    expected: str
    found: str

    def __str__(self) -> str:
        """Describe the finding in one line."""
        where = f"{self.column}: " if self.column else ""
        return f"{where}expected {self.expected}, found {self.found}"


class ContractBroken(DataError):
    """The trips break the data contract.

    Parameters
    ----------
    message, hint
        As in `DataError`.
    findings
        Every unusable column; empty if rules for rows are broken.
    """

    def __init__(self, message: str, *, hint: str = "", findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.findings = findings


class NoTripsLeft(DataError):
    """Cleaning removed all trips."""
