"""LightGBM models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from baton.core.artifact import Kind, mismatch

if TYPE_CHECKING:
    from typing import TypeAlias

    import lightgbm


class LightGBMKind(Kind):
    """A LightGBM booster, stored in LightGBM's text format."""

    name = "lightgbm"
    module = "lightgbm"
    suffix = ".txt"
    packages = ("lightgbm",)
    types = ("lightgbm.Booster",)
    conversions = {"lightgbm.LGBMModel": "value.booster_"}

    @classmethod
    def write(cls, value: Any, path: Path) -> None:
        """Write a booster with all its trees; raise TypeError if it is none."""
        import lightgbm

        if not isinstance(value, lightgbm.Booster):
            raise mismatch("a lightgbm Booster", value, cls)
        path.write_text(value.model_to_string(num_iteration=-1), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Any:
        """Return the booster."""
        import lightgbm

        return lightgbm.Booster(model_str=path.read_text(encoding="utf-8"))


if TYPE_CHECKING:
    LightGBM: TypeAlias = lightgbm.Booster
else:
    LightGBM = LightGBMKind
