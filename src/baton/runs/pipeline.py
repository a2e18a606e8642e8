"""Import a pipeline from a reference ``module:object``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from baton.codetrace.loading import keep_search_path
from baton.codetrace.observing import follow_imports
from baton.codetrace.packages import usual_distribution
from baton.core.dag import Dag
from baton.core.installed import wanted_packages
from baton.core.tracebacks import place_of, summary_of
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
            raise _failed_import(reference, error, project) from error
        near = nearest(module_name, [path.stem for path in project.glob("*.py")])
        raise UsageError(
            f"pipeline '{reference}': module '{module_name}' does not exist{near}",
            f"use the form module:object, with a module in {project.resolve()} or an installed one",
        ) from error
    except InvalidPipeline as error:
        place = place_of(error)
        hint = error.hint or (f"it is declared at {place}" if place else "")
        raise InvalidPipeline(error.pipeline, error.problems, hint) from error
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # the user's module may raise anything
        raise _failed_import(reference, error, project) from error
    keep_search_path()
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise UsageError(
                f"pipeline '{reference}': {module_name} has no '{attribute}'{nearest(name, dir(found))}",
                _pipelines_in(sys.modules[module_name]),
            )
        found = getattr(found, name)
    if not isinstance(found, Dag):
        raise UsageError(
            f"pipeline '{reference}' is a {type(found).__name__}, not a Dag",
            "define it with: dag = Dag(...)",
        )
    return found


def reference_to(pipeline: Dag) -> str:
    """Return the reference by which any process can import a `Dag`.

    Raises
    ------
    UsageError
        If there is none: it was made in the program itself, in a notebook's cell or in a function.
    """
    homes = {task.function.__module__ for task in pipeline.tasks}
    found = [
        (name, attribute)
        for name, module in list(sys.modules.items())
        for attribute, value in list(getattr(module, "__dict__", {}).items())
        if value is pipeline and name != "__main__"
    ]
    if not found:
        raise UsageError(
            f"pipeline '{pipeline.name}' is in no module that can be imported, as other processes must",
            "put its tasks and its Dag into a module, and import the Dag from there",
        )
    module, attribute = min(found, key=lambda place: (place[0] not in homes, place))
    return f"{module}:{attribute}"


def _failed_import(reference: str, error: BaseException, project: Path) -> InvalidPipeline:
    module, place = reference.partition(":")[0], place_of(error)
    where = f" at {place}" if place else ""
    return InvalidPipeline(
        reference, [f"importing {module} fails{where}: {summary_of(error)}"], _advice(error, project)
    )


def _advice(error: BaseException, project: Path) -> str:
    """Return what to do about an error of a module that cannot be imported, or an empty text."""
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        top = error.name.partition(".")[0]
        if sys.modules.get(top) is not None:
            return f"check the name: {top} is there"
        own = [path.stem for path in project.glob("*.py")]
        distribution = usual_distribution(top)
        extras = {package.name: package.extra for package in wanted_packages() if package.extra}
        wanted = f"'baton-ml[{extras[distribution]}]'" if distribution in extras else distribution
        return f"install it with: pip install {wanted}{nearest(top, own)}"
    if isinstance(error, (ImportError, AttributeError)) and "circular import" in str(error):
        return "two modules import each other: move what both need into a third, or import it in the function"
    return ""


def _pipelines_in(module: ModuleType) -> str:
    """Return what to write for the pipelines that a module has."""
    names = [name for name, one in vars(module).items() if isinstance(one, Dag)]
    found = " or ".join(f"--pipeline {module.__name__}:{name}" for name in names)
    return f"write: {found}" if found else "define it with: dag = Dag(...)"
