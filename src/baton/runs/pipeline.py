"""Import a pipeline from a reference ``module:object``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from baton.codetrace.loading import keep_search_path
from baton.codetrace.observing import follow_imports
from baton.core.dag import Dag
from baton.errors import InvalidPipeline, UsageError, nearest


def load_pipeline(reference: str, project: Path) -> Dag:
    """Import a module and return its `Dag`.

    Parameters
    ----------
    reference : str
        For example ``"tripduration.pipeline:dag"``; includes modules in the project's folder.
    project : Path
        The project's folder.

    Raises
    ------
    UsageError
        If the module does not exist or has no such `Dag`.
    InvalidPipeline
        If the declaration is invalid, or the import of the module fails.
    """
    module_name, _, attribute = reference.partition(":")
    if not all(part.isidentifier() for part in [*module_name.split("."), *attribute.split(".")]):
        raise UsageError(f"'{reference}' is not the name of a pipeline", "use the form module:object")
    folder = str(project.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    follow_imports(module_name)
    try:
        found: object = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name + ".").startswith(error.name + "."):
            raise InvalidPipeline(
                reference, [f"importing {module_name} fails: {error}"], "install the missing package"
            ) from error
        raise UsageError(
            f"pipeline '{reference}': module '{module_name}' does not exist",
            "use the form module:object, with a module in the current folder or an installed one",
        ) from error
    except (UsageError, InvalidPipeline):
        raise
    except (Exception, SystemExit) as error:  # the user's module may raise anything
        raise InvalidPipeline(
            reference, [f"importing {module_name} fails: {type(error).__name__}: {error}"]
        ) from error
    keep_search_path()
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise UsageError(
                f"pipeline '{reference}': {module_name} has no '{attribute}'{nearest(name, dir(found))}",
                "name a Dag that the module defines",
            )
        found = getattr(found, name)
    if not isinstance(found, Dag):
        raise UsageError(
            f"pipeline '{reference}' is a {type(found).__name__}, not a Dag",
            "define it with: dag = Dag(...)",
        )
    return found
