"""Convert the categorical booster to the form that training on the one-hot matrix gives.

The reference pipeline's consumers load a ``DictVectorizer`` and a booster over its columns. Both follow
from the categorical booster without training again: XGBoost builds the same trees from either
encoding, but stores them differently. The result equals, byte for byte, what training on the one-hot
matrix writes.

The relevant parts of XGBoost's JSON model
(https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html)::

    learner
      attributes                   ours: best_iteration, best_score
      feature_names, feature_types one per column; empty for a matrix without names
      learner_model_param
        num_feature                columns, as text
      gradient_booster.model.trees a list; each tree is a set of arrays, one value per node:
        left_children              node the left branch leads to, -1 in a leaf
        right_children             likewise
        parents                    2147483647 for the root
        split_indices              column, 0 in a leaf
        split_conditions           left if value < this; a leaf's value in a leaf
        split_type                 0 numeric, 1 categorical
        default_left               1 if a missing value goes left
        base_weights, loss_changes, sum_hessian
        categories_nodes           nodes that split by category, ascending; and, for each of them,
        categories_segments,       where its categories begin in `categories` and how many they
        categories_sizes           are: one each, as pairs are split off one at a time
        categories                 the categories that go right
        tree_param.num_feature     columns, as text

A categorical node sends its one pair right and everything else, including missing values, left. The
one-hot node has a column that is 1 for the pair and missing otherwise; missing goes right, and 1 is
below the threshold and goes left. So the children swap places and, because nodes are numbered level by
level from left to right, all nodes are renumbered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    import xgboost as xgb
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction import DictVectorizer

    Nodes = npt.NDArray[np.int64]
    Tree = dict[str, Any]

#: The threshold in a column that holds only 1: XGBoost puts the last cut of a column with the
#: largest value x at x + (|x| + 1e-5) (its ``src/common/quantile.cc``).
ABOVE_ONE = 2.00001

_NO_PARENT = 2147483647


@dataclass(frozen=True)
class OnehotForm:
    """A booster over the one-hot columns, with the data to predict round by round.

    Attributes
    ----------
    booster
        Over one column per pair, in the order of their codes, then the distance; the columns have no
        names.
    base_score
        The initial value of every prediction, minutes.
    leaf_values
        The value that each node adds, minutes, float32, for each round's tree; only those of leaves are
        meaningful.
    """

    booster: xgb.Booster
    base_score: np.float32
    leaf_values: tuple[npt.NDArray[np.float32], ...]

    def predict_by_round(self, matrix: csr_matrix[np.float32]) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the predictions after each round, minutes, shape (n,).

        They equal, bit for bit, XGBoost's predictions with the rounds so far, for objectives that predict
        the sum of the trees: the same float32 numbers are added in the same order.

        Parameters
        ----------
        matrix
            Shape (n, pairs + 1), one-hot as in `tripduration.features`.
        """
        import xgboost as xgb

        leaves = self.booster.predict(xgb.DMatrix(matrix), pred_leaf=True).astype(np.int32)
        predictions = np.full(len(leaves), self.base_score, np.float32)
        for values, reached in zip(self.leaf_values, leaves.reshape(len(leaves), -1).T, strict=True):
            predictions = predictions + values[reached]
            yield predictions


def to_onehot_form(booster: xgb.Booster, pair_count: int) -> OnehotForm:
    """Return the booster over the one-hot columns with the same predictions, bit for bit.

    Parameters
    ----------
    booster
        Trained on the categorical encoding.
    pair_count
        Number of pairs in that encoding.

    Raises
    ------
    ValueError
        If the booster was not trained on the categorical encoding of at most that many pairs, with one
        pair per split.
    """
    import xgboost as xgb

    # Numbers survive the text form: XGBoost writes the shortest decimal that reads as the same float32, and
    # msgspec the shortest that reads as the same float64, which is the same decimal.
    model = msgspec.json.decode(booster.save_raw("json"))
    learner = model["learner"]
    if learner["feature_types"] != ["c", "q"]:
        message = f"not a booster of the categorical encoding: columns {learner['feature_types']}"
        raise ValueError(message)
    learner["feature_names"] = []
    learner["feature_types"] = []
    learner["learner_model_param"]["num_feature"] = str(pair_count + 1)
    forest = learner["gradient_booster"]["model"]
    forest["trees"] = [_onehot_tree(tree, pair_count) for tree in forest["trees"]]
    return OnehotForm(
        booster=xgb.Booster(model_file=bytearray(msgspec.json.encode(model))),
        base_score=np.float32(learner["learner_model_param"]["base_score"].strip("[]")),
        leaf_values=tuple(np.array(tree["split_conditions"], np.float32) for tree in forest["trees"]),
    )


def dict_vectorizer(pairs: Sequence[str]) -> DictVectorizer:
    """Return the vectorizer that fitting on the training records would give.

    Parameters
    ----------
    pairs
        The pairs of the training trips, sorted as text.

    Returns
    -------
    sklearn.feature_extraction.DictVectorizer
        Fitted: column names ``PU_DO=<pair>`` in the order of ``pairs``, then ``trip_distance``. It
        turns records ``{"PU_DO": "74_75", "trip_distance": 1.5}`` into the columns of the booster
        that `to_onehot_form` returns.
    """
    from sklearn.feature_extraction import DictVectorizer

    vectorizer = DictVectorizer(sparse=True)
    vectorizer.feature_names_ = [*(f"PU_DO={pair}" for pair in pairs), "trip_distance"]
    vectorizer.vocabulary_ = {name: i for i, name in enumerate(vectorizer.feature_names_)}
    return vectorizer


def _onehot_tree(tree: Tree, pair_count: int) -> Tree:
    """Return a tree over the one-hot columns, in the layout in the module's docstring."""
    pair_nodes, pair_codes = _integers(tree["categories_nodes"]), _integers(tree["categories"])
    if any(size != 1 for size in tree["categories_sizes"]) or any(pair_codes >= pair_count):
        message = f"a tree has a split that is not one of {pair_count} pairs"
        raise ValueError(message)
    left, right = _integers(tree["left_children"]), _integers(tree["right_children"])
    left[pair_nodes], right[pair_nodes] = right[pair_nodes], left[pair_nodes]
    columns = np.where(left < 0, _integers(tree["split_indices"]), pair_count)
    columns[pair_nodes] = pair_codes
    missing_left = _integers(tree["default_left"])
    missing_left[pair_nodes] = 0
    conditions = np.array(tree["split_conditions"])
    conditions[pair_nodes] = ABOVE_ONE

    order = _level_order(left, right)
    renumbered = np.empty_like(order)
    renumbered[order] = np.arange(len(order))

    def renumber(targets: Nodes, nothing: int) -> list[int]:
        """Renumber the nodes and their targets; ``nothing`` means no node."""
        nowhere = targets == nothing
        followed: list[int] = np.where(nowhere, nothing, renumbered[np.where(nowhere, 0, targets)])[
            order
        ].tolist()
        return followed

    return {
        **tree,
        "left_children": renumber(left, -1),
        "right_children": renumber(right, -1),
        "parents": renumber(_integers(tree["parents"]), _NO_PARENT),
        "split_indices": columns[order].tolist(),
        "split_conditions": conditions[order].tolist(),
        "split_type": [0] * len(order),
        "default_left": missing_left[order].tolist(),
        **{
            name: np.array(tree[name])[order].tolist()
            for name in ("base_weights", "loss_changes", "sum_hessian")
        },
        **{name: [] for name in tree if name.startswith("categories")},
        "tree_param": {**tree["tree_param"], "num_feature": str(pair_count + 1)},
    }


def _integers(values: list[int]) -> Nodes:
    return np.array(values, np.int64)


def _level_order(left: Nodes, right: Nodes) -> Nodes:
    """Return the nodes level by level from left to right, as XGBoost numbers them."""
    levels = [np.zeros(1, np.int64)]
    while len(level := levels[-1]):
        inner = level[left[level] >= 0]
        levels.append(np.column_stack([left[inner], right[inner]]).ravel())
    return np.concatenate(levels)
