"""Names of Airflow that moved between its supported versions, from where the installed one has them."""

from __future__ import annotations

from baton.engines.airflow.environment import require_airflow

VERSION = require_airflow()
"""The installed version, such as ``(3, 3)``."""

try:  # from 3.2 on
    from airflow.sdk import CronDataIntervalTimetable
except ImportError:
    from airflow.timetables.interval import (  # type: ignore[assignment, no-redef, unused-ignore]
        CronDataIntervalTimetable,
    )
try:
    from airflow.sdk.configuration import conf
except ImportError:
    from airflow.configuration import conf  # type: ignore[assignment, no-redef, unused-ignore]
try:
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowRescheduleException,
        AirflowSkipException,
        AirflowTaskTimeout,
    )
except ImportError:
    from airflow.exceptions import (  # type: ignore[assignment, attr-defined, no-redef, unused-ignore]
        AirflowException,
        AirflowFailException,
        AirflowRescheduleException,
        AirflowSkipException,
        AirflowTaskTimeout,
    )

__all__ = [
    "VERSION",
    "AirflowException",
    "AirflowFailException",
    "AirflowRescheduleException",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "CronDataIntervalTimetable",
    "conf",
]
