"""Values and texts as stored in entries and shown to users: without secrets, and short."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from baton.core.addresses import without_secrets_in_addresses

HIDDEN = "(hidden)"
"""Replaces what may be a secret."""

_LIMIT = 80
_SENSITIVE_NAME = (
    r"\w*(?:password|passwd|passphrase|secret|token|credentials?|(?:api|access|private|secret)_?key)"
)
_SECRET = re.compile(rf"{_SENSITIVE_NAME}$", re.IGNORECASE)
_MAY_BE_SENSITIVE = re.compile(r"passw|passphrase|secret|token|credential|key", re.IGNORECASE)
"""A fast check before `_SECRET_TEXT`, which tries to match at every word."""
_SECRET_TEXT = re.compile(
    rf"({_SENSITIVE_NAME}['\"]?\]?\s*(?::\s*[\w\[\]| .]+)?[=:]\s*[a-zA-Z]{{0,2}})(['\"]).*?(?<!\\)\2",
    re.IGNORECASE,
)


def plain(name: str, value: Any) -> Any:
    """Return a parameter's value as plain JSON, without possible secrets.

    Parameters
    ----------
    name : str
        Its name, which may mark it as a secret.
    value : Any
        Its value, of a type that `baton.store.fingerprint` accepts.
    """
    if _SECRET.fullmatch(name) and value is not None:
        return HIDDEN
    return _cleaned(msgspec.to_builtins(value, enc_hook=str, str_keys=True))


def in_words(value: Any) -> str:
    """Return a plain value in a form for users, in which ``1``, ``1.0`` and ``'1'`` differ."""
    if value is None:
        return "none"
    if value == HIDDEN:
        return HIDDEN
    text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shortened(text)


def shortened(text: str) -> str:
    """Return the start of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= _LIMIT else f"{line[: _LIMIT - 3]}..."


def without_secrets_in(text: str) -> str:
    """Return a text without secrets in addresses or in assignments to names of secrets."""
    if _MAY_BE_SENSITIVE.search(text):
        text = _SECRET_TEXT.sub(lambda found: f"{found[1]}{found[2]}{HIDDEN}{found[2]}", text)
    return without_secrets_in_addresses(text)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return without_secrets_in(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # not a JSON number
    if isinstance(value, Mapping):
        return {str(name): plain(str(name), item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(item) for item in value]
    return value
