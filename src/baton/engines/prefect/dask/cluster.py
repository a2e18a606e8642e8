"""A local Dask cluster for one run, in separate processes.

Dask's own local cluster would live in the flow's process: its workers import the user's script again, and
Ctrl-C kills them together with the flow, which then waits for them.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from baton.errors import Unavailable
from baton.processes.children import stop_group
from baton.processes.lifecycle import keep_stdin, keep_stdout

_STOP_WITHIN_S = 8.0


@contextmanager
def temporary_cluster(workers: int, log: Path) -> Iterator[str]:
    """Yield the address of the scheduler of a cluster on 127.0.0.1 that stops with the context.

    Parameters
    ----------
    workers : int
        Number of worker processes, each of which runs one task at a time.
    log : Path
        File for the output of the cluster and the tasks.

    Raises
    ------
    Unavailable
        If the cluster does not start.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "baton.engines.prefect.dask.cluster", str(workers), str(log.parent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = process.stdout.readline().decode().strip()
            if not address:
                raise Unavailable(
                    f"the Dask cluster of {workers} worker processes did not start", f"see {log}"
                )
            yield address
        finally:
            process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_WITHIN_S)
            stop_group(process, within_s=_STOP_WITHIN_S)
            process.stdout.close()


def main() -> None:
    """Run a cluster until standard input closes, which happens even if the parent is killed."""
    starter, answer = keep_stdin(), keep_stdout()
    import dask
    from distributed import LocalCluster

    # Dask would limit each worker's libraries to one thread; tasks know better how many to use.
    dask.config.set({"distributed.nanny.pre-spawn-environ": {}})
    with LocalCluster(
        n_workers=int(sys.argv[1]),
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        memory_limit=0,  # our own processes use the memory, which Dask does not see
        local_directory=sys.argv[2],
    ) as cluster:
        os.write(answer, f"{cluster.scheduler_address}\n".encode())
        while os.read(starter, 4096):
            pass


if __name__ == "__main__":
    main()
