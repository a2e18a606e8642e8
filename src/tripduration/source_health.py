"""Quick checks of what a run needs: the data source, and XGBoost."""

from __future__ import annotations

from tripduration.addresses import through_proxy
from tripduration.errors import DataError
from tripduration.local_files import existing_folder
from tripduration.service import Service


class SourceUnreachable(DataError):
    """The data source is not available."""


class TrainingBroken(DataError):
    """XGBoost cannot train here."""


def probe_source(source: str, url_template: str, service: Service = "green") -> str:
    """Return a line about the data source.

    Raises
    ------
    DataError
        If it is missing, or does not answer within a few seconds.
    """
    if source == "sample":
        return "the built-in sample"
    if source and "://" not in source:
        folder = existing_folder(source)
        months = sorted(folder.glob(f"{service}_tripdata_*.parquet"))
        if not months:
            raise SourceUnreachable(
                f"the folder {source} has no {service}_tripdata_YYYY-MM.parquet",
                hint="use a folder with published months, or: --source sample",
            )
        return f"{len(months)} months in {source}"
    address = source or url_template
    if address.startswith("file://"):
        return f"files at {address}"
    return _probe_server(address, service)


def _probe_server(address: str, service: Service) -> str:
    import httpx

    host = httpx.URL(address.partition("{")[0]).host
    try:
        httpx.head(address.format(year=2021, month=1, service=service), timeout=5, follow_redirects=True)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SourceUnreachable(
            f"{host} does not answer{through_proxy(address.partition('{')[0])}: {error}",
            hint="check the network, or use a folder: --source FOLDER, or the sample: --source sample",
        ) from error
    return f"{host} answers"


def probe_training() -> None:
    """Train one round on four numbers.

    Raises
    ------
    TrainingBroken
        If XGBoost cannot be loaded or fails.
    """
    try:
        import numpy as np
        import xgboost as xgb

        rows = xgb.DMatrix(np.arange(4, dtype=np.float32).reshape(-1, 1), label=np.arange(4))
        xgb.train({"max_depth": 1, "nthread": 1}, rows, 1)
    except Exception as error:  # a broken library may raise anything
        raise TrainingBroken(
            f"XGBoost cannot train: {error}", hint="reinstall it with: pip install xgboost"
        ) from error
