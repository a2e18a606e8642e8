"""XGBoost models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from baton.core.artifact import Kind, mismatch

if TYPE_CHECKING:
    from typing import TypeAlias

    import xgboost as xgb


class BoosterKind(Kind):
    """An XGBoost booster, stored as UBJSON."""

    name = "booster"
    module = "xgboost"
    suffix = ".ubj"
    packages = ("xgboost",)
    types = ("xgboost.Booster",)
    conversions = {"xgboost.XGBModel": "value.get_booster()"}

    @classmethod
    def write(cls, value: Any, path: Path) -> None:
        """Store a booster; raise TypeError for anything else."""
        import xgboost as xgb

        if not isinstance(value, xgb.Booster):
            raise mismatch("an xgboost Booster", value, cls)
        path.write_bytes(value.save_raw("ubj"))

    @classmethod
    def read(cls, path: Path) -> Any:
        """Return the booster."""
        import xgboost as xgb

        return xgb.Booster(model_file=bytearray(path.read_bytes()))


if TYPE_CHECKING:
    Booster: TypeAlias = xgb.Booster
else:
    Booster = BoosterKind
