"""The duration pipeline as it is usually written, in one script: what baton is measured against."""

import argparse
import os
import pickle
from pathlib import Path

import mlflow
import pandas as pd
import xgboost as xgb
from sklearn.feature_extraction import DictVectorizer
from sklearn.metrics import root_mean_squared_error

FEATURES = ["PU_DO", "trip_distance"]
PARAMS = {
    "learning_rate": 0.09585355369315604,
    "max_depth": 30,
    "min_child_weight": 1.060597050922164,
    "objective": "reg:squarederror",
    "reg_alpha": 0.018060244040060163,
    "reg_lambda": 0.011658731377413597,
    "seed": 42,
}


def read_dataframe(file: Path) -> pd.DataFrame:
    df = pd.read_parquet(file)
    df["duration"] = (df.lpep_dropoff_datetime - df.lpep_pickup_datetime).dt.total_seconds() / 60
    df = df[(df.duration >= 1) & (df.duration <= 60)].copy()
    zones = ["PULocationID", "DOLocationID"]
    df[zones] = df[zones].astype(str)
    df["PU_DO"] = df["PULocationID"] + "_" + df["DOLocationID"]
    return df


def main(train_file: Path, validation_file: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment("nyc-taxi-experiment")

    df_train, df_val = read_dataframe(train_file), read_dataframe(validation_file)
    dv = DictVectorizer(sparse=True)
    X_train = dv.fit_transform(df_train[FEATURES].to_dict(orient="records"))  # noqa: N806
    X_val = dv.transform(df_val[FEATURES].to_dict(orient="records"))  # noqa: N806
    print(f"features: {X_train.shape} and {X_val.shape}")
    y_train, y_val = df_train["duration"].values, df_val["duration"].values

    with mlflow.start_run() as run:
        train = xgb.DMatrix(X_train, label=y_train)
        valid = xgb.DMatrix(X_val, label=y_val)
        mlflow.log_params(PARAMS)
        booster = xgb.train(
            params=PARAMS,
            dtrain=train,
            num_boost_round=30,
            evals=[(valid, "validation")],
            early_stopping_rounds=50,
        )
        rmse = root_mean_squared_error(y_val, booster.predict(valid))
        mlflow.log_metric("rmse", rmse)

        Path("models").mkdir(exist_ok=True)
        with Path("models/preprocessor.b").open("wb") as file:
            pickle.dump(dv, file)
        mlflow.log_artifact("models/preprocessor.b", artifact_path="preprocessor")
        mlflow.xgboost.log_model(booster, name="models_mlflow")

    Path("run_id.txt").write_text(run.info.run_id)
    print(f"RMSE: {rmse:.6f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, required=True, help="Parquet file of the training month")
    parser.add_argument("--validation", type=Path, required=True, help="Parquet file of the next month")
    parser.add_argument("--folder", type=Path, default=Path(), help="where everything is written")
    given = parser.parse_args()
    main(given.train.absolute(), given.validation.absolute(), given.folder)
