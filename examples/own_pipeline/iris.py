"""A pipeline of one's own: which iris is it?  Data, checks, a model and a gate in under 60 lines.

Run it here with: baton run --pipeline iris:dag
"""

from typing import Annotated

import polars as pl
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from baton import Dag, Json, Parameters, Table, TaskContext, TaskError, parameter, task


class IrisParameters(Parameters):
    """What may be chosen for a run."""

    holdout: Annotated[float, parameter("share of flowers kept for the test", gt=0, lt=1)] = 0.3
    strength: Annotated[float, parameter("inverse of the regularisation", gt=0)] = 1.0
    min_accuracy: Annotated[float, parameter("share of flowers that must be named right")] = 0.9


@task
def flowers() -> Table:
    """Read the flowers that scikit-learn brings along."""
    sizes, species = load_iris(return_X_y=True)
    return pl.DataFrame(sizes, schema=["sepal_cm", "sepal_w_cm", "petal_cm", "petal_w_cm"]).with_columns(
        species=pl.Series(species)
    )


@task(outputs=("training", "test"))
def split(flowers: Table, holdout: float) -> tuple[Table, Table]:
    """Shuffle with a fixed seed and split."""
    shuffled = flowers.sample(fraction=1.0, shuffle=True, seed=7)
    cut = round(len(shuffled) * (1 - holdout))
    return shuffled[:cut], shuffled[cut:]


@task
def score(training: Table, test: Table, strength: float, context: TaskContext) -> Json:
    """Fit a logistic regression and count how many test flowers it names right."""
    features = training.columns[:-1]
    model = LogisticRegression(C=strength, max_iter=1000).fit(
        training[features].to_numpy(), training["species"]
    )
    accuracy = float(model.score(test[features].to_numpy(), test["species"]))
    context.fact("accuracy", f"{accuracy:.3f}")
    return {"accuracy": accuracy, "coefficients": model.coef_.tolist()}


@task(effect=True)
def accept(score: Json, min_accuracy: float) -> None:
    """Refuse a model that names too few flowers right."""
    if score["accuracy"] < min_accuracy:
        raise TaskError(f"accuracy {score['accuracy']:.3f} is below {min_accuracy}", "tune strength")


dag = Dag("iris", [flowers, split, score, accept], parameters=IrisParameters, default="accept")
