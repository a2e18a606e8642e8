"""The command line of baton, with or without watching what tasks and imports do.

``python unobserved.py yes|no ARGUMENTS``: "no" leaves the watching out, as no setting does.
"""

import contextlib
import sys

from baton.cli.app import main
from baton.core.execute import Observed
from baton.runs import pipeline
from baton.store.store import Store


@contextlib.contextmanager
def _nothing(*_: object):  # type: ignore[no-untyped-def]
    yield Observed()


def _follow_nothing(home_module: str) -> None:
    """Load modules as Python itself does."""


if __name__ == "__main__":
    _, watched, *words = sys.argv
    if watched == "no":
        Store.observing = _nothing  # type: ignore[assignment, method-assign]
        pipeline.follow_imports = _follow_nothing  # type: ignore[attr-defined]
    sys.argv = ["baton", *words]
    main()
