"""The part of Airflow's REST API that baton needs."""

from __future__ import annotations

import datetime
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from baton.errors import Unavailable, UsageError

if TYPE_CHECKING:
    import httpx

_TIMEOUT_S = 90.0
"""Longer than an Airflow on SQLite waits for a lock."""

_PAGE = 100
_TRIED_FOR_S = 30.0
"""How long to repeat requests that the server cannot answer, for example with a locked database."""


class AirflowApi:
    """Talks to an Airflow API server.

    Parameters
    ----------
    address : str
        Address of the server.
    username, password : str
        A login of Airflow's simple auth manager, or of any that issues tokens at ``/auth/token``.
    token : str
        A token instead of the login.

    Raises
    ------
    Unavailable
        If the server does not answer or refuses the login.
    """

    def __init__(self, address: str, *, username: str = "", password: str = "", token: str = "") -> None:
        import httpx

        self.address = address.rstrip("/")
        self._client = httpx.Client(base_url=self.address, timeout=_TIMEOUT_S)
        if not token:
            login = {"username": username, "password": password}
            answer = self._send("POST", "/auth/token", login)
            if not answer.is_success:
                raise Unavailable(
                    f"Airflow at {self.address} rejects the login: {_reason(answer)}",
                    "set --username and --password, or a token in AIRFLOW_CLI_TOKEN",
                )
            token = answer.json()["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"

    def dag(self, dag_id: str) -> dict[str, Any]:
        """Return a DAG.

        Raises
        ------
        UsageError
            If it does not exist.
        """
        answer = self._send("GET", f"/api/v2/dags/{quote(dag_id)}")
        if answer.status_code == 404:
            raise UsageError(
                f"Airflow at {self.address} has no DAG '{dag_id}'",
                "copy the file to its dags folder and check its import errors, or set another: --dag-id ID",
            )
        return self._content(answer)

    def unpause(self, dag_id: str) -> None:
        """Unpause a DAG."""
        self._content(self._send("PATCH", f"/api/v2/dags/{quote(dag_id)}", {"is_paused": False}))

    def trigger(self, dag_id: str, conf: dict[str, Any], logical_date: str | None = None) -> str:
        """Start a run, and return its id.

        Raises
        ------
        UsageError
            If Airflow rejects the params.
        """
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        run = f"manual__{now}_{secrets.token_hex(4)}"  # fixed, so that a retry starts no second run
        body = {"dag_run_id": run, "logical_date": logical_date, "conf": conf}
        answer = self._send("POST", f"/api/v2/dags/{quote(dag_id)}/dagRuns", body)
        if answer.status_code == 409 and self._send("GET", _run(dag_id, run)).is_success:
            return run
        if answer.status_code in (400, 409, 422):
            raise UsageError(f"Airflow rejects the run: {_reason(answer)}")
        return str(self._content(answer)["dag_run_id"])

    def state(self, dag_id: str, run: str) -> str:
        """Return the state of a run."""
        return str(self._content(self._send("GET", _run(dag_id, run)))["state"])

    def tasks(self, dag_id: str, run: str) -> list[dict[str, Any]]:
        """Return the task instances of a run."""
        found: list[dict[str, Any]] = []
        while True:
            page = f"limit={_PAGE}&offset={len(found)}&order_by=id"
            listed = self._content(self._send("GET", f"{_run(dag_id, run)}/taskInstances?{page}"))
            found += listed["task_instances"]
            if not listed["task_instances"] or len(found) >= listed["total_entries"]:
                return found

    def message(self, dag_id: str, run: str, task: str, map_index: int = -1) -> Any:
        """Return what a task, or one of a mapped task, passed on, or None."""
        path = f"{_run(dag_id, run)}/taskInstances/{quote(task)}/xcomEntries/return_value"
        answer = self._send("GET", f"{path}?stringify=false&map_index={map_index}")
        return self._content(answer)["value"] if answer.status_code != 404 else None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        import httpx
        import tenacity

        repeated = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda answer: answer.status_code >= 500),
            stop=tenacity.stop_after_delay(_TRIED_FOR_S),
            wait=tenacity.wait_exponential(max=4),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        try:
            answer: httpx.Response = repeated(self._client.request, method, path, json=body)
            return answer
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(
                f"Airflow at {self.address} does not answer: {error}",
                "start it with: baton airflow up; or use another: --address ADDRESS",
            ) from error

    def _content(self, answer: httpx.Response) -> dict[str, Any]:
        if not answer.is_success:
            raise Unavailable(
                f"Airflow at {self.address} answered {answer.status_code}: {_reason(answer)}",
                "check the login's permissions and the server's log",
            )
        return dict(answer.json())


def _run(dag_id: str, run: str) -> str:
    return f"/api/v2/dags/{quote(dag_id)}/dagRuns/{quote(run)}"


def _reason(answer: httpx.Response) -> str:
    try:
        said = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        said = answer.text
    return str(said).strip()[:300]
