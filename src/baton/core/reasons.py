"""Why a task runs: one vocabulary for plans, explanations, events and run records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

_SHOWN_AT_ONCE = 3
_NAMED_AT_ONCE = 2


class CauseKind(Enum):
    """The kinds of cause, most important first."""

    FAILS = "would fail"
    FORCED = "forced"
    CACHE_OFF = "cache off"
    EFFECT = "effect"
    UNCACHEABLE = "uncacheable"
    MISSING = "missing"
    CORRUPT = "corrupt"
    UNFINISHED = "unfinished"
    PRODUCT = "product"
    TRACKING_RUN = "tracking run"
    ORDER = "order"
    NEVER_BUILT = "never built"
    RULE = "rule"
    PYTHON = "python"
    CODE = "code"
    PARAMETER = "parameter"
    SETTING = "setting"
    PACKAGE = "package"
    FILE = "file"
    FOLDER = "folder"
    MODEL = "registered model"
    VARIABLE = "environment variable"
    MODULE = "module"
    WORLD = "world"
    OUTPUTS = "outputs"
    ARGUMENT = "argument"
    INPUT = "input"
    UPSTREAM = "upstream"

    @property
    def is_difference(self) -> bool:
        """Whether it comes from a comparison with earlier work."""
        return _RANK[CauseKind.RULE] <= _RANK[self] <= _RANK[CauseKind.INPUT]


_RANK = {kind: rank for rank, kind in enumerate(CauseKind)}


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause why a task runs, as facts; `sentence` puts it into words.

    Parameters
    ----------
    kind : CauseKind
        The kind of cause.
    subject : str
        What changed: a parameter, an input, a package, ``"module:name"`` of a definition, an upstream
        task; or the reason, for kinds that have one.
    before, after : str or None
        The value, version or digest then and now, safe to show; None if absent.
    place : str
        For code, its location, for example ``"trips/clean.py: keep_plausible"``; for a product, its
        path.
    note : str
        Additional information, for example which task made an input.
    diff : str
        For code, the diff, if requested and known.
    """

    kind: CauseKind
    subject: str = ""
    before: str | None = None
    after: str | None = None
    place: str = ""
    note: str = ""
    diff: str = ""

    @property
    def sentence(self) -> str:
        """The cause as one line."""
        match self.kind:
            case CauseKind.FAILS:
                return f"it would fail: {self.subject}"
            case CauseKind.FORCED:
                return "forced"
            case CauseKind.CACHE_OFF:
                return "the cache is not used"
            case CauseKind.EFFECT:
                return "an effect always runs"
            case CauseKind.UNCACHEABLE:
                return f"not cached: {self.subject}"
            case CauseKind.MISSING:
                what = f"its output '{self.subject}'" if self.subject else "its earlier result"
                return f"{what} is missing from the store"
            case CauseKind.CORRUPT:
                return f"its output '{self.subject}' is corrupt in the store"
            case CauseKind.UNFINISHED:
                return f"its last attempt, in run {self.subject}, did not succeed"
            case CauseKind.PRODUCT:
                return f"{self.place}, which it made, {'is gone' if self.after is None else 'was changed'}"
            case CauseKind.TRACKING_RUN:
                done = "cannot be checked" if self.note else "was deleted"
                return f"its tracking run {self.subject} {done}"
            case CauseKind.ORDER:
                return "after the effects of an earlier period"
            case CauseKind.NEVER_BUILT:
                return self.subject or "never built"
            case CauseKind.RULE:
                return f"rule of the cache key {self._change}"
            case CauseKind.PYTHON:
                return f"Python {self._change}"
            case CauseKind.CODE:
                return f"code: {self.place or self.subject} {self._event}"
            case CauseKind.FILE | CauseKind.FOLDER | CauseKind.VARIABLE:
                return f"{self.kind.value} {self.subject} {self._event}"
            case CauseKind.MODULE:
                return f"module {self.subject}, which was missing, is now installed"
            case CauseKind.WORLD:
                return f"input from outside {self._change}"
            case CauseKind.INPUT:
                return f"input '{self.subject}' {self._event}"
            case CauseKind.UPSTREAM:
                return f"after '{self.subject}', which would run"
            case _:
                return f"{self.kind.value} {self.subject} {self._change}".replace("  ", " ")

    @property
    def _event(self) -> str:
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"

    @property
    def _change(self) -> str:
        if self.before is None:
            return f"{self.after} added"
        if self.after is None:
            return f"{self.before} removed"
        return "changed" if self.before == self.after else f"{self.before} -> {self.after}"

    def as_dict(self) -> dict[str, Any]:
        """Return the facts and the sentence as plain JSON values."""
        return {
            "kind": self.kind.value,
            "sentence": self.sentence,
            "subject": self.subject,
            "before": self.before,
            "after": self.after,
            "place": self.place,
            "note": self.note,
            "diff": self.diff,
        }


def by_importance(causes: Iterable[Cause]) -> tuple[Cause, ...]:
    """Return causes, most important first; causes of one kind keep their order."""
    return tuple(sorted(causes, key=lambda cause: _RANK[cause.kind]))


def in_one_line(causes: Iterable[Cause]) -> str:
    """Describe causes in one line, most important first, with the number left out."""
    ordered = by_importance(causes)
    sentences = [cause.sentence for cause in ordered if cause.kind is not CauseKind.UPSTREAM]
    upstream = [cause.subject for cause in ordered if cause.kind is CauseKind.UPSTREAM]
    if upstream and not any(cause.kind is CauseKind.NEVER_BUILT for cause in ordered):
        sentences.append(f"after {_named(upstream)}, which would run")
    shown = "; ".join(sentences[:_SHOWN_AT_ONCE])
    left = len(sentences) - _SHOWN_AT_ONCE
    return f"{shown}; and {left} more" if left > 0 else shown


def _named(tasks: Sequence[str]) -> str:
    names = [f"'{task}'" for task in tasks]
    if len(names) > _NAMED_AT_ONCE:
        return f"{', '.join(names[:_NAMED_AT_ONCE])} and {len(names) - _NAMED_AT_ONCE} more"
    return " and ".join(names)
