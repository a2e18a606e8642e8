"""The duration pipeline: the tasks, declared once for every engine.

Only this file and `tripduration.parameters` depend on baton; heavy imports are inside the tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baton import (
    Booster,
    Dag,
    File,
    Files,
    Json,
    Matrix,
    ModelRegistry,
    Period,
    Scan,
    Table,
    TaskContext,
    TaskError,
    TrackingRun,
    flatten,
    task,
)
from tripduration.parameters import BoosterParameters, Device, DurationParameters, Encoding
from tripduration.service import Service

if TYPE_CHECKING:
    import polars as pl

__all__ = ["dag"]


def _months(
    year: int,
    month: int,
    train_months: int,
    validation_year: int | None,
    validation_month: int | None,
) -> list[str]:
    """Return the months of a run, such as ``2021-01``: the training window, then the validation month.

    A month has one set of tasks, whatever it is used for, so that a validation month is in the store when it
    becomes a training month.
    """
    from tripduration import months

    window = months.training_window(year, month, train_months)
    chosen = months.validation_month(year, month, validation_year, validation_month)
    return [str(one) for one in (*window, chosen)]


def _month_version(year_month: str, service: Service, source: str, url_template: str) -> str:
    from tripduration.months import Month
    from tripduration.source import source_version

    return source_version(Month.parse(year_month), source, url_template, service)


def _zones_version(source: str, zone_url: str) -> str:
    from tripduration.source import zones_version

    return zones_version(source, zone_url)


def _champion(model_name: str, registry: ModelRegistry) -> str:
    return f"{model_name}: {registry.champion(model_name)}"


@task(over={"year_month": _months}, outputs="files", version=_month_version, timeout_s=3600)
def extract(year_month: str, service: Service, source: str, url_template: str, context: TaskContext) -> Files:
    """Fetch and verify a month of trips."""
    from tripduration.months import Month
    from tripduration.service import file_name
    from tripduration.source import fetch_month

    path = fetch_month(
        Month.parse(year_month),
        service=service,
        source=source,
        url_template=url_template,
        folder=context.data_dir,
        progress=context.progress,
        log=context.log,
    )
    return {file_name(year_month, service): path}


@task(group="extract", version=_zones_version, timeout_s=3600)
def zones(source: str, zone_url: str, url_template: str, context: TaskContext) -> Json:
    """Fetch the names of the taxi zones, for charts."""
    from tripduration.source import fetch_zones

    found = fetch_zones(source=source, zone_url=zone_url, folder=context.data_dir, log=context.log)
    if not found and zone_url and "://" in (source or url_template):
        context.do_not_remember("the zone names could not be fetched")
    return found


@task(over=extract, group="extract")
def check(files: Files, service: Service, min_rows: int, min_share_kept: float, context: TaskContext) -> Json:
    """Check a month of trips against the data contract."""
    from tripduration.schema import check_trips, raise_if_broken, report_text

    months = {Path(name).stem[-len("2021-01") :]: path for name, path in files.items()}
    report = check_trips(months, service=service, min_rows=min_rows, min_share_kept=min_share_kept)
    text = report_text(report)
    context.log(text)
    place = context.data_dir / "checks" / f"{context.task}.txt"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text + "\n", encoding="utf-8")
    raise_if_broken(report)
    return report


@task(over=extract, outputs="trips", after="check")
def transform(files: Files, service: Service) -> Table:
    """Keep the trips of 1 to 60 minutes and add PU_DO."""
    from tripduration.clean import clean_trips

    return clean_trips(files.values(), service)


@task(outputs=("train_matrix", "val_matrix", "train_minutes", "val_minutes", "pairs", "months"))
def features(
    trips: Mapping[str, Scan],
    year: int,
    month: int,
    train_months: int,
    validation_year: int | None,
    validation_month: int | None,
    encoding: Encoding,
    check_memory: bool,
    context: TaskContext,
) -> tuple[Matrix, Matrix, Matrix, Matrix, Json, Json]:
    """Encode zone pairs and distance; the pairs are those of the training trips."""
    from tripduration.features import durations_min, encode, fit_pairs, heights_of, onehot_shape
    from tripduration.memory import free_bytes, require_memory

    *training, validation = _months(year, month, train_months, validation_year, validation_month)
    train_trips = [trips[one.replace("-", "_")] for one in training]
    val_trips = [trips[validation.replace("-", "_")]]
    pairs = fit_pairs(train_trips)
    if check_memory:
        trip_count = sum(heights_of([*train_trips, *val_trips]))
        context.log(require_memory(trip_count, len(pairs), free_bytes=free_bytes()))
    train_minutes, val_minutes = durations_min(train_trips), durations_min(val_trips)
    context.fact("Training months", ", ".join(training))
    context.fact("Validation month", validation)
    context.fact("Training features shape", onehot_shape(len(train_minutes), pairs))
    context.fact("Validation features shape", onehot_shape(len(val_minutes), pairs))
    train_matrix, val_matrix = (encode(some, pairs, encoding) for some in (train_trips, val_trips))
    months = {"training": training, "validation": [validation]}
    return train_matrix, val_matrix, train_minutes, val_minutes, pairs, months


@task(outputs=("booster", "reference_booster", "history", "val_predictions"))
def train(
    train_matrix: Matrix,
    val_matrix: Matrix,
    train_minutes: Matrix,
    val_minutes: Matrix,
    params: BoosterParameters,
    num_boost_round: int,
    early_stopping_rounds: int,
    device: Device,
    context: TaskContext,
) -> tuple[Booster, Booster, Json, Matrix]:
    """Train the booster, also in one-hot form for the reference's users."""
    import numpy as np

    from tripduration.train import train_booster

    assert isinstance(train_minutes, np.ndarray)
    assert isinstance(val_minutes, np.ndarray)

    def on_round(done: int, total: int, train_rmse: float, val_rmse: float | None) -> None:
        context.progress(done, total, f"training RMSE {train_rmse:.4f}")
        if context.may_be_pruned and val_rmse is not None:
            context.intermediate(val_rmse, done)

    trained = train_booster(
        train_matrix,
        train_minutes,
        val_matrix,
        val_minutes,
        hyperparameters=flatten(params),
        num_boost_round=num_boost_round,
        early_stopping_rounds=early_stopping_rounds,
        device=device,
        follow_validation=context.may_be_pruned,
        on_round=on_round,
    )
    if not context.may_be_pruned:
        for done, val_rmse in enumerate(trained.history["validation"], 1):
            context.intermediate(val_rmse, done)
    return trained.booster, trained.reference_booster, trained.history, trained.val_predictions


@task(outputs=("evaluation", "pictures", "report"), group="train")
def evaluate(
    trips: Mapping[str, Scan],
    months: Json,
    val_predictions: Matrix,
    reference_booster: Booster,
    pairs: Json,
    history: Json,
    zones: Json,
    context: TaskContext,
) -> tuple[Json, Files, File]:
    """Measure the errors, draw the pictures and write the report."""
    import numpy as np

    from tripduration.evaluate import evaluate_predictions, rank_importance
    from tripduration.pictures import draw_pictures
    from tripduration.report import write_report

    assert isinstance(val_predictions, np.ndarray)
    val_trips = _validation_trips(trips, months)
    importance = rank_importance(reference_booster, pairs)
    evaluation = evaluate_predictions(val_trips, val_predictions, history, zones, importance)
    pictures = draw_pictures(evaluation, val_trips, val_predictions, context.scratch / "pictures")
    report = context.scratch / "report.html"
    facts = {
        "Trained on": ", ".join(months["training"]),
        "Validated on": ", ".join(months["validation"]),
        "Pairs of zones": f"{len(pairs):,}",
        "Rounds": str(len(history["validation"])),
    }
    write_report(evaluation, pictures, facts, report)
    context.fact("RMSE", f"{evaluation['metrics']['rmse']:.4f}")
    drawn = {f"{name}.png": path for name, path in pictures.items()}
    return {**evaluation, "months": months}, drawn, report


@task(effect=True, outputs="tracked", group="train", retries=2, retry_delay_s=2)
def track(
    trips: Mapping[str, Scan],
    months: Json,
    evaluation: Json,
    pictures: Files,
    report: File,
    booster: Booster,
    reference_booster: Booster,
    pairs: Json,
    tracking: TrackingRun,
    context: TaskContext,
) -> Json:
    """Record the execution: parameters, data, metrics, pictures, report and the model."""
    from tripduration.record import record_execution

    return record_execution(
        tracking,
        context.provenance,
        trips=trips,
        months=months,
        evaluation=evaluation,
        files={**{f"pictures/{name}": path for name, path in pictures.items()}, "report.html": report},
        booster=booster,
        reference_booster=reference_booster,
        pairs=pairs,
        scratch=context.scratch,
    )


@task(effect=True, outputs="verdict", retries=1, version=_champion)
def validate(
    evaluation: Json,
    tracked: Json,
    trips: Mapping[str, Scan],
    months: Json,
    min_rmse: float,
    max_rmse: float,
    max_regression: float,
    compare_champion: bool,
    model_name: str,
    tracking: TrackingRun,
) -> Json:
    """Reject a model that is too good, too bad, or worse than the champion on the same trips."""
    from tripduration.gate import judge

    verdict = judge(
        tracking,
        rmse=evaluation["metrics"]["rmse"],
        val_trips=_validation_trips(trips, months),
        val_months=months["validation"],
        model_digest=tracked["model_digest"],
        model_name=model_name,
        min_rmse=min_rmse,
        max_rmse=max_rmse,
        max_regression=max_regression,
        compare_champion=compare_champion,
    )
    tracking.set_tags({"gate": "accepted" if verdict["accepted"] else "refused"})
    if not verdict["accepted"]:
        raise TaskError(verdict["reason"], verdict["hint"])
    return verdict


@task(effect=True, outputs="deployment", retries=1, version=_champion)
def deploy(
    tracked: Json,
    verdict: Json,
    evaluation: Json,
    report: File,
    model_name: str,
    tracking: TrackingRun,
    context: TaskContext,
) -> Json:
    """Register the model, make it the champion, and write the record and the report for people."""
    from tripduration.deployment import deploy_model
    from tripduration.gate import champion_since

    later = champion_since(
        tracking, verdict=verdict, model_digest=tracked["model_digest"], model_name=model_name
    )
    if later is not None:
        raise TaskError(
            f"{model_name} version {later} became the champion after the gate's verdict",
            "run again to compare with it",
        )
    deployed = deploy_model(
        tracking,
        context.provenance,
        tracked=tracked,
        verdict=verdict,
        metrics=evaluation["metrics"],
        train_months=evaluation["months"]["training"],
        report=report,
        model_name=model_name,
        models_dir=context.models_dir,
        project=context.project,
    )
    for product in ("record", "report", "run_id_file"):
        context.product(context.project / deployed[product])
    context.fact("Model", f"{model_name} version {deployed['version']} is the champion")
    context.fact("Model digest", tracked["model_digest"])
    context.fact("Report", deployed["report"])
    context.fact("Run id file", deployed["run_id_file"])
    return deployed


@task(effect=True, position="first")
def health_check(source: str, url_template: str, service: Service, context: TaskContext) -> None:
    """Test the data source and a small training first."""
    context.log(check_source(source, url_template, service))
    context.log(check_training())


@task(effect=True, position="last")
def cleanup(context: TaskContext) -> None:
    """Delete unfinished downloads and scratch folders of interrupted runs."""
    from tripduration.leftovers import remove_leftovers

    removed = remove_leftovers(context.data_dir, context.scratch.parent, keep=context.scratch)
    context.log(f"removed {removed} leftovers")


def check_source(source: str, url_template: str, service: Service) -> str:
    """Check that the data source is available; return a line about it."""
    from tripduration.source_health import probe_source

    return probe_source(source, url_template, service)


def check_training() -> str:
    """Train a booster on a few numbers; return a line with the device."""
    import matplotlib as mpl
    import sklearn

    from tripduration.devices import choose_device
    from tripduration.source_health import probe_training

    probe_training()
    others = f"scikit-learn {sklearn.__version__} and Matplotlib {mpl.__version__} are installed"
    return f"XGBoost trains; device auto means {choose_device('auto')}; {others}"


def _validation_trips(trips: Mapping[str, pl.LazyFrame], months: Mapping[str, Any]) -> pl.DataFrame:
    (month,) = months["validation"]
    return trips[month.replace("-", "_")].collect()


dag = Dag(
    "duration",
    [
        health_check,
        extract,
        zones,
        check,
        transform,
        features,
        train,
        evaluate,
        track,
        validate,
        deploy,
        cleanup,
    ],
    parameters=DurationParameters,
    default="deploy",
    description="NYC taxi trip duration from pickup zone, drop-off zone and distance",
    experiment="nyc-taxi-experiment",
    headline="RMSE",
    health={"data source": check_source, "training": check_training},
    # A month is published after the next one has passed; the validation month, one later, later still.
    period=Period("month", ("year", "month"), lag=2),
)
