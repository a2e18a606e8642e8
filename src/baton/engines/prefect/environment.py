"""Prepare the environment before Prefect is imported, and check that its server answers."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from baton.core.addresses import without_secrets
from baton.engines.versions import require_version
from baton.errors import Unavailable

OLDEST = (3, 6)
"""The oldest Prefect that baton runs on."""

_ANSWER_WITHIN_S = 4.0
_TRIES = 2


def require_prefect() -> None:
    """Raise `ExtraMissing` or `Unavailable` unless a supported Prefect is installed; do not import it."""
    require_version("prefect", "prefect", ("prefect", "prefect-client"), OLDEST)


def prepare_environment(home: Path) -> None:
    """Keep Prefect's files in the project and disable its telemetry, unless configured otherwise.

    Parameters
    ----------
    home : Path
        Folder for baton's files.
    """
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    # Long enough for a server to restart; with Prefect's default a flow hangs for minutes on one that is
    # gone.
    os.environ.setdefault("PREFECT_CLIENT_MAX_RETRIES", "3")
    if not os.environ.get("PREFECT_HOME"):
        os.environ["PREFECT_HOME"] = str(home.absolute() / "prefect")
        profiles = Path.home() / ".prefect" / "profiles.toml"
        if profiles.is_file():  # keeps logins to a server or Prefect Cloud
            os.environ.setdefault("PREFECT_PROFILES_PATH", str(profiles))
    # Prefect 3.7.7 looks for these two in the user's home despite PREFECT_HOME.
    folder = Path(os.environ["PREFECT_HOME"])
    os.environ.setdefault("PREFECT_SERVER_MEMO_STORE_PATH", str(folder / "memo_store.toml"))
    os.environ.setdefault("PREFECT_RESULTS_LOCAL_STORAGE_PATH", str(folder / "storage"))


def named_api_url() -> str:
    """Return the address of Prefect's API from the environment, without loading Prefect."""
    return chosen_api_url() if "prefect" in sys.modules else os.environ.get("PREFECT_API_URL", "")


def chosen_api_url() -> str:
    """Return the address of the API that Prefect will use, including profiles.

    Empty if it will start its own server.  This loads Prefect, so prepare its environment first.
    """
    from prefect.settings import PREFECT_API_URL

    return str(PREFECT_API_URL.value() or "")


def require_server(url: str) -> None:
    """Check that a Prefect server answers; two attempts, within 10 s.

    Raises
    ------
    Unavailable
        If it does not answer like one.
    """
    import httpx

    shown = without_secrets(url)
    failure = ""
    for _ in range(_TRIES):
        try:
            answer = httpx.get(f"{url.rstrip('/')}/health", timeout=_ANSWER_WITHIN_S)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failure = str(error) or type(error).__name__
            continue
        if answer.status_code == httpx.codes.NOT_FOUND or "html" in answer.headers.get("content-type", ""):
            raise Unavailable(
                f"no Prefect API at {shown}",
                "PREFECT_API_URL must end in /api, see: prefect config view",
            )
        if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
            return  # it may need credentials, which Prefect's client has
        failure = f"it answered {answer.status_code}"
    raise Unavailable(
        f"the Prefect server at {shown} cannot be used: {failure}",
        "start one with: baton prefect up; or unset PREFECT_API_URL to use a temporary one",
    )
