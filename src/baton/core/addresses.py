"""Addresses as people may see them."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit


def without_secrets(uri: str) -> str:
    """Return a URI without user, password and query, fit to be shown."""
    try:
        parts = urlsplit(uri)
    except ValueError:  # no address at all: nobody knows what is secret in it
        return f"{uri.partition('://')[0]}://..."
    if not parts.netloc:
        return uri
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, place, parts.path, "", ""))
