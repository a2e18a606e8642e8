"""Run the trip duration pipeline as an Airflow DAG.

Lesson: one file, two lives.  As a script it runs the DAG in Airflow's test runner, without a server.
Copied to $AIRFLOW_HOME/dags it is the file of the DAG; the project is then the folder that BATON_PROJECT
names, or the one where the file lies.

    python airflow_pipeline.py
    cp airflow_pipeline.py $AIRFLOW_HOME/dags/
"""

import os
from pathlib import Path

from scripts import Asked, run_script

from baton import api
from baton.core.outcome import RunReport


def run_dag(asked: Asked) -> RunReport:
    """Run the DAG here, in a process of its own."""
    return api.run(asked.project, engine="airflow", forced=asked.forced, report=asked.report)


if __name__ == "__main__":
    run_script(__doc__, run_dag)
else:
    from baton.engines.airflow.dag import airflow_dag

    dag = airflow_dag(Path(os.environ.get("BATON_PROJECT", Path(__file__).parent)).absolute())
