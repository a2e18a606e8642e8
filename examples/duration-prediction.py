"""Train the trip duration model in one plain script: what the pipelines are compared with.

Nothing here knows of baton.  It reads every row into Python dicts, trains on the one-hot matrix, and
computes everything again each time.
"""

import argparse
import json
import os
import pickle
from pathlib import Path

import mlflow
import pandas as pd
import xgboost as xgb
from sklearn.feature_extraction import DictVectorizer
from sklearn.metrics import root_mean_squared_error

CONFIG = json.loads(Path(__file__).with_name("orchestration_config.json").read_text())
FEATURES = ["PU_DO", "trip_distance"]
PUBLISHED = "https://d37ci6vzurychx.cloudfront.net/trip-data/green_tripdata_{year}-{month:02d}.parquet"


def read_month(source: str, year: int, month: int) -> pd.DataFrame:
    """Read a month's trips of 1 to 60 minutes from a folder or an address."""
    template = source if "{" in source else source + "/green_tripdata_{year}-{month:02d}.parquet"
    df = pd.read_parquet(template.format(service="green", year=year, month=month))
    df["duration"] = (df.lpep_dropoff_datetime - df.lpep_pickup_datetime).dt.total_seconds() / 60
    df = df[(df.duration >= 1) & (df.duration <= 60)].copy()
    zones = ["PULocationID", "DOLocationID"]
    df[zones] = df[zones].astype(str)
    df["PU_DO"] = df["PULocationID"] + "_" + df["DOLocationID"]
    return df


def main(year: int, month: int, source: str, tracking_uri: str) -> None:
    """Train on a month, validate on the next, and record both in MLflow."""
    mlflow.set_tracking_uri(tracking_uri)
    try:
        mlflow.set_experiment(CONFIG["mlflow"]["experiment_name"])
    except mlflow.MlflowException as error:
        raise SystemExit(f"MLflow at {tracking_uri} cannot be used: {error}") from error

    df_train = read_month(source, year, month)
    df_val = read_month(source, year + month // 12, month % 12 + 1)
    dv = DictVectorizer(sparse=True)
    X_train = dv.fit_transform(df_train[FEATURES].to_dict(orient="records"))
    X_val = dv.transform(df_val[FEATURES].to_dict(orient="records"))
    print(f"Training features shape: {X_train.shape}")
    print(f"Validation features shape: {X_val.shape}")
    y_train, y_val = df_train["duration"].values, df_val["duration"].values

    with mlflow.start_run() as run:
        train = xgb.DMatrix(X_train, label=y_train)
        valid = xgb.DMatrix(X_val, label=y_val)
        params = CONFIG["model"]["params"]
        mlflow.log_params(params)
        booster = xgb.train(
            params=params,
            dtrain=train,
            num_boost_round=CONFIG["model"]["num_boost_round"],
            evals=[(valid, "validation")],
            early_stopping_rounds=CONFIG["model"]["early_stopping_rounds"],
        )
        rmse = root_mean_squared_error(y_val, booster.predict(valid))
        mlflow.log_metric("rmse", rmse)

        Path("models").mkdir(exist_ok=True)
        with Path("models/preprocessor.b").open("wb") as file:
            pickle.dump(dv, file)
        mlflow.log_artifact("models/preprocessor.b", artifact_path="preprocessor")
        mlflow.xgboost.log_model(booster, name="models_mlflow")

    Path("run_id.txt").write_text(run.info.run_id)
    print(f"Model trained successfully. RMSE: {rmse:.4f}")
    print(f"MLflow run_id: {run.info.run_id}")


if __name__ == "__main__":
    data, tracking = CONFIG["data"], CONFIG["mlflow"]
    source = data.get("source") or data.get("url_template") or PUBLISHED
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--year", type=int, default=data["year"])
    parser.add_argument("--month", type=int, default=data["month"])
    parser.add_argument("--source", default=source, help="folder or address")
    parser.add_argument("--tracking-server-host", default=tracking.get("tracking_server_host"))
    parser.add_argument("--aws-profile", default=tracking.get("aws_profile"))
    given = parser.parse_args()
    if given.aws_profile:
        os.environ["AWS_PROFILE"] = given.aws_profile
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # a server that is down is soon told
    host = given.tracking_server_host
    own = tracking.get("tracking_uri") or "sqlite:///mlflow.db"
    main(given.year, given.month, given.source, f"http://{host}:5000" if host else own)
