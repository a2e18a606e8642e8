"""What Prefect must find in the environment before it is imported, and whether its server answers."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from baton.core.addresses import without_secrets
from baton.errors import ExtraMissing, Unavailable

_ANSWER_WITHIN_S = 4.0
_TRIES = 2


def require_prefect() -> None:
    """Raise `ExtraMissing` unless Prefect is installed; it is not imported."""
    if importlib.util.find_spec("prefect") is None:
        raise ExtraMissing("engine 'prefect'", "prefect")


def prepare_environment(home: Path) -> None:
    """Keep Prefect's files in the project and its usage data here, where the user says nothing else.

    Parameters
    ----------
    home : Path
        Folder of everything that baton writes.
    """
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    # Long enough for a server that is started again; by its own count a flow hangs for minutes on one
    # that is gone.
    os.environ.setdefault("PREFECT_CLIENT_MAX_RETRIES", "3")
    if not os.environ.get("PREFECT_HOME"):
        os.environ["PREFECT_HOME"] = str(home.absolute() / "prefect")
        profiles = Path.home() / ".prefect" / "profiles.toml"
        if profiles.is_file():  # whoever logged in to a server or to Prefect Cloud stays so
            os.environ.setdefault("PREFECT_PROFILES_PATH", str(profiles))
    # Prefect 3.7.7 looks for these two in the user's home whatever PREFECT_HOME says.
    folder = Path(os.environ["PREFECT_HOME"])
    os.environ.setdefault("PREFECT_SERVER_MEMO_STORE_PATH", str(folder / "memo_store.toml"))
    os.environ.setdefault("PREFECT_RESULTS_LOCAL_STORAGE_PATH", str(folder / "storage"))


def named_api_url() -> str:
    """Return the address of Prefect's API that the environment names, without loading Prefect."""
    return chosen_api_url() if "prefect" in sys.modules else os.environ.get("PREFECT_API_URL", "")


def chosen_api_url() -> str:
    """Return the address of the API that Prefect will talk to, profiles included.

    Empty where it will start a server itself.  Prefect is loaded, so its environment must be prepared.
    """
    from prefect.settings import PREFECT_API_URL

    return str(PREFECT_API_URL.value() or "")


def require_server(url: str) -> None:
    """Ask a Prefect server whether it is there; two tries, within 10 s.

    Raises
    ------
    Unavailable
        If it does not answer as one.
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
                f"there is no Prefect API at {shown}",
                "PREFECT_API_URL ends in /api, see: prefect config view",
            )
        if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
            return  # it may want credentials, which Prefect's own client has
        failure = f"it answered {answer.status_code}"
    raise Unavailable(
        f"the Prefect server at {shown} cannot be used: {failure}",
        "start one with: baton prefect up; or unset PREFECT_API_URL, and a temporary one is started",
    )
