"""Fares of passengers: pandas, a scikit-learn pipeline with functions of one's own, MLflow's registry."""

from typing import Annotated, Any

import numpy as np
import pandas as pd
from own_functions import back, log_fare
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from baton import Dag, EstimatorKind, Frame, Json, Parameters, TaskContext, TrackingRun, parameter, task


class Chosen(Parameters):
    """What may be chosen for a run."""

    rows: Annotated[int, parameter("passengers", ge=50)] = 800
    n_estimators: Annotated[int, parameter("trees", ge=1)] = 40


class FareModelKind(EstimatorKind):
    """An estimator that may hold the functions of this project."""

    trusted = (log_fare, back)


FareModel = Annotated[Any, FareModelKind]


@task
def passengers(rows: int) -> Frame:
    """Make up passengers, some without an age or a port."""
    random = np.random.default_rng(0)
    made = pd.DataFrame(
        {
            "age": random.normal(30, 10, rows),
            "cls": pd.Categorical(random.choice(list("ABC"), rows)),
            "port": np.array(["S", "C", None])[random.integers(0, 3, rows)],
        },
        index=pd.Index([f"p{number}" for number in range(rows)], name="passenger"),
    )
    made.loc[made.index[::17], "age"] = np.nan
    made["fare"] = 20 + made["cls"].cat.codes * 15 + random.gamma(2, 3, rows)
    return made


@task(outputs=("train_set", "test_set"))
def split(passengers: Frame) -> tuple[Frame, Frame]:
    """Keep a quarter for the test."""
    train, test = train_test_split(passengers, test_size=0.25, random_state=0)
    return train, test


@task
def model(train_set: Frame, n_estimators: int) -> FareModel:
    """Fit trees to the logarithm of the fare."""
    numbers = Pipeline([("fill", SimpleImputer()), ("scale", StandardScaler())])
    columns = ColumnTransformer(
        [("numbers", numbers, ["age"]), ("names", OneHotEncoder(handle_unknown="ignore"), ["cls", "port"])]
    )
    trees = GradientBoostingRegressor(n_estimators=n_estimators, random_state=0)
    regressor = TransformedTargetRegressor(
        Pipeline([("columns", columns), ("trees", trees)]),
        func=log_fare,
        inverse_func=back,
        check_inverse=False,
    )
    return regressor.fit(train_set, train_set["fare"])


@task
def mae(model: FareModel, test_set: Frame, context: TaskContext) -> Json:
    """Judge the model on the passengers that were kept."""
    error = float(mean_absolute_error(test_set["fare"], model.predict(test_set)))
    context.fact("MAE", f"{error:.3f}")
    return error


@task(effect=True)
def register(
    model: FareModel, mae: Json, test_set: Frame, tracking: TrackingRun, context: TaskContext
) -> None:
    """Log the model with MLflow, register it and make it the champion."""
    tracking.log_metrics({"mae": mae}, {})
    uri = tracking.log_model(model, "model", example=test_set.drop(columns="fare").head())
    version = tracking.register("fares", uri, {"mae": f"{mae:.3f}"})
    tracking.promote("fares", version)
    context.fact("Model", f"fares version {version}")


dag = Dag("titanic", [passengers, split, model, mae, register], parameters=Chosen, headline="MAE")
