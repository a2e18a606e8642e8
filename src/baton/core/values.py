"""The three forms of a parameter's value: typed in Python, plain in JSON, and text.

Text is the form on the command line, in the environment and in ``baton config set``; plain is the
form in the configuration file, in a run's record and on every engine.  `typed` reads both,
`as_plain` and `as_text` write them.
"""

from __future__ import annotations

import datetime
import enum
import json
import math
import operator
import re
import types
import typing
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, reduce
from pathlib import Path, PurePath
from typing import Any

import msgspec
from msgspec import inspect as known

from baton.core.addresses import address_of
from baton.core.secret import Secret
from baton.errors import nearest

_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_WINDOWS_PATH = re.compile(r"(file:/*)?[A-Za-z]:([\\/]|$)|\\\\")
_PLACE = re.compile(r" - at `\$(?:\[(\d+)\])?`")

_SCALARS = (
    known.BoolType,
    known.IntType,
    known.FloatType,
    known.StrType,
    known.DateType,
    known.DateTimeType,
    known.TimeType,
)
_LISTS = (known.ListType, known.VarTupleType, known.TupleType)
_WORDS: dict[type, tuple[str, str]] = {
    known.BoolType: ("true or false", "true or false"),
    known.IntType: ("whole number", "a whole number in the digits 0 to 9"),
    known.FloatType: ("number", "a number such as 0.5 or 1e-3"),
    known.StrType: ("text", "a text"),
    known.CustomType: ("path", "a path"),
    known.DateType: ("date", "a date such as 2021-01-31"),
    known.DateTimeType: ("date and time", "a date and time such as 2021-01-31T12:00:00"),
    known.TimeType: ("time", "a time such as 12:00:00"),
}
"""The name of a type, and what is expected if a value does not fit."""

USABLE = (
    "bool, int, float, str, Path, date, datetime, time, Literal, an enum, Secret, or a list or tuple of these"
)


def why_unusable(annotation: Any) -> str:
    """Return why a parameter cannot have this type, or an empty text if it can."""
    try:
        kind, or_none = _known(annotation)
    except (TypeError, ValueError, NameError) as error:
        return f"its type cannot be used: {error}"
    items = _items(kind)
    if items is None:
        items = [kind]
    wrong = [
        one for one in items if not isinstance(one, _SCALARS) and not _choices(one) and not _is_custom(one)
    ]
    if any(isinstance(one, known.StructType) for one in wrong):
        return "a group's type must be its class alone"
    if wrong:
        return f"its type {spelled(annotation)} has no form as text; use {USABLE}, or a group for a mapping"
    if or_none and "none" in _choices(kind):
        return "'none' cannot be one of its values, because it means None"
    return ""


def typed(annotation: Any, given: Any, *, from_text: bool) -> Any:
    """Convert a given value to a parameter's type.

    Parameters
    ----------
    annotation : Any
        The parameter's type, with its bounds.
    given : Any
        A value in plain or typed form.
    from_text : bool
        Whether strings are in the text form; otherwise they are in the JSON form.

    Raises
    ------
    ValueError
        If it does not fit; the message says what is expected.

    Examples
    --------
    >>> typed(tuple[int, ...], "1, 02", from_text=True)
    (1, 2)
    >>> typed(tuple[str, ...], '["a,b"]', from_text=True)
    ('a,b',)
    """
    kind, or_none = _known(annotation)
    try:
        given = as_plain(given)
        if or_none and (given is None or given == "none"):
            return None
        if isinstance(given, str) and from_text:
            given = _read(kind, given)
        value = msgspec.convert(given, annotation, dec_hook=_convert_custom)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except msgspec.ValidationError as error:
        raise ValueError(_reason(error, kind, given)) from None
    for one in value if isinstance(value, list | tuple) else (value,):
        if isinstance(one, float) and not math.isfinite(one):
            raise ValueError("expected a finite number")
        if isinstance(one, str | PurePath) and not _is_whole(str(one)):
            raise ValueError("expected a text of whole characters, without NUL")
    return value


def as_plain(value: Any) -> Any:
    """Return a value, or a group of them, in its JSON form."""
    match value:
        case enum.Enum():
            return as_plain(value.value)
        case PurePath():
            return address_of(value)
        case Secret():
            return str(value)
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case list() | tuple():
            return [as_plain(one) for one in value]
        case msgspec.Struct():
            return {name: as_plain(getattr(value, name)) for name in value.__struct_fields__}
    return value


def as_text(value: Any) -> str:
    """Return a value in its text form, which `typed` reads.

    Examples
    --------
    >>> as_text((1, 2)), as_text(["a,b"]), as_text([]), as_text(True), as_text(None)
    ('1,2', '["a,b"]', '[]', 'true', 'none')
    """
    plain = as_plain(value)
    if isinstance(plain, list):
        texts = [as_text(one) for one in plain]
        simple = all(text and text == text.strip() and "," not in text for text in texts)
        if texts and simple and not texts[0].startswith("["):
            return ",".join(texts)
        return json.dumps(plain, ensure_ascii=False)
    if plain is None or isinstance(plain, bool):
        return {None: "none", True: "true", False: "false"}[plain]
    return str(plain)


def choices(annotation: Any) -> tuple[str, ...]:
    """Return the allowed texts, including none; empty if any value is allowed."""
    kind, or_none = _known(annotation)
    texts = tuple(_choices(kind))
    return (*texts, "none") if texts and or_none else texts


def is_list(annotation: Any) -> bool:
    """Whether a parameter holds several values."""
    return _items(_known(annotation).kind) is not None


def is_secret(annotation: Any) -> bool:
    """Whether a parameter is a secret, or holds some."""
    kind = _known(annotation).kind
    return any(map(_is_secret, _items(kind) or [kind]))


def in_words(annotation: Any) -> str:
    """Describe a parameter's type and bounds for users.

    Examples
    --------
    >>> in_words(typing.Annotated[int, msgspec.Meta(ge=1)] | None)
    'whole number, at least 1, or none'
    """
    kind, or_none = _known(annotation)
    if isinstance(kind, known.TupleType):
        text = f"list of {len(kind.item_types)}: {'; '.join(map(_named, kind.item_types))}"
    elif isinstance(kind, known.ListType | known.VarTupleType):
        text = f"list of: {_named(kind.item_type)}"
    else:
        text = _named(kind)
    return f"{text}, or none" if or_none else text


def placeholder(annotation: Any) -> str:
    """Return the placeholder of a value in ``--help``."""
    kind = _known(annotation).kind
    items = _items(kind)
    if items is None:
        return _placeholder(kind)
    return ",".join(map(_placeholder, items)) + ("" if isinstance(kind, known.TupleType) else ",...")


def spelled(annotation: Any) -> str:
    """Return a type as written in a declaration."""
    return annotation.__name__ if type(annotation) is type else str(without_bounds(annotation))


def without_bounds(annotation: Any) -> Any:
    """Return a type without bounds and descriptions, including those of its elements.

    Examples
    --------
    >>> without_bounds(list[typing.Annotated[int, msgspec.Meta(ge=1)]])
    list[int]
    """
    if hasattr(annotation, "__metadata__"):
        return without_bounds(annotation.__origin__)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is None or origin is typing.Literal:
        return annotation
    plain = tuple(map(without_bounds, arguments))
    if plain == arguments:
        return annotation
    return reduce(operator.or_, plain) if origin in (typing.Union, types.UnionType) else origin[plain]


def read_path(text: str) -> str:
    """Return a path as the user wrote it, with ``~`` expanded.

    Raises
    ------
    ValueError
        If there is no such home folder, or the path is a Windows path.
    """
    if _WINDOWS_PATH.match(text):
        raise ValueError("expected a Linux or macOS path, not a Windows one; in WSL C:\\ is /mnt/c/")
    if not text.startswith("~"):
        return text
    try:
        return str(Path(text).expanduser())
    except RuntimeError:
        raise ValueError(f"there is no home folder {Path(text).parts[0]}") from None


class _Known(typing.NamedTuple):
    """A parameter's type according to `msgspec.inspect`, without descriptions."""

    kind: known.Type
    or_none: bool


def _known(annotation: Any) -> _Known:
    return _known_as(annotation, str(annotation))


@cache
def _known_as(annotation: Any, _spelling: str) -> _Known:
    # Python considers two Literals equal if they hold the same values in another order.
    found = _in_declared_order(_undescribed(known.type_info(annotation)), annotation)
    if isinstance(found, known.UnionType) and len(found.types) == 2:
        others = [one for one in found.types if not isinstance(one, known.NoneType)]
        if len(others) == 1:
            return _Known(_in_declared_order(_undescribed(others[0]), annotation), or_none=True)
    if isinstance(found, known.LiteralType) and None in found.values:
        texts = tuple(value for value in found.values if value is not None)
        return _Known(known.LiteralType(texts), or_none=True)
    return _Known(found, or_none=False)


def _in_declared_order(found: known.Type, annotation: Any) -> known.Type:
    """Return a type with the values of its ``Literal`` in declaration order, which msgspec sorts."""
    if isinstance(found, known.LiteralType):
        orders = (order for order in _literals(annotation) if set(order) == set(found.values))
        return known.LiteralType(next(orders, found.values))
    if isinstance(found, known.ListType | known.VarTupleType):
        item = _in_declared_order(_undescribed(found.item_type), annotation)
        return msgspec.structs.replace(found, item_type=item)
    return found


def _literals(annotation: Any) -> Iterator[tuple[Any, ...]]:
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        yield arguments
    else:
        for one in arguments:
            yield from _literals(one)


def _undescribed(found: known.Type) -> known.Type:
    while isinstance(found, known.Metadata):
        found = found.type
    return found


def _items(found: known.Type) -> list[known.Type] | None:
    """Return the types of a list's elements, one if all are alike; None if it is not a list."""
    if isinstance(found, known.TupleType):
        return [_undescribed(one) for one in found.item_types]
    if isinstance(found, known.ListType | known.VarTupleType):
        return [_undescribed(found.item_type)]
    return None


def _choices(found: known.Type) -> dict[str, Any]:
    """Return the allowed plain values by their texts."""
    values: list[Any] = []
    if isinstance(found, known.LiteralType):
        values = list(found.values)
    elif isinstance(found, known.EnumType) and not issubclass(found.cls, enum.Flag):
        values = [one.value for one in found.cls]
    texts = {str(value): value for value in values if type(value) in (str, int)}
    return texts if len(texts) == len(values) else {}


def _is_custom(found: known.Type) -> bool:
    return isinstance(found, known.CustomType) and found.cls in (Path, Secret)


def _is_secret(found: known.Type) -> bool:
    return isinstance(found, known.CustomType) and found.cls is Secret


def _named(found: known.Type) -> str:
    """Describe the type and bounds of one value for users."""
    found = _undescribed(found)
    texts = _choices(found)
    if texts:
        return " or ".join(f"`{text}`" for text in texts)
    signs = (("at least", "ge"), ("more than", "gt"), ("at most", "le"), ("less than", "lt"))
    limits = ((word, getattr(found, sign, None)) for word, sign in signs)
    bounds = [f"{word} {limit:g}" for word, limit in limits if limit is not None]
    name = "place of a secret" if _is_secret(found) else _WORDS[type(found)][0]
    return ", ".join([name, *bounds])


def _placeholder(found: known.Type) -> str:
    texts = _choices(found)
    if _is_secret(found):
        return "PLACE"
    named = {
        known.IntType: "INTEGER",
        known.FloatType: "NUMBER",
        known.BoolType: "true|false",
        known.CustomType: "PATH",
        known.DateType: "DATE",
        known.DateTimeType: "DATETIME",
        known.TimeType: "TIME",
    }
    return "|".join(texts) or named.get(type(found), "TEXT")


def _read(found: known.Type, text: str) -> Any:
    """Return the plain form of a value, other than None, given as text."""
    items = _items(found)
    if items is None:
        return _read_one(found, text)
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"expected a list such as {_example(items)}, or one in JSON") from error
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise ValueError(
            f"expected a list such as {_example(items)}: an element is empty"
            if text.strip()
            else f"expected a list such as {_example(items)}; an empty one is []"
        )
    if isinstance(found, known.TupleType) and len(parts) != len(items):
        raise ValueError(f"expected {len(items)} elements, found {len(parts)}")
    kinds = items if isinstance(found, known.TupleType) else items * len(parts)
    read: list[Any] = []
    for kind, part in zip(kinds, parts, strict=True):
        try:
            read.append(_read_one(kind, part))
        except ValueError as error:
            raise ValueError(f"element {len(read) + 1}: {error}") from None
    return read


def _read_one(found: known.Type, text: str) -> Any:
    texts = _choices(found)
    if texts:
        if text not in texts and _INTEGER.fullmatch(text):
            text = str(_whole_number(text))  # 08 means 8
        if text not in texts:
            raise ValueError(_expected_choice(texts, text))
        return texts[text]
    match found:
        case known.BoolType() if text.lower() in _BOOLEANS:
            return _BOOLEANS[text.lower()]
        case known.IntType() if _INTEGER.fullmatch(text):
            return _whole_number(text)
        case known.FloatType() if _NUMBER.fullmatch(text):
            return float(text)
        case known.BoolType() | known.IntType() | known.FloatType():
            raise ValueError(f"expected {_WORDS[type(found)][1]}")
    return text


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:  # Python limits the digits of a number
        raise ValueError("expected a whole number with fewer digits") from None


def _expected_choice(texts: Iterable[str], given: Any) -> str:
    listed = list(texts)
    close = nearest(given, listed) or nearest(given.lower(), listed) if isinstance(given, str) else ""
    return f"expected {' or '.join(listed)}{close}"


def _example(items: Sequence[known.Type]) -> str:
    texts = _choices(items[0]) if items else {}
    if texts:
        return ",".join(list(texts)[:2])
    return "1,2" if items and isinstance(items[0], known.IntType | known.FloatType) else "a,b"


def _convert_custom(cls: type, given: Any) -> Any:
    if cls is Secret and isinstance(given, str):
        return Secret(given)
    if cls is not Path or not isinstance(given, str) or not given:
        raise ValueError("expected a path")
    return Path(read_path(given))


def _reason(error: msgspec.ValidationError, found: known.Type, given: Any) -> str:
    """Explain to users why a plain value does not match a type."""
    place = _PLACE.search(str(error))
    items = _items(found)
    if items is not None and place is not None and place[1] is not None:
        position = int(place[1])
        kind = items[position] if len(items) > 1 else items[0]
        return f"element {position + 1}: {_reason_of_one(error, kind, given[position])}"
    return _reason_of_one(error, found, given)


def _reason_of_one(error: msgspec.ValidationError, found: known.Type, given: Any) -> str:
    texts = _choices(found)
    if texts:
        return _expected_choice(texts, given)
    if "RFC3339" in str(error):
        return f"expected {_WORDS[type(found)][1]}"
    return in_plain_words(error)


def in_plain_words(error: msgspec.ValidationError) -> str:
    """Return msgspec's reason in plain words."""
    text = str(error).partition(" - at `$")[0].replace("`", "").replace("Expected", "expected")
    text = text.replace(" | null", " or none")
    for ours, theirs in (
        ("a whole number", "int"),
        ("a number", "float"),
        ("true or false", "bool"),
        ("a text", "str"),
        ("a list", "array"),
    ):
        text = re.sub(rf"\b{theirs}\b", ours, text)
    return text


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
