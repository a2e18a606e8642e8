"""Addresses: as people may see them, and of databases in files."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from baton.errors import Unavailable

_HOST = re.compile(r"[^:]*(:\d*)?|\[[^\]]*\](:\d*)?")
"""A host with or without a port; the second form is an IPv6 address."""

_IN_TEXT = re.compile(r"[A-Za-z][\w+.-]*://[^\s'\"<>]+")

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")

_AS_PATH = re.compile(r"([A-Za-z][\w+.-]+:/)(?!/)[^\s'\"<>]*@[^\s'\"<>]*")
"""An address that was taken for a path, which keeps one of its two slashes."""


def without_secrets(uri: str) -> str:
    """Return a URI without user, password and query, fit to be shown."""
    try:
        parts = urlsplit(uri)
    except ValueError:  # no address at all: nobody knows what is secret in it
        return f"{uri.partition('://')[0]}://..."
    if not parts.netloc:
        return uri
    place = parts.netloc.rpartition("@")[2]
    if not _HOST.fullmatch(place) or "@" in parts.path:
        # A password with an unescaped / or ? ends the host too early: show nothing of it.
        return f"{parts.scheme}://..."
    return urlunsplit((parts.scheme, place, parts.path, "", ""))


def without_secrets_in_addresses(text: str) -> str:
    """Return a text with every address in it as `without_secrets` shows it."""
    shown = _IN_TEXT.sub(lambda found: without_secrets(found[0]), text)
    return _AS_PATH.sub(r"\1...", shown)


def is_address(text: str) -> bool:
    """Return whether a text starts as an address does, and not as a path."""
    return _ADDRESS.match(text) is not None


def sqlite_address(path: Path) -> str:
    """Return the address, as SQLAlchemy reads it, of a SQLite database in a file.

    Raises
    ------
    Unavailable
        If the path has what means something else in an address, ``?`` or ``%20``: SQLAlchemy reads
        it in one way and MLflow in another.
    """
    text = str(path)
    if "?" in text or unquote(text) != text:
        raise Unavailable(
            f"{path} cannot be a database, as there is '?' or '%' in the path",
            "choose another place for what baton writes: --home FOLDER, or BATON_HOME",
        )
    return f"sqlite:///{text}"
