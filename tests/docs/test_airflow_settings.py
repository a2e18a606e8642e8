"""The page on Airflow names settings that Airflow has."""

import os
import re
import subprocess
import sys
from pathlib import Path

from baton.engines.airflow.environment import environment

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "airflow.md"
# Its provider is not among our extras; these were read in its release 10.25.0.
OF_KUBERNETES = {"KUBERNETES_EXECUTOR__POD_TEMPLATE_FILE", "KUBERNETES_EXECUTOR__NAMESPACE"}

KNOWN = """
import sys
from airflow.configuration import conf
from airflow.utils.providers_configuration_loader import providers_configuration_loaded

@providers_configuration_loaded
def unknown(names):
    for name in names:
        section, _, option = name.lower().partition("__")
        known = (conf.configuration_description.get(section) or {}).get("options", {})
        if option not in known and section != "celery_broker_transport_options":
            yield name

print(*unknown(sys.argv[1:]))
"""


def test_every_setting_is_one_of_the_installed_airflow(tmp_path):
    named = set(re.findall(r"AIRFLOW__(\w+)", PAGE.read_text(encoding="utf-8")))
    assert len(named) > 10
    assert named >= OF_KUBERNETES
    asked = sorted(named - OF_KUBERNETES)
    ended = subprocess.run(
        [sys.executable, "-c", KNOWN, *asked],
        env=environment(tmp_path, os.environ),
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == ""
