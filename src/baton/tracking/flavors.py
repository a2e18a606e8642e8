"""MLflow's flavors: which one stores a model, and with what."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from baton.codetrace.modules import is_installed, locate
from baton.core.artifact import Kind
from baton.errors import TaskError

_FLAVORS = {
    "xgboost": ("xgboost", ("xgboost",)),
    "sklearn": ("sklearn", ("scikit-learn", "skops")),
    "lightgbm": ("lightgbm", ("lightgbm",)),
    "catboost": ("catboost", ("catboost",)),
    "torch": ("pytorch", ("torch",)),
    "statsmodels": ("statsmodels", ("statsmodels",)),
    "prophet": ("prophet", ("prophet",)),
}
"""By the package that defines a model: the flavor, and the distributions that it needs."""


def flavor_of(model: Any) -> str:
    """Return the flavor for a model, by the package of its class or of a base class.

    Raises
    ------
    TaskError
        If MLflow has none.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> flavor_of(LinearRegression())
    'sklearn'
    """
    for one in type(model).__mro__:
        known = _FLAVORS.get(one.__module__.partition(".")[0])
        if known is not None:
            return known[0]
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    raise TaskError(
        f"MLflow has no flavor for a {kind}", "name one with flavor=, or use log_python_model with a script"
    )


_KINDS = {
    "xgboost": "baton.kinds.xgboost.BoosterKind",
    "sklearn": "baton.kinds.sklearn.EstimatorKind",
    "lightgbm": "baton.kinds.lightgbm.LightGBMKind",
    "catboost": "baton.kinds.catboost.CatBoostKind",
}
"""By flavor: the kind that stores such models as the same bytes each time."""


def content_of(model: Any, flavor: str) -> str:
    """Return a digest of a model's content; empty if no kind stores it as the same bytes each time."""
    if flavor not in _KINDS:
        return ""
    module, _, name = _KINDS[flavor].rpartition(".")
    kind: type[Kind] = getattr(importlib.import_module(module), name)
    inner, described = model, f"{type(model).__module__}.{type(model).__qualname__}"
    if flavor in ("xgboost", "lightgbm") and _is_estimator(model):
        inner = model.get_booster() if flavor == "xgboost" else model.booster_
        described += repr(sorted(model.get_params().items()))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model")
        try:
            kind.write(inner, path)
        except TypeError:  # it holds what the kind does not trust
            return ""
        return hashlib.sha256(path.read_bytes() + described.encode()).hexdigest()


def save_options(model: Any, flavor: str, requirements: Sequence[str], example: Any) -> dict[str, Any]:
    """Return the arguments of a flavor's ``save_model``.

    Parameters
    ----------
    model : Any
        The model.
    flavor : str
        Its flavor.
    requirements : sequence of str
        What it needs; the installed versions of what its flavor needs if there are none.
    example : Any
        Rows that it can predict, for the signature; None for no signature.
    """
    options: dict[str, Any] = {"pip_requirements": list(requirements) or _installed(model, flavor, example)}
    if example is not None:
        from mlflow.models import infer_signature

        takes_rows = _is_estimator(model) or flavor in ("lightgbm", "catboost")  # unlike XGBoost's Booster
        predicted = model.predict(example) if takes_rows else None
        options["signature"] = infer_signature(example, predicted)
    if flavor == "sklearn":
        held = _held_types(model)
        options["skops_trusted_types"] = held
        options["code_paths"] = _own_files(held) or None
    return options


def save(model: Any, flavor: str, folder: str, options: Mapping[str, Any]) -> None:
    """Write a model of a flavor into a new folder, as MLflow stores it."""
    importlib.import_module(f"mlflow.{flavor}").save_model(model, folder, **options)


def save_script(
    script: Path,
    files: Mapping[str, Path],
    signature: Any,
    requirements: Sequence[str],
    folder: str,
    model: Any = None,
) -> None:
    """Write a model that a script serves into a new folder, as MLflow stores it; nothing is pickled.

    Parameters
    ----------
    script : Path
        The script.
    files : mapping of str to Path
        The files that it reads, by label.
    signature : Any
        What it takes and returns.
    requirements : sequence of str
        Packages that it needs.
    folder : str
        The folder.
    model : mlflow.models.Model, optional
        MLflow's description of the model so far.
    """
    import mlflow.pyfunc

    with warnings.catch_warnings():
        # With a signature MLflow need not infer one from an example.
        warnings.filterwarnings("ignore", message=".*input example was not provided")
        mlflow.pyfunc.save_model(
            folder,
            python_model=str(script),
            artifacts={label: path.as_uri() for label, path in files.items()},
            signature=signature,
            pip_requirements=list(requirements),
            mlflow_model=model,
        )


def _is_estimator(model: Any) -> bool:
    """Whether a model has scikit-learn's interface, as XGBoost's and LightGBM's regressors have."""
    return any(one.__module__.partition(".")[0] == "sklearn" for one in type(model).__mro__)


def _installed(model: Any, flavor: str, example: Any) -> list[str]:
    """Return the distributions that a model needs, each with its installed version."""
    names = list(next((needed for known, needed in _FLAVORS.values() if known == flavor), ()))
    if _is_estimator(model):
        names.append("scikit-learn")
    if example is not None and type(example).__module__.partition(".")[0] == "pandas":
        names.append("pandas")
    found = []
    for name in dict.fromkeys(names):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{name}=={importlib.metadata.version(name)}")
    return found


def _held_types(model: Any) -> list[str]:
    """Return the functions and types in a scikit-learn model that skops does not know by itself.

    MLflow stores their names with the model, and builds no others when it loads the model.
    """
    import skops.io

    return list(skops.io.get_untrusted_types(data=skops.io.dumps(model)))


def _own_files(names: Sequence[str]) -> list[str]:
    """Return the files of the user's modules that define the named objects, which MLflow stores too."""
    found = []
    for name in names:
        module = name.rpartition(".")[0]
        place = locate(module) if module in sys.modules else None
        if place is not None and place.file is not None and not is_installed(place):
            top = place.file if "." not in module else Path(place.file).parents[module.count(".") - 1]
            found.append(str(top))
    return sorted(set(found))
