"""Read months of trips and check them against the data contract."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from tripduration.contract import ALLOWANCES, NEEDED, Trips, TripsOfMonth, duration_min, plausible
from tripduration.errors import ContractBroken, Finding, MonthInvalid, NotParquet
from tripduration.months import Month
from tripduration.parquet import verify_parquet
from tripduration.service import PREFIXES, Service, published_column

_CHECK_SOURCE = "check that the file matches its name, and check its source"


def read_month(path: Path, service: Service = "green") -> pl.DataFrame:
    """Read the needed columns of one published file, with uniform types.

    Parameters
    ----------
    path
        A Parquet file of any published schema that has location ids.
    service
        The taxis whose trips they are.

    Returns
    -------
    polars.DataFrame
        The columns and types of `tripduration.contract.Trips`, one row per trip, in file order.

    Raises
    ------
    ContractBroken
        Columns are missing or have types that cannot be cast; lists all findings.
    NotParquet
        The file is something else.
    """
    published = verify_parquet(path)
    names = published_names(published, service)
    with _damage_reported(path):
        types = pl.scan_parquet(path, glob=False).collect_schema()
    found = [_finding(name, names.get(name), types, published, service) for name in NEEDED]
    findings = tuple(finding for finding in found if finding is not None)
    if findings:
        raise _unusable(path.name, findings, published, service)
    with _damage_reported(path):
        frame = pl.read_parquet(path, columns=list(names.values()), glob=False)
    frame = frame.select(pl.col(names[name]).alias(name) for name in NEEDED)
    frame = frame.with_columns(pl.col(name).fill_nan(None) for name in _ids() if frame[name].dtype.is_float())
    lost = (*_beyond_calendar(frame, service), *_not_whole(frame))
    if lost:
        raise _unusable(path.name, lost, published, service)
    try:
        return frame.cast({name: column.dtype for name, column in Trips.columns().items()})
    except pl.exceptions.InvalidOperationError as error:
        first_line = str(error).partition("\n")[0]
        finding = Finding("", "values that fit their columns' types", first_line)
        raise _unusable(path.name, (finding,), published, service) from error


def _ids() -> tuple[str, ...]:
    return tuple(name for name, column in Trips.columns().items() if column.dtype.is_integer())


def _beyond_calendar(frame: pl.DataFrame, service: Service) -> Iterator[Finding]:
    """Yield the columns with times beyond microseconds, for which polars would panic."""
    for name, column in Trips.columns().items():
        if column.dtype.is_temporal():
            lost = frame[name].cast(column.dtype, strict=False).null_count() - frame[name].null_count()
            if lost:
                called = published_column(name, service)
                yield Finding(called, "times that microseconds can count", f"{lost:,} that they cannot")


def _not_whole(frame: pl.DataFrame) -> Iterator[Finding]:
    """Yield the id columns that are not whole numbers; null and NaN mean no id."""
    for name in _ids():
        values = frame[name]
        whole = values.cast(pl.Int64, strict=False)
        wrong = values.filter((whole.is_null() & values.is_not_null()) | (whole.cast(values.dtype) != values))
        if len(wrong):
            yield Finding(name, "whole numbers", f"{len(wrong):,} that are not, such as {wrong[0]}")


@contextmanager
def _damage_reported(path: Path) -> Iterator[None]:
    """Report a file whose data is damaged or encrypted although its footer is valid."""
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        first_line = str(error).partition("\n")[0]
        if "encrypt" in first_line.lower():
            raise NotParquet(
                f"{path.name} cannot be read: {first_line}", hint="decrypt it: encrypted Parquet is not read"
            ) from error
        raise NotParquet(
            f"{path.name} is not a readable Parquet file: its data is damaged ({first_line})",
            hint="download it again",
        ) from error


def check_trips(
    paths: Mapping[str, Path],
    *,
    service: Service = "green",
    min_rows: int = 1000,
    min_share_kept: float = 0.5,
) -> dict[str, Any]:
    """Judge months of trips by the data contract, and report in every case.

    Parameters
    ----------
    paths
        The files by month, such as ``2021-01``.
    service
        The taxis whose trips they are.
    min_rows
        Minimum number of trips per month.
    min_share_kept
        Minimum share of a month's trips, 0 to 1, that last from 1 to 60 minutes.

    Returns
    -------
    dict
        JSON-able: ``{"ok": bool, "files": {month: {"file", "rows", "rows_kept", "share_kept",
        "published_schema", "rules", "ok", "hint"}}}``. Each of ``rules`` is ``{"column",
        "rule", "violations", "share", "allowed_share", "found", "ok"}``, shares are from 0 to 1,
        and ``found`` describes what broke the rule.

    Raises
    ------
    MonthInvalid
        A key of `paths` is not a month.
    NotParquet
        A file is something else.
    """
    files = {
        name: _check_file(_month_in(name), path, service, min_rows, min_share_kept)
        for name, path in paths.items()
    }
    return {"ok": all(file["ok"] for file in files.values()), "files": files}


def raise_if_broken(report: Mapping[str, Any]) -> None:
    """Reject months that break the contract.

    Parameters
    ----------
    report
        From `check_trips`.

    Raises
    ------
    ContractBroken
        A rule is broken; the message lists file, column, rule and count of each.
    """
    broken = [
        f"{name} ({file['file']}): {rule['column']} {rule['rule']}: {rule['found']}"
        for name, file in report["files"].items()
        for rule in file["rules"]
        if not rule["ok"]
    ]
    if not broken:
        return
    hints = [file["hint"] for file in report["files"].values() if file["hint"]]
    separator = "\n  " if len(broken) > 1 else " "
    raise ContractBroken(
        separator.join(["the trips break the data contract:", *broken]),
        hint=hints[0] if hints else _CHECK_SOURCE,
    )


def report_text(report: Mapping[str, Any]) -> str:
    """Format a report as plain text, with one table per file.

    Parameters
    ----------
    report
        From `check_trips`.
    """
    return "\n".join(_file_text(name, file) for name, file in report["files"].items())


def _finding(
    name: str,
    column: str | None,
    types: Mapping[str, pl.DataType],
    published: Mapping[str, str],
    service: Service,
) -> Finding | None:
    """Return why a published column cannot be converted to the contract's, or None."""
    wanted = Trips.columns()[name].dtype
    found = types.get(column) if column is not None else None
    if wanted.is_temporal():
        expected = "a timestamp without a time zone"
        usable = isinstance(found, pl.Datetime) and found.time_zone is None
    else:
        expected = "whole numbers" if wanted.is_integer() else "numbers"
        usable = found is not None and found.is_numeric()
    if usable:
        return None
    called = published_column(name, service)
    if column is not None:
        return Finding(called, expected, published[column])
    alike = [one for one in published if _is_called(one, called)]
    return Finding(called, expected, " and ".join(map(repr, alike)) if alike else "no such column")


def _unusable(
    name: str, findings: tuple[Finding, ...], published: Mapping[str, str], service: Service
) -> ContractBroken:
    """Return one error with all findings that keep a file from being read."""
    separator = "\n  " if len(findings) > 1 else " "
    lines = [f"{name} is not a month of {service}-taxi trips:", *map(str, findings)]
    return ContractBroken(
        separator.join(lines), hint=_hint_for(findings, published, service), findings=findings
    )


def _hint_for(findings: tuple[Finding, ...], published: Mapping[str, str], service: Service) -> str:
    columns = " ".join(published).casefold()
    found = " ".join(finding.found for finding in findings)
    other = next((one for one in PREFIXES if one != service and f"{PREFIXES[one]}_" in columns), None)
    if other is not None:
        return (
            f"this is a {other}-taxi file: use the one called {service}_tripdata_YYYY-MM.parquet, "
            f"or set service to {other}"
        )
    if "pickup_longitude" in columns or "start_lon" in columns:
        return (
            "CSV files from before July 2016 have coordinates, and so have yellow taxis' Parquet files of "
            "2009 and 2010: use a published Parquet file from 2011 on, which has location ids"
        )
    if "tz=" in found:
        return "write the times in New York's local time, without a time zone"
    if re.search(r"string|dictionary|binary|list<|struct<|map<", found):
        return "write the file again, with times as timestamps, and ids and distances as numbers"
    return _CHECK_SOURCE


def published_names(columns: Iterable[str], service: Service = "green") -> dict[str, str]:
    """Return the names in a file for the columns that the pipeline reads.

    Case, and blanks around a name, are ignored if the result is unique.

    Examples
    --------
    >>> published_names(["PULOCATIONID", " trip_distance", "fare_amount"])
    {'PULocationID': 'PULOCATIONID', 'trip_distance': ' trip_distance'}
    """
    listed = list(columns)
    found = {}
    for name in NEEDED:
        called = published_column(name, service)
        alike = [one for one in listed if _is_called(one, called)]
        if called in listed or len(alike) == 1:
            found[name] = called if called in listed else alike[0]
    return found


def _is_called(column: str, name: str) -> bool:
    return column.strip().casefold() == name.casefold()


def _month_in(name: str) -> Month:
    match = re.search(r"\d{4}-\d{2}", name)
    if match is None:
        raise MonthInvalid(f"{name!r} is not a month of trips", hint="write it as YYYY-MM")
    return Month.parse(match[0])


def _check_file(
    month: Month, path: Path, service: Service, min_rows: int, min_share_kept: float
) -> dict[str, Any]:
    """Report on one file, even if it cannot be read."""
    report = {"file": path.name, "published_schema": verify_parquet(path), "hint": ""}
    try:
        trips = read_month(path, service)
    except ContractBroken as broken:
        with _damage_reported(path):
            rows = pl.scan_parquet(path, glob=False).select(pl.len()).collect().item()
        rules = [
            _rule(each.column, f"has {each.expected}", rows or 1, rows or 1, 0.0, found=f"found {each.found}")
            for each in broken.findings
        ]
        kept = 0
        report["hint"] = broken.hint
    else:
        rows = trips.height
        kept = trips.select(plausible(duration_min()).sum()).item()
        rules = [
            _enough(rows, min_rows),
            *_row_rules(trips, month, service),
            _rule("duration_min", "is 1 to 60", rows - kept, rows, 1.0 - min_share_kept),
        ]
    counts = {"rows": rows, "rows_kept": kept, "share_kept": kept / rows if rows else 0.0}
    return report | counts | {"rules": rules, "ok": all(rule["ok"] for rule in rules)}


def _row_rules(trips: pl.DataFrame, month: Month, service: Service) -> list[dict[str, Any]]:
    """Count how many rows break each rule."""
    of_month = trips.with_columns(
        pl.lit(month.begins, dtype=pl.Datetime("us")).alias("month_begins"),
        pl.lit(month.next().begins, dtype=pl.Datetime("us")).alias("month_ends"),
    )
    broken = TripsOfMonth.filter(of_month).failure.counts()
    return [
        _rule(
            published_column(it.column, service),
            it.rule,
            broken.get(it.key, 0),
            trips.height,
            it.allowed_share,
        )
        for it in ALLOWANCES
    ]


def _enough(rows: int, min_rows: int) -> dict[str, Any]:
    lacking = max(0, min_rows - rows)
    found = f"found {rows:,} trips, so {lacking:,} are lacking" if rows else "found no trips at all"
    return _rule("the file", f"has {min_rows:,} trips or more", lacking, min_rows, 0.0, found=found)


def _rule(
    column: str, rule: str, violations: int, rows: int, allowed_share: float, found: str = ""
) -> dict[str, Any]:
    share = violations / rows if rows else 0.0
    counted = f"broken by {violations:,} of {rows:,} trips, {share:.2%} ({allowed_share:.2%} may)"
    return {
        "column": column,
        "rule": rule,
        "violations": violations,
        "share": share,
        "allowed_share": allowed_share,
        "found": found or counted,
        "ok": share <= allowed_share,
    }


def _file_text(name: str, file: Mapping[str, Any]) -> str:
    kept = f"{file['rows_kept']:,} of {file['rows']:,} trips last 1 to 60 minutes"
    head = f"{name} ({file['file']}): {kept} ({file['share_kept']:.2%})"
    titles = ("", "column", "rule", "violations", "share", "allowed")
    lines = [titles, *(_cells(rule) for rule in file["rules"])]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return "\n".join([head, *(_aligned(line, widths) for line in lines)]) + "\n"


def _cells(rule: Mapping[str, Any]) -> tuple[str, ...]:
    shares = (f"{rule['share']:.2%}", f"{rule['allowed_share']:.2%}")
    state = "ok" if rule["ok"] else "BROKEN"
    return (state, rule["column"], rule["rule"], f"{rule['violations']:,}", *shares)


def _aligned(cells: tuple[str, ...], widths: list[int]) -> str:
    words = [cell.ljust(width) for cell, width in zip(cells[:3], widths[:3], strict=True)]
    numbers = [cell.rjust(width) for cell, width in zip(cells[3:], widths[3:], strict=True)]
    return "  ".join(["", *words, *numbers]).rstrip()
