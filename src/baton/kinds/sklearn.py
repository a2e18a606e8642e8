"""Scikit-learn estimators."""

from __future__ import annotations

import io
import itertools
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from baton.core.artifact import Kind, mismatch

if TYPE_CHECKING:
    from typing import TypeAlias


class EstimatorKind(Kind):
    """A scikit-learn estimator, stored by skops: nothing is unpickled, and only known types are built.

    Types of scikit-learn, numpy and scipy that fitted estimators hold are known.  For functions and classes
    of your own, or of another package, declare a subclass that trusts them:

        class FareModel(EstimatorKind):
            trusted = (log_fare, back)
    """

    name = "estimator"
    module = "sklearn"
    suffix = ".skops"
    packages = ("sklearn", "skops")
    types = ("sklearn.*",)
    trusted: ClassVar[tuple[Callable[..., Any], ...]] = ()
    """Functions and classes that an estimator of this kind may hold."""

    @classmethod
    def write(cls, value: Any, path: Path) -> None:
        """Write an estimator; raise TypeError if it is none or holds a type that is not trusted."""
        from sklearn.base import BaseEstimator

        if not isinstance(value, BaseEstimator):
            raise mismatch("a scikit-learn estimator", value, cls)
        content = _dumped(value)
        unknown = [name for name in _untrusted(content) if name not in cls._known()]
        if unknown:
            raise TypeError(
                f"the estimator holds {', '.join(unknown)}: "
                "declare a subclass of EstimatorKind that trusts it"
            )
        path.write_bytes(_same_each_time(content))

    @classmethod
    def read(cls, path: Path) -> Any:
        """Return the estimator; raise TypeError if its file names a type that is not trusted."""
        import skops.io
        from skops.io.exceptions import UntrustedTypesFoundException

        try:
            return skops.io.load(path, trusted=sorted(cls._known()))
        except UntrustedTypesFoundException as error:
            raise TypeError(f"the stored estimator holds what is not trusted: {error}") from error

    @classmethod
    def code(cls, value: Any) -> Iterable[Callable[..., Any]]:
        """Return what the estimator holds of other packages than scikit-learn and its own dependencies."""
        known = {_name_of(one): one for one in cls.trusted}
        return [known[name] for name in sorted(_untrusted(_dumped(value))) if name in known]

    @classmethod
    def _known(cls) -> set[str]:
        return {*_TRUSTED, *map(_name_of, cls.trusted)}


def _name_of(one: Callable[..., Any]) -> str:
    return f"{one.__module__}.{one.__qualname__}"


def _dumped(value: Any) -> bytes:
    import skops.io
    from skops.io.exceptions import UnsupportedTypeException

    try:
        content: bytes = skops.io.dumps(value)
    except (UnsupportedTypeException, TypeError, AttributeError) as error:
        raise TypeError(f"skops cannot store the estimator: {error}") from error
    return content


def _untrusted(content: bytes) -> list[str]:
    import skops.io

    return list(skops.io.get_untrusted_types(data=content))


def _same_each_time(content: bytes) -> bytes:
    """Return a skops file without what differs between processes: addresses in memory, and the time.

    Its objects are numbered by their addresses, after which their arrays are named too; here they are
    numbered in their order.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        schema = json.loads(archive.read("schema.json"))
        members = {name: archive.read(name) for name in archive.namelist() if name != "schema.json"}
    files = _renumber(schema)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        renamed = {files[name]: data for name, data in members.items() if name in files}
        for name, data in [("schema.json", json.dumps(schema).encode()), *sorted(renamed.items())]:
            archive.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), data)
    return out.getvalue()


def _renumber(schema: dict[str, Any]) -> dict[str, str]:
    """Give the objects of a schema numbers in their order, in place; return the new names of its files."""
    numbers = itertools.count()
    by_address: dict[int, int] = {}
    files: dict[str, str] = {}
    for node in _nodes(schema):
        if node.get("__loader__") == "SetNode":
            node["content"].sort(key=_without_addresses)
        if "__id__" in node:
            # Whether equal texts and numbers are one object in memory is chance.
            address = node["__id__"]
            is_plain = node.get("__loader__") == "JsonNode"
            node["__id__"] = next(numbers) if is_plain else by_address.setdefault(address, len(by_address))
        if isinstance(node.get("file"), str):
            suffix = Path(node["file"]).suffix
            node["file"] = files.setdefault(node["file"], f"{len(files)}{suffix}")
    for node in _nodes(schema):
        if node.get("__loader__") == "JsonNode" and "__id__" in node:
            node["__id__"] += len(by_address)
    return files


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every JSON object of a value, outer ones first."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _nodes(inner)


def _without_addresses(node: Any) -> str:
    if isinstance(node, dict):
        kept = {k: _without_addresses(v) for k, v in sorted(node.items()) if k not in ("__id__", "file")}
        return json.dumps(kept)
    return json.dumps([_without_addresses(one) for one in node] if isinstance(node, list) else node)


_TRUSTED = frozenset(
    """
    numpy.dtype numpy.mean numpy.log1p numpy.expm1 numpy.log numpy.exp numpy.sqrt numpy.square numpy.abs
    scipy._lib.array_api_compat.numpy._aliases.asarray scipy.interpolate._bsplines.BSpline
    scipy.sparse._csc.csc_matrix scipy.sparse._csr.csr_matrix sklearn._loss.loss.HalfTweedieLossIdentity
    sklearn.calibration._CalibratedClassifier sklearn.calibration._SigmoidCalibration
    sklearn.cluster._bisect_k_means._BisectingTree sklearn.cluster._kmeans._kmeans_single_lloyd
    sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor
    sklearn.feature_selection._univariate_selection.f_classif
    sklearn.feature_selection._univariate_selection.f_regression
    sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace
    sklearn.gaussian_process.kernels.ConstantKernel sklearn.gaussian_process.kernels.Product
    sklearn.gaussian_process.kernels.RBF sklearn.gaussian_process.kernels.Sum
    sklearn.gaussian_process.kernels.WhiteKernel sklearn.gaussian_process.kernels.Matern
    sklearn.metrics._classification.balanced_accuracy_score sklearn.metrics._dist_metrics.EuclideanDistance64
    sklearn.metrics._dist_metrics.ManhattanDistance64 sklearn.metrics._dist_metrics.MinkowskiDistance64
    sklearn.metrics._scorer._CurveScorer sklearn.metrics._scorer._PassthroughScorer
    sklearn.metrics._scorer._Scorer sklearn.model_selection._search_successive_halving.HalvingGridSearchCV
    sklearn.model_selection._search_successive_halving.HalvingRandomSearchCV
    sklearn.model_selection._split.KFold sklearn.model_selection._split.StratifiedKFold
    sklearn.multiclass._ConstantPredictor sklearn.neighbors._ball_tree.BallTree
    sklearn.neighbors._kd_tree.KDTree sklearn.neural_network._stochastic_optimizers.AdamOptimizer
    sklearn.neural_network._stochastic_optimizers.SGDOptimizer sklearn.tree._tree.Tree
    sklearn.utils._bunch.Bunch sklearn.utils._metadata_requests.MetadataRequest
    sklearn.utils._metadata_requests.MethodMetadataRequest
    """.split()
)
"""What the estimators of scikit-learn 1.6 to 1.9 hold when fitted with their defaults, beyond what skops
knows, and the usual choices beside them: skops' check of each was run for every estimator."""


if TYPE_CHECKING:
    Estimator: TypeAlias = Any  # its base class declares no `predict`
else:
    Estimator = EstimatorKind
