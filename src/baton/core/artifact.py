"""Artifacts: what travels between tasks, and how each kind of value becomes bytes.

A task's annotations name kinds.  To a type checker ``Table`` *is* a polars data frame; when the
program runs it is the class that reads and writes one, so that declaring a pipeline imports no
heavy library.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy as np
    import polars as pl
    import xgboost as xgb
    from scipy import sparse


@dataclass(frozen=True, slots=True)
class Artifact:
    """A reference to a stored value.

    Parameters
    ----------
    name : str
        Name of the output in its pipeline, for example ``"booster"``.
    kind : str
        Name of the kind, for example ``"table"``.
    digest : str
        SHA-256 of the stored bytes, 64 hexadecimal digits.
    size : int
        Number of stored bytes; for ``files``, of all the members together.
    code : str
        Digest of the code that the bytes name and do not hold, see `Kind.code`; empty where there is none.
    """

    name: str
    kind: str
    digest: str
    size: int
    code: str = ""

    @property
    def identity(self) -> str:
        """What tells the value from others in a cache key: its bytes, and the code that they name."""
        return hashlib.sha256(f"{self.digest} {self.code}".encode()).hexdigest() if self.code else self.digest

    def as_dict(self) -> dict[str, Any]:
        """Return the reference as plain JSON values, well under 1 KB."""
        fields = {"name": self.name, "kind": self.kind, "digest": self.digest, "size": self.size}
        return {**fields, "code": self.code} if self.code else fields

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Artifact:
        """Build a reference from what `as_dict` returned."""
        return cls(fields["name"], fields["kind"], fields["digest"], fields["size"], fields.get("code", ""))


class Kind:
    """How values of one kind become a file and come back; subclass to add a kind.

    The same value must always give the same bytes: digests of artifacts are part of cache keys.
    """

    name: ClassVar[str]
    suffix: ClassVar[str] = ""
    module: ClassVar[str] = ""
    """What reading a value imports, so that a worker can load it early."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Packages whose values these are: a task works with them even where it imports none."""

    @classmethod
    def write(cls, value: Any, path: Path) -> None:
        """Write `value` to the new file `path`; raise TypeError if it is not of this kind."""
        raise NotImplementedError(f"kind {cls.__name__} does not say how to write a value")

    @classmethod
    def read(cls, path: Path) -> Any:
        """Return the value that `write` put into `path`."""
        raise NotImplementedError(f"kind {cls.__name__} does not say how to read a value")

    @classmethod
    def code(cls, value: Any) -> Iterable[Callable[..., Any]]:  # noqa: ARG003
        """Return the functions and classes of your own that the bytes of `value` name and do not hold.

        A pickle is such a case: it holds the name of a function, so that its bytes are the same after the
        function changed.  What takes the value runs again when code changes that is named here.
        """
        return ()


class _TableKind(Kind):
    """A polars data frame, stored as Parquet."""

    name = "table"
    module = "polars"
    suffix = ".parquet"
    packages = ("polars",)

    @classmethod
    def write(cls, value: Any, path: Path) -> None:
        import polars as pl

        if not isinstance(value, pl.DataFrame):
            raise TypeError(_mismatch("a polars DataFrame", value))
        value.rechunk().write_parquet(path, compression="lz4", statistics=False)

    @classmethod
    def read(cls, path: Path) -> Any:
        import polars as pl

        return pl.read_parquet(path, memory_map=False, glob=False)


class _MatrixKind(Kind):
    """A dense array or a CSR matrix, stored as uncompressed npz (never with pickled members)."""

    name = "matrix"
    module = "numpy"
    suffix = ".npz"
    packages = ("numpy", "scipy")

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
            raise TypeError(_mismatch("a numpy array of numbers or a scipy CSR matrix", value))
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


class _BoosterKind(Kind):
    """An XGBoost booster, stored as UBJSON."""

    name = "booster"
    module = "xgboost"
    suffix = ".ubj"
    packages = ("xgboost",)

    @classmethod
    def write(cls, value: Any, path: Path) -> None:
        import xgboost as xgb

        if not isinstance(value, xgb.Booster):
            raise TypeError(_mismatch("an xgboost Booster", value))
        path.write_bytes(value.save_raw("ubj"))

    @classmethod
    def read(cls, path: Path) -> Any:
        import xgboost as xgb

        return xgb.Booster(model_file=bytearray(path.read_bytes()))


class _JsonKind(Kind):
    """Plain JSON values with sorted keys; not-a-number and infinities are refused."""

    name = "json"
    suffix = ".json"

    @classmethod
    def write(cls, value: Any, path: Path) -> None:
        try:
            text = json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))
        except ValueError as error:
            raise TypeError(f"expected plain JSON values: {error}") from error
        path.write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Any:
        return json.loads(path.read_bytes())


class _FileKind(Kind):
    """One file, passed as its path; the bytes are stored as they are."""

    name = "file"

    @classmethod
    def write(cls, value: Any, path: Path) -> None:
        import shutil

        if not isinstance(value, Path) or not value.is_file():
            raise TypeError(_mismatch("the path of a file", value))
        shutil.copyfile(value, path)

    @classmethod
    def read(cls, path: Path) -> Any:
        return path


class _FilesKind(Kind):
    """Several files by name, passed as a mapping of names to paths.

    The store keeps each file as an object of its own and a manifest that names them.
    """

    name = "files"
    suffix = ".json"


if TYPE_CHECKING:
    Table: TypeAlias = pl.DataFrame
    Matrix: TypeAlias = np.ndarray[Any, Any] | sparse.csr_matrix
    Booster: TypeAlias = xgb.Booster
    Json: TypeAlias = Any
    File: TypeAlias = Path
    Files: TypeAlias = Mapping[str, Path]
else:
    Table = _TableKind
    Matrix = _MatrixKind
    Booster = _BoosterKind
    Json = _JsonKind
    File = _FileKind
    Files = _FilesKind

FILE_KIND = _FileKind
FILES_KIND = _FilesKind


def _mismatch(expected: str, value: object) -> str:
    return f"expected {expected}, got {type(value).__module__}.{type(value).__qualname__}"
