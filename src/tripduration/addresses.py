"""Addresses of files: filled in for a month, safe to show, told apart."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from string import Formatter
from urllib.parse import urlsplit

from tripduration.errors import SourceInvalid
from tripduration.months import Month

_PORT = re.compile(r"[^:]*(:\d*)?|\[[^\]]*\](:\d*)?")
"""A host with or without a port; the second form is an IPv6 address."""

_HINT = "write it like https://example.org/green_tripdata_{year}-{month:02d}.parquet"


def month_url(template: str, month: Month) -> str:
    """Fill a URL template in for one month.

    Parameters
    ----------
    template
        An ``http``, ``https`` or ``file`` address with the fields ``{year}`` and ``{month}``, in
        the syntax of `str.format`.
    month
        The month wanted.

    Raises
    ------
    SourceInvalid
        The template lacks a field, has an unknown one, or is no such address.

    Examples
    --------
    >>> month_url("https://example.org/{year}-{month:02d}.parquet", Month(2021, 1))
    'https://example.org/2021-01.parquet'
    """
    shown = redacted(template)
    try:
        fields = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
        wrong = _wrong_fields(fields)
        if wrong:
            raise SourceInvalid(f"the URL template {shown} {wrong}", hint=_HINT)
        url = template.format(year=month.year, month=month.month)
    except (ValueError, LookupError) as error:
        raise SourceInvalid(f"the URL template {shown} cannot be filled in: {error}", hint=_HINT) from error
    if scheme(url) not in {"http", "https", "file"}:
        raise SourceInvalid(
            f"the URL template {shown} is no http://, https:// or file:// address", hint=_HINT
        )
    return url


def _wrong_fields(fields: set[str]) -> str:
    unknown = sorted(fields - {"year", "month"})
    if unknown:
        return f"has the unknown field {{{unknown[0]}}}"
    missing = sorted({"year", "month"} - fields)
    return f"lacks the field {{{missing[0]}}}" if missing else ""


def scheme(address: str) -> str:
    """Return what stands before ``://``, in lower case; empty where it is no address."""
    before, separator, _ = address.partition("://")
    return before.lower() if separator else ""


def redacted(url: str) -> str:
    """Return a URL that may be shown: without user, password, query and fragment.

    Examples
    --------
    >>> redacted("https://me:secret@example.org/a.parquet?token=secret")
    'https://example.org/a.parquet?...'
    """
    address, query, _ = url.partition("#")[0].partition("?")
    before, separator, rest = address.partition("://")
    if separator:
        place, slash, path = rest.partition("/")
        host = place.rpartition("@")[2]
        if not _PORT.fullmatch(host):
            # A password with an unescaped / or ? stands where the port does: show nothing.
            return f"{before}://..."
        address = f"{before}://{host}{slash}{path}"
    return address + ("?..." if query else "")


def through_proxy(url: str) -> str:
    """Return words on the proxy that an address is asked through, empty where there is none."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    known = getproxies()
    proxy = known.get(parts.scheme) or known.get("all")
    if not proxy or not parts.hostname or proxy_bypass(parts.hostname):
        return ""
    names = (f"{parts.scheme}_proxy", "all_proxy")
    cased = (spelling for name in names for spelling in (name, name.upper()))
    variable = next((name for name in cased if os.environ.get(name) == proxy), "the system")
    shown = redacted(proxy if scheme(proxy) else f"http://{proxy}")
    return f" through the proxy {shown}, which {variable} names"


def identity(url: str) -> str:
    """Return what tells one address from another, and holds no secret.

    User and password do not count. A query counts by a digest, because it may hold a token.
    """
    query = url.partition("#")[0].partition("?")[2]
    shown = redacted(url)
    return f"{shown}#{hashlib.sha256(query.encode()).hexdigest()[:12]}" if query else shown


def folder_name(template: str) -> str:
    """Name the folder that holds what one template's address publishes.

    Two templates never share a folder, so that a month of one is never replaced by the other's.
    """
    known = identity(template)
    host = redacted(template).partition("://")[2].partition("/")[0]
    readable = re.sub(r"[^A-Za-z0-9.-]", "_", host).strip(".") or "downloads"
    return f"{readable}-{hashlib.sha256(known.encode()).hexdigest()[:8]}"


def file_path(url: str) -> Path:
    """Return the path that a ``file://`` address names.

    Raises
    ------
    SourceInvalid
        The address names another machine, which two slashes in place of three do.
    """
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"}:
        raise SourceInvalid(
            f"the address {redacted(url)} names a file on another machine",
            hint="a file on this machine has three slashes: file:///folder/file.parquet",
        )
    from urllib.request import url2pathname  # brings a web client along

    return Path(url2pathname(parts.path))
