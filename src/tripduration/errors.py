"""What can be wrong with the trip data.

Every error carries a ``message`` (what failed, which one, why) and a ``hint`` (the way out).

::

    DataError
    ├── MonthInvalid         a year or month that no calendar has
    ├── SourceInvalid        a URL template or folder that cannot name the files
    ├── MonthNotPublished    the place is right, the month is not there
    ├── DownloadFailed       the server did not deliver the file
    ├── WrongContent         the file is there and is something else
    │   └── NotParquet       no whole Parquet file
    ├── StorageFailed        the disk is full, or the folder cannot be written
    ├── ContractBroken       the trips are not what the pipeline was written for
    └── NoTripsLeft          cleaning kept nothing
"""

from __future__ import annotations

from dataclasses import dataclass


class DataError(Exception):
    """Say what is wrong with the data, and what to do about it.

    Parameters
    ----------
    message
        What failed, which one, why. No full stop on one sentence.
    hint
        The way out; empty when there is none to name.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class MonthInvalid(DataError):
    """A year or month that no calendar has."""


class SourceInvalid(DataError):
    """A URL template or folder that cannot name the files."""


class MonthNotPublished(DataError):
    """The place is right, the month is not there."""


class DownloadFailed(DataError):
    """The server did not deliver the file.

    Parameters
    ----------
    message, hint
        As in `DataError`.
    status
        The HTTP status, or None when there was no answer to read one from.
    """

    def __init__(self, message: str, *, hint: str = "", status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class WrongContent(DataError):
    """The file is there and is something else."""


class NotParquet(WrongContent):
    """The file is something else than Parquet, or is not whole."""


class StorageFailed(DataError):
    """The disk is full, or the folder cannot be written."""


@dataclass(frozen=True)
class Finding:
    """One way in which a column is not what the contract says.

    Parameters
    ----------
    column
        The column's published name, or empty where the finding is about the whole file.
    expected, found
        What the contract asks for and what the file has, in words.
    """

    column: str
    expected: str
    found: str

    def __str__(self) -> str:
        """Say it in one line."""
        where = f"{self.column}: " if self.column else ""
        return f"{where}expected {self.expected}, found {self.found}"


class ContractBroken(DataError):
    """The trips are not what the pipeline was written for.

    Parameters
    ----------
    message, hint
        As in `DataError`.
    findings
        Every column that cannot be used; empty where rules on the rows are broken.
    """

    def __init__(self, message: str, *, hint: str = "", findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.findings = findings


class NoTripsLeft(DataError):
    """Cleaning kept nothing."""
