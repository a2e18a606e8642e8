"""Arrays of numbers, dense and sparse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from baton.core.artifact import Kind, mismatch

if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy as np
    from scipy import sparse


class _MatrixKind(Kind):
    """A dense array or a CSR matrix, stored as uncompressed npz (never with pickled members)."""

    name = "matrix"
    module = "numpy"
    suffix = ".npz"
    packages = ("numpy", "scipy")
    types = ("numpy.ndarray", "scipy.csr_matrix")
    conversions = {
        **dict.fromkeys(("polars.DataFrame", "polars.Series"), "value.to_numpy()"),
        **dict.fromkeys(("pandas.DataFrame", "pandas.Series"), "value.to_numpy()"),
        **dict.fromkeys(("builtins.list", "builtins.tuple"), "np.asarray(value)"),
        "scipy.spmatrix": "value.tocsr()",
        "scipy.sparray": "value.tocsr()",
    }

    @classmethod
    def write(cls, value: Any, path: Path) -> None:
        import numpy as np

        if (
            isinstance(value, np.ndarray)
            and not isinstance(value, np.ma.MaskedArray)
            and not value.dtype.hasobject
        ):
            members = {"dense": np.asarray(value, order="C")}
        elif getattr(value, "format", "") == "csr" and not value.dtype.hasobject:
            if not value.has_canonical_format:
                value = value.copy()
                value.sum_duplicates()
            members = {
                "data": value.data,
                "indices": value.indices,
                "indptr": value.indptr,
                "shape": np.asarray(value.shape, dtype=np.int64),
            }
        else:
            raise mismatch("a numpy array of numbers or a scipy CSR matrix", value, cls)
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **members)

    @classmethod
    def read(cls, path: Path) -> Any:
        import numpy as np

        with path.open("rb") as file, np.load(file, allow_pickle=False) as members:
            if "dense" in members:
                return members["dense"]
            from scipy import sparse

            parts = (members["data"], members["indices"], members["indptr"])
            return sparse.csr_matrix(parts, shape=tuple(members["shape"].tolist()))


if TYPE_CHECKING:
    Matrix: TypeAlias = np.ndarray[Any, Any] | sparse.csr_matrix
else:
    Matrix = _MatrixKind
