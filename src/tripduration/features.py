"""Turn clean trips into the numbers for training.

There are two encodings of the same two features, the pair of pickup and drop-off zone (``PU_DO``)
and the distance. XGBoost builds the same trees from either; the categorical one trains several times
faster, the one-hot one is that of the reference pipeline and its consumers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt
    from scipy.sparse import csr_matrix

Encoding = Literal["categorical", "onehot"]


def fit_pairs(months: Iterable[pl.LazyFrame]) -> list[str]:
    """Return the distinct zone pairs of the trips, sorted as text.

    Parameters
    ----------
    months
        Clean trips with a column ``PU_DO`` such as ``"74_75"``.

    Returns
    -------
    list[str]
        A pair's index is its code in every encoding.
    """
    found: set[str] = set()
    for trips in months:
        found.update(trips.select(pl.col("PU_DO").unique()).collect().to_series())
    return sorted(found)


def encode(
    months: Sequence[pl.LazyFrame], pairs: Sequence[str], encoding: Encoding
) -> npt.NDArray[np.float32] | csr_matrix[np.float32]:
    """Encode the trips of several months, one after the other, in the named encoding.

    One month is in memory at a time, besides the result.

    Parameters
    ----------
    months
        Clean trips with the columns ``PU_DO`` and ``trip_distance`` (miles).
    pairs
        The pairs known to the model, from `fit_pairs` on the training months.
    encoding
        ``"categorical"`` for `encode_categorical`, ``"onehot"`` for `encode_onehot`.
    """
    heights = heights_of(months)
    matrix = np.empty((sum(heights), 2), np.float32)
    ends = np.cumsum(heights)
    for trips, end, height in zip(months, ends, heights, strict=True):
        part = trips.select("PU_DO", "trip_distance").collect()
        matrix[end - height : end] = encode_categorical(part, pairs)
    return matrix if encoding == "categorical" else to_onehot(matrix, len(pairs))


def heights_of(months: Iterable[pl.LazyFrame]) -> list[int]:
    """Return how many trips each month has; files are not read beyond their footers."""
    return [trips.select(pl.len()).collect().item() for trips in months]


def durations_min(months: Iterable[pl.LazyFrame]) -> npt.NDArray[np.float64]:
    """Return the durations of the trips in minutes, shape (n,), in the order of `encode`."""
    return np.concatenate([trips.select("duration_min").collect().to_series().to_numpy() for trips in months])


def encode_categorical(trips: pl.DataFrame, pairs: Sequence[str]) -> npt.NDArray[np.float32]:
    """Encode the pair as one code, next to the distance.

    Parameters
    ----------
    trips
        Clean trips, n rows.
    pairs
        The pairs known to the model, distinct; at most 2**24, so that float32 holds every code.

    Returns
    -------
    ndarray of float32, shape (n, 2)
        Column 0 is the pair's index in ``pairs``, NaN for unknown pairs. Column 1 is the distance in
        miles.
    """
    codes = _pair_codes(trips, pairs).cast(pl.Float32).to_numpy()
    return np.column_stack([codes, _distances(trips)])


def encode_onehot(trips: pl.DataFrame, pairs: Sequence[str]) -> csr_matrix[np.float32]:
    """Encode the pair as one column per known pair, and the distance as the last column.

    The result equals that of scikit-learn's ``DictVectorizer`` for the records
    ``{"PU_DO": ..., "trip_distance": ...}``, without building the records: a distance of zero is
    stored, and an unknown pair stores nothing.

    Parameters
    ----------
    trips
        Clean trips, n rows.
    pairs
        The pairs known to the model, distinct.

    Returns
    -------
    csr_matrix of float32, shape (n, len(pairs) + 1)
    """
    return to_onehot(encode_categorical(trips, pairs), len(pairs))


def to_onehot(matrix: npt.NDArray[np.float32], pair_count: int) -> csr_matrix[np.float32]:
    """Convert a categorical matrix to the one-hot matrix of the same trips.

    Parameters
    ----------
    matrix
        Shape (n, 2), from `encode_categorical`.
    pair_count
        Number of pairs that the encoding knows.

    Returns
    -------
    csr_matrix of float32, shape (n, pair_count + 1)
        Equal to `encode_onehot` for the same trips and pairs.
    """
    from scipy.sparse import csr_matrix

    codes = matrix[:, 0]
    known = ~np.isnan(codes)
    columns = np.column_stack(
        [np.where(known, codes, 0).astype(np.int32), np.full(len(matrix), pair_count, np.int32)]
    )
    values = np.column_stack([np.ones(len(matrix), np.float32), matrix[:, 1]])
    stored = np.column_stack([known, np.ones(len(matrix), np.bool_)])
    row_ends = np.concatenate([[0], np.cumsum(stored.sum(axis=1))]).astype(np.int32)
    return csr_matrix((values[stored], columns[stored], row_ends), shape=(len(matrix), pair_count + 1))


def onehot_shape(rows: int, pairs: Sequence[str]) -> tuple[int, int]:
    """Return the shape of the one-hot matrix: a column per pair, then the distance."""
    return rows, len(pairs) + 1


def _pair_codes(trips: pl.DataFrame, pairs: Sequence[str]) -> pl.Series:
    """Return each trip's index in ``pairs``, null for unknown pairs."""
    return trips["PU_DO"].cast(pl.Enum(pairs), strict=False).to_physical()


def _distances(trips: pl.DataFrame) -> npt.NDArray[np.float32]:
    """Return the distances in miles as float32, NaN for a missing one."""
    return trips["trip_distance"].cast(pl.Float32).to_numpy()
