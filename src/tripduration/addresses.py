"""File addresses: fill in a month, hide secrets, compare."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from string import Formatter
from urllib.parse import urlsplit

from tripduration.errors import SourceInvalid
from tripduration.months import Month
from tripduration.service import Service

_PORT = re.compile(r"[^:]*(:\d*)?|\[[^\]]*\](:\d*)?")
"""A host, with or without a port; the second form is an IPv6 address."""

_OF_WINDOWS = re.compile(r"(file:/*)?[A-Za-z]:([\\/]|$)|\\\\")

WINDOWS_HINT = "baton runs on Linux and macOS; in WSL C:\\ is /mnt/c/"

_HINT = "write it like https://example.org/{service}_tripdata_{year}-{month:02d}.parquet"


def month_url(template: str, month: Month, service: Service = "green") -> str:
    """Fill in a URL template for one month.

    Parameters
    ----------
    template
        An ``http``, ``https`` or ``file`` address with the fields ``{year}`` and ``{month}``, and
        optionally ``{service}``, in the syntax of `str.format`.
    month
        The month.
    service
        The taxis whose trips are wanted.

    Raises
    ------
    SourceInvalid
        The template lacks a field, has an unknown one, or is not a supported address.

    Examples
    --------
    >>> month_url("https://example.org/{year}-{month:02d}.parquet", Month(2021, 1))
    'https://example.org/2021-01.parquet'
    """
    shown = redacted(template)
    if is_windows_path(template):
        raise SourceInvalid(f"the URL template {shown} is a Windows path", hint=WINDOWS_HINT)
    try:
        fields = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
        wrong = _wrong_fields(fields)
        if wrong:
            raise SourceInvalid(f"the URL template {shown} {wrong}", hint=_HINT)
        url = template.format(year=month.year, month=month.month, service=service)
    except (ValueError, LookupError) as error:
        raise SourceInvalid(f"the URL template {shown} cannot be filled in: {error}", hint=_HINT) from error
    if scheme(url) not in {"http", "https", "file"}:
        raise SourceInvalid(
            f"the URL template {shown} is not an http://, https:// or file:// address", hint=_HINT
        )
    return url


def _wrong_fields(fields: set[str]) -> str:
    unknown = sorted(fields - {"year", "month", "service"})
    if unknown:
        return f"has the unknown field {{{unknown[0]}}}"
    missing = sorted({"year", "month"} - fields)
    return f"lacks the field {{{missing[0]}}}" if missing else ""


def scheme(address: str) -> str:
    """Return what precedes ``://``, in lower case; empty if the text is not an address."""
    before, separator, _ = address.partition("://")
    return before.lower() if separator else ""


def redacted(url: str) -> str:
    """Return a URL safe to show: without user, password, query and fragment.

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
            # A password with an unescaped / or ? looks like part of the port: show nothing.
            return f"{before}://..."
        address = f"{before}://{host}{slash}{path}"
    return address + ("?..." if query else "")


def through_proxy(url: str) -> str:
    """Return a note about the proxy used for an address, or an empty text."""
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
    return f" through the proxy {shown} from {variable}"


def identity(url: str) -> str:
    """Return an identifier of an address without secrets.

    User and password do not count. A query is included as a digest, because it may hold a token.
    """
    query = url.partition("#")[0].partition("?")[2]
    shown = redacted(url)
    return f"{shown}#{hashlib.sha256(query.encode()).hexdigest()[:12]}" if query else shown


def folder_name(template: str) -> str:
    """Return the name of the folder for files from one template's address.

    Templates never share a folder, so a month from one is never replaced by another's.
    """
    known = identity(template)
    host = redacted(template).partition("://")[2].partition("/")[0]
    readable = re.sub(r"[^A-Za-z0-9.-]", "_", host).strip(".") or "downloads"
    return f"{readable}-{hashlib.sha256(known.encode()).hexdigest()[:8]}"


def file_path(url: str) -> Path:
    """Return the path of a ``file://`` address.

    Raises
    ------
    SourceInvalid
        The address names another machine, as two slashes instead of three do.
    """
    if url.startswith("file://~"):
        return expanded(url.removeprefix("file://"))
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"}:
        raise SourceInvalid(
            f"the address {redacted(url)} refers to a file on another machine",
            hint="use three slashes for a local file: file:///folder/file.parquet",
        )
    from urllib.request import url2pathname  # imports a web client

    path = url2pathname(parts.path)
    return expanded(path.removeprefix("/")) if path.startswith("/~") else Path(path)


def is_windows_path(path: str) -> bool:
    """Whether a path or file address starts with a drive or a server, as on Windows."""
    return _OF_WINDOWS.match(path) is not None


def expanded(path: str) -> Path:
    """Return a path with ``~`` expanded.

    Raises
    ------
    SourceInvalid
        The home folder does not exist.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise SourceInvalid(
            f"home folder {Path(path).parts[0]} does not exist", hint="write the full path"
        ) from error
