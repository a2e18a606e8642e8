"""Run only what is stale, as make does: a target, and what it needs.

Lesson: what has run is remembered by its code, parameters and inputs.  Run twice and nothing happens;
change the month, a parameter or a line of code, and only what depends on it runs.

    python make_pipeline.py validate             up to the gate, without deploying
    python make_pipeline.py deploy --max-depth 8 another model from the features that are there
"""

from scripts import Asked, run_script

from baton import api
from baton.core.outcome import RunReport


def make(asked: Asked) -> RunReport:
    """Run the targets that are out of date, at most `asked.jobs` tasks at once."""
    return api.run(
        asked.project,
        asked.targets,
        engine="make",
        jobs=asked.jobs,
        forced=asked.forced,
        report=asked.report,
    )


if __name__ == "__main__":
    run_script(__doc__, make, like_make=True)
