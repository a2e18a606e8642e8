"""Kedro's spaceflights: three raw files, a table joined from them, and a linear model of the price."""

from pathlib import Path
from typing import Annotated

import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split

from baton import Dag, Estimator, Frame, InputFile, Json, Parameters, TaskContext, parameter, task


class ModelOptions(Parameters):
    """How the model is made."""

    test_size: Annotated[float, parameter("share kept for the test", gt=0, lt=1)] = 0.2
    random_state: Annotated[int, parameter("seed")] = 3
    features: Annotated[tuple[str, ...], parameter("columns that the model sees")] = (
        *("engines", "passenger_capacity", "crew", "d_check_complete", "moon_clearance_complete"),
        *("iata_approved", "company_rating", "review_scores_rating"),
    )


class Spaceflights(Parameters):
    """What may be chosen for a run."""

    companies: InputFile = Path("data/companies.csv")
    shuttles: InputFile = Path("data/shuttles.csv")
    reviews: InputFile = Path("data/reviews.csv")
    model_options: ModelOptions = ModelOptions()


@task
def preprocessed_companies(companies: InputFile) -> Frame:
    """Read truth values and shares."""
    read = pd.read_csv(companies)
    read["iata_approved"] = read["iata_approved"] == "t"
    read["company_rating"] = read["company_rating"].str.replace("%", "").astype(float) / 100
    return read


@task
def preprocessed_shuttles(shuttles: InputFile) -> Frame:
    """Read truth values and prices."""
    read = pd.read_csv(shuttles)
    for column in ("d_check_complete", "moon_clearance_complete"):
        read[column] = read[column] == "t"
    read["price"] = read["price"].str.replace("$", "").str.replace(",", "").astype(float)
    return read


@task
def model_input_table(
    preprocessed_shuttles: Frame, preprocessed_companies: Frame, reviews: InputFile
) -> Frame:
    """Join all three."""
    rated = preprocessed_shuttles.merge(pd.read_csv(reviews), left_on="id", right_on="shuttle_id")
    return (
        rated.drop(columns="id").merge(preprocessed_companies, left_on="company_id", right_on="id").dropna()
    )


@task(outputs=("x_train", "x_test", "y_train", "y_test"))
def split_data(model_input_table: Frame, model_options: ModelOptions) -> tuple[Frame, Frame, Frame, Frame]:
    """Keep a share of the rows for the test."""
    x, y = model_input_table[list(model_options.features)], model_input_table[["price"]]
    x_train, x_test, y_train, y_test = train_test_split(
        x, y, test_size=model_options.test_size, random_state=model_options.random_state
    )
    return x_train, x_test, y_train, y_test


@task
def regressor(x_train: Frame, y_train: Frame) -> Estimator:
    """Fit the model."""
    return LinearRegression().fit(x_train, y_train)


@task
def metrics(regressor: Estimator, x_test: Frame, y_test: Frame, context: TaskContext) -> Json:
    """Judge the model on the rows that were kept."""
    score = float(r2_score(y_test, regressor.predict(x_test)))
    context.fact("R2", f"{score:.3f}")
    return {"r2": score}


dag = Dag(
    "spaceflights",
    [preprocessed_companies, preprocessed_shuttles, model_input_table, split_data, regressor, metrics],
    parameters=Spaceflights,
)
