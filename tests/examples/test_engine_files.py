"""What Airflow and Prefect load: the scripts as a DAG file and as the entry point of a flow."""

from __future__ import annotations

import re
import shutil

import pytest

from tests.examples.conftest import Copy, require_engine

LOAD_DAGS = """
import sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder=sys.argv[1], collect_dags=True)
assert not bag.import_errors, bag.import_errors
print({name: sorted(task.task_id for task in dag.tasks) for name, dag in bag.dags.items()})
"""


def test_the_airflow_script_is_a_dag_file_in_the_dags_folder(copy: Copy) -> None:
    require_engine("airflow")
    dags = copy.folder / "home/dags"
    dags.mkdir(parents=True)
    shutil.move(copy.folder / "airflow_pipeline.py", dags)
    (copy.folder / "load.py").write_text(LOAD_DAGS)
    ended = copy.type(
        f"airflow db migrate > migrated.txt 2>&1 && python load.py {dags}",
        AIRFLOW_HOME=str(dags.parent),
        BATON_PROJECT=str(copy.folder),
    )
    assert ended.code == 0, ended.stdout + ended.stderr
    told = ended.stdout.splitlines()[-1]
    assert told.startswith("{'duration': [")
    for task in ("extract", "transform", "features", "train", "validate", "deploy"):
        assert f"'{task}'" in told


def test_the_prefect_script_has_the_flow_that_the_reference_names(copy: Copy) -> None:
    require_engine("prefect")
    load = (
        "from prefect.flows import load_flow_from_entrypoint as load; "
        "flow = load('prefect_pipeline.py:ml_pipeline_flow'); "
        "print(flow.name, sorted(flow.parameters.properties)[:2])"
    )
    ended = copy.type(f'python -c "{load}"', PREFECT_HOME=str(copy.folder / "prefect"))
    assert ended.code == 0, ended.stderr
    assert re.match(r"duration \['\w+', '\w+'\]", ended.stdout)


@pytest.mark.parametrize("name", ["airflow", "prefect"])
def test_a_script_shows_its_help_without_importing_its_engine(copy: Copy, name: str) -> None:
    ended = copy.type(f"python -X importtime {name}_pipeline.py --help")
    assert ended.code == 0
    assert "--tracking-server-host" in ended.stdout
    imported = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert "click" in imported
    assert not {module for module in imported if module.partition(".")[0] in ("airflow", "prefect", "mlflow")}
