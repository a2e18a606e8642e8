"""The exceptions of baton, with one common base.

::

    BatonError                    exit code
    ├── UsageError                2   a wrong command line or call
    │   └── SettingsError         2   a setting or parameter that cannot be used
    ├── InvalidPipeline           3   the declaration breaks rules of a valid DAG
    ├── Unavailable               4   an engine, store or service cannot be used
    │   └── ExtraMissing          4   an optional dependency is not installed
    ├── StoreError                4   the store cannot be read or written
    │   ├── MissingObject         4   an object that was stored is gone
    │   └── CorruptObject         4   an object's bytes do not match its digest
    └── TaskError                 1   a task reports that it cannot continue

A task that fails is an outcome (`baton.core.outcome`), not an exception from here.  An exception raised
inside a task with a string attribute ``hint`` counts as explained: the user sees its message and hint,
without a traceback.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class BatonError(Exception):
    """Says what failed, which one and why; `hint` says what to do.

    Parameters
    ----------
    message : str
        One sentence without a full stop.
    hint : str
        What the user can do about it; empty if there is nothing to say.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(BatonError):
    """An invalid command line or API call."""

    exit_code = 2


class SettingsError(UsageError):
    """Invalid settings or parameters; lists all problems.

    Parameters
    ----------
    problems : sequence of str
        One sentence each, with the key, its source and the reason.
    hint : str
        What the user can do about it.
    """

    def __init__(self, problems: Sequence[str], hint: str = "") -> None:
        super().__init__("; ".join(problems), hint)
        self.problems = tuple(problems)


class InvalidPipeline(BatonError):
    """An invalid DAG declaration; lists all problems.

    Parameters
    ----------
    pipeline : str
        The pipeline's name.
    problems : sequence of str
        One sentence per broken rule.
    hint : str
        What the user can do about it.
    """

    exit_code = 3

    def __init__(self, pipeline: str, problems: Sequence[str], hint: str = "") -> None:
        listed = "".join(f"\n  - {problem}" for problem in problems)
        super().__init__(f"pipeline '{pipeline}' is not valid:{listed}", hint)
        self.pipeline = pipeline
        self.problems = tuple(problems)


class Unavailable(BatonError):
    """An engine, a store or a service that is currently unavailable."""

    exit_code = 4


class ExtraMissing(Unavailable):
    """An optional dependency that is not installed.

    Parameters
    ----------
    what : str
        What needs it, for example ``"engine 'prefect'"``.
    extra : str
        The extra of the distribution that installs it.
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs packages that are not installed",
            f"install them with: pip install 'baton-ml[{extra}]'",
        )
        self.extra = extra


class StoreError(Unavailable):
    """A store that cannot be read or written."""


class MissingObject(StoreError):
    """A stored object that is missing.

    Parameters
    ----------
    digest : str
        The digest of the object.
    place : str
        The store, without secrets.
    """

    def __init__(self, digest: str, place: str) -> None:
        super().__init__(f"object {digest[:12]} is missing from {place}", "run again to recompute it")
        self.digest = digest


class CorruptObject(StoreError):
    """An object whose bytes do not match its digest.

    Parameters
    ----------
    digest : str
        The digest of the object.
    """

    def __init__(self, digest: str) -> None:
        super().__init__(
            f"object {digest[:12]} does not match its digest",
            "it was deleted; run again to recompute it",
        )
        self.digest = digest


class Skip(Exception):
    """Raised in a task: it and what needs its outputs is skipped, and the run is good.

    Parameters
    ----------
    reason : str
        Why, in one line.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TaskError(BatonError):
    """Raised by a task that cannot continue and knows why, for example a gate that rejects a model.

    It is final: the task is not retried.
    """


_LISTED_AT_MOST = 30


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known name closest to `name`, else nothing."""
    import difflib

    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def listed(names: Sequence[str]) -> str:
    """Return names with commas between them, and ``...`` in place of the later ones of very many."""
    return ", ".join([*names[:_LISTED_AT_MOST], *["..."][: len(names) > _LISTED_AT_MOST]])
