"""Run the trip duration pipeline as a Prefect flow.

Lesson: the same declaration, another engine.  Each task becomes a task run of a flow, with Prefect's
states and pages; what another engine computed already is not computed again.

    python prefect_pipeline.py                            a flow run in this process
    prefect deploy prefect_pipeline.py:ml_pipeline_flow   a deployment on a server
"""

from pathlib import Path

from scripts import Asked, run_script

from baton import api
from baton.core.outcome import RunReport


def run_flow(asked: Asked) -> RunReport:
    """Run the flow here; without PREFECT_API_URL Prefect starts a temporary server for it."""
    return api.run(asked.project, engine="prefect", forced=asked.forced, report=asked.report)


if __name__ == "__main__":
    run_script(__doc__, run_flow)
else:
    from baton.engines.prefect.deployed import deployed_flow

    ml_pipeline_flow = deployed_flow(Path(__file__).parent)
