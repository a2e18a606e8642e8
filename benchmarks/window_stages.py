"""The stages of a window as programs, for tools that run one process for each stage.

``python window_stages.py transform MONTH`` checks and cleans a month;
``python window_stages.py train ROUNDS MONTH...`` encodes the months, trains, and writes the errors.
"""

import json
import sys
from pathlib import Path


def transform(month: str) -> None:
    """Check a month and write its plausible trips."""
    from tripduration.clean import clean_trips
    from tripduration.schema import check_trips, raise_if_broken

    path = Path(f"months/green_tripdata_{month}.parquet")
    raise_if_broken(check_trips({month: path}))
    Path("trips").mkdir(exist_ok=True)
    clean_trips([path]).write_parquet(f"trips/{month}.parquet")


def train(rounds: int, months: list[str]) -> None:
    """Train on all months but the last, which validates."""
    import polars as pl

    from baton import flatten
    from tripduration.features import durations_min, encode, fit_pairs
    from tripduration.parameters import ModelParameters
    from tripduration.train import train_booster

    scans = [pl.scan_parquet(f"trips/{month}.parquet") for month in months]
    training, validation = scans[:-1], scans[-1:]
    pairs = fit_pairs(training)
    model = ModelParameters()
    trained = train_booster(
        encode(training, pairs, model.encoding),
        durations_min(training),
        encode(validation, pairs, model.encoding),
        durations_min(validation),
        hyperparameters=flatten(model.params),
        num_boost_round=rounds,
        early_stopping_rounds=model.early_stopping_rounds,
    )
    trained.booster.save_model("booster.ubj")
    Path("history.json").write_text(json.dumps(trained.history))


if __name__ == "__main__":
    _, stage, *words = sys.argv
    if stage == "transform":
        transform(*words)
    else:
        train(int(words[0]), words[1:])
