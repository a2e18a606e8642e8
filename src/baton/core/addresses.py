"""Addresses: hide their secrets, and build those of SQLite databases."""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from urllib.parse import unquote, urlsplit, urlunsplit

from baton.errors import Unavailable

_HOST = re.compile(r"[^:]*(:\d*)?|\[[^\]]*\](:\d*)?")
"""A host, with or without a port; the second form is an IPv6 address."""

_IN_TEXT = re.compile(r"[A-Za-z][\w+.-]*://[^\s'\"<>]+")

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")

_AS_PATH = re.compile(r"([A-Za-z][\w+.-]+:/)(?!/)[^\s'\"<>]*@[^\s'\"<>]*")
"""An address parsed as a path, which leaves only one of its two slashes."""

_ONE_SLASH = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/(?!/)")
_WITH_SLASHES = {"file": "file:///"}


def address_of(value: PurePath | str) -> str:
    """Return a path as text; a URL that was read as a path gets its second slash back.

    Examples
    --------
    >>> address_of(PurePath("s3://bucket/trips.csv")), address_of(PurePath("data/trips.csv"))
    ('s3://bucket/trips.csv', 'data/trips.csv')
    >>> address_of(PurePath("file:///data/trips.csv"))
    'file:///data/trips.csv'
    """
    if not isinstance(value, PurePath):
        return value
    return _ONE_SLASH.sub(lambda found: _WITH_SLASHES.get(found[1], f"{found[1]}://"), str(value), count=1)


def without_secrets(uri: str) -> str:
    """Return a URI without user, password and query, safe to show."""
    try:
        parts = urlsplit(uri)
    except ValueError:  # not an address: anything in it may be secret
        return f"{uri.partition('://')[0]}://..."
    if not parts.netloc:
        return uri
    place = parts.netloc.rpartition("@")[2]
    if not _HOST.fullmatch(place) or "@" in parts.path:
        # A password with an unescaped / or ? ends the host too early: show none of it.
        return f"{parts.scheme}://..."
    return urlunsplit((parts.scheme, place, parts.path, "", ""))


def without_secrets_in_addresses(text: str) -> str:
    """Return a text with `without_secrets` applied to every address in it."""
    shown = _IN_TEXT.sub(lambda found: without_secrets(found[0]), text)
    return _AS_PATH.sub(r"\1...", shown)


def is_address(text: str) -> bool:
    """Return whether a text starts like an address rather than a path."""
    return _ADDRESS.match(text) is not None


def sqlite_address(path: Path) -> str:
    """Return the SQLAlchemy address of a SQLite database file.

    Raises
    ------
    Unavailable
        If the path contains ``?`` or an escape such as ``%20``: SQLAlchemy and MLflow read
        them differently in an address.
    """
    text = str(path)
    if "?" in text or unquote(text) != text:
        raise Unavailable(
            f"{path} cannot be a database, because its path contains '?' or '%'",
            "choose another folder for baton's files: --home FOLDER, or BATON_HOME",
        )
    return f"sqlite:///{text}"
