"""CatBoost models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baton.core.artifact import Kind, mismatch

if TYPE_CHECKING:
    from typing import TypeAlias

    import catboost

_CLASSES = ("CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker", "CatBoost")
_CLASS = "python_class"
"""The entry in a model's own metadata that says of which class it was."""


class CatBoostKind(Kind):
    """A fitted CatBoost model of any class, stored in CatBoost's binary format.

    What differs each time or on each machine is left out: the time, a random id, the number of threads and
    the folder for training logs.
    """

    name = "catboost"
    module = "catboost"
    suffix = ".cbm"
    packages = ("catboost",)
    types = tuple(f"catboost.{name}" for name in _CLASSES)

    @classmethod
    def write(cls, value: Any, path: Path) -> None:
        """Write a model; raise TypeError if it is none or not fitted."""
        import catboost

        if not isinstance(value, catboost.CatBoost):
            raise mismatch("a CatBoost model", value, cls)
        if not value.is_fitted():
            raise TypeError("expected a fitted CatBoost model, but it is not fitted")
        value.save_model(str(path), format="cbm")
        model = catboost.CatBoost().load_model(str(path))
        entries = _same_each_time(dict(model.get_metadata().items()))
        entries[_CLASS] = next(one for one in _CLASSES if isinstance(value, getattr(catboost, one)))
        _replace_metadata(model, entries)
        model.save_model(str(path), format="cbm")
        # Entries are written in the order of a hash table, which depends on how many it ever held.
        model = catboost.CatBoost().load_model(str(path))
        _replace_metadata(model, entries)
        model.save_model(str(path), format="cbm")

    @classmethod
    def read(cls, path: Path) -> Any:
        """Return the model, of the class that it was."""
        import catboost

        stored = catboost.CatBoost().load_model(str(path)).get_metadata()[_CLASS]
        if stored not in _CLASSES:
            raise TypeError(f"the stored CatBoost model names the class {stored}")
        return getattr(catboost, stored)().load_model(str(path))


def _same_each_time(metadata: dict[str, str]) -> dict[str, str]:
    """Return a model's metadata without what says when and where it was trained."""
    kept = {name: text for name, text in metadata.items() if name not in ("model_guid", "train_finish_time")}
    params, output = (json.loads(kept[name]) for name in ("params", "output_options"))
    for name in ("thread_count", "train_dir"):
        params.get("flat_params", {}).pop(name, None)
    params["system_options"]["thread_count"] = 1
    output["train_dir"] = "catboost_info"
    for name, options in (("params", params), ("output_options", output)):
        kept[name] = json.dumps(options, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return kept


def _replace_metadata(model: catboost.CatBoost, entries: dict[str, str]) -> None:
    metadata = model.get_metadata()
    for name in list(metadata.keys()):
        del metadata[name]
    for name, text in sorted(entries.items()):
        metadata[name] = text


if TYPE_CHECKING:
    CatBoost: TypeAlias = catboost.CatBoost
else:
    CatBoost = CatBoostKind
