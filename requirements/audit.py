"""Ask the advisory database about the locked dependencies; say honestly what was not asked.

``pip-audit`` counts a package that the database does not know as passed, and has no database for use
without a network: where nothing was answered, nothing was audited.
"""

from __future__ import annotations

import json
import subprocess
import sys

command = [sys.argv[1], "tool", "run", "pip-audit==2.10.1", "--disable-pip", "--require-hashes"]
ended = subprocess.run(
    [*command, "--format", "json", "-r", "requirements/all.lock"],
    capture_output=True,
    text=True,
    check=False,
)
try:
    found = json.loads(ended.stdout)["dependencies"]
except (ValueError, KeyError):
    print(f"not audited: {(ended.stderr.strip().splitlines() or ['no answer'])[-1]}")
    sys.exit(0)
if all("skip_reason" in one for one in found):
    print(f"not audited: the advisory service answered for none of {len(found)} packages")
    sys.exit(0)
audited = [one for one in found if "skip_reason" not in one]
bad = [(one, flaw) for one in audited for flaw in one["vulns"]]
for one, flaw in bad:
    print(f"{one['name']} {one['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or '-'}")
print(f"audited {len(audited)} of {len(found)} packages, {len(bad)} known vulnerabilities")
sys.exit(1 if bad else 0)
