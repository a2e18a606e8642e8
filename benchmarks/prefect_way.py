"""An empty flow as a user of Prefect alone writes it: ``python prefect_way.py chain|fan-out TASKS``.

It prints how long the flow took, from its first line to its last, in seconds, as JSON.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE


@task(cache_policy=NO_CACHE, persist_result=False)
def empty() -> list[int]:
    return []


@flow(persist_result=False)
def empty_flow(shape: str, tasks: int) -> float:
    began = time.perf_counter()
    futures: list[Any] = []
    for number in range(tasks):
        upstream = [futures[number - 1 if shape == "chain" else 0]] if number else []
        named: Any = empty.with_options(name=f"task_{number}")
        futures.append(named.submit(wait_for=upstream))
    for future in futures:
        future.result()
    return time.perf_counter() - began


def main(shape: str, tasks: str) -> None:
    logging.disable(logging.CRITICAL)
    print(json.dumps({"duration_s": empty_flow(shape, int(tasks))}))


if __name__ == "__main__":
    main(*sys.argv[1:])
