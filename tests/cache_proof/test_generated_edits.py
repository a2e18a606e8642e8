"""No result is ever stale: thousands of edits of generated projects, each compared with a run in a new store.

What was found is told; a seed that fails gives the same projects and edits again.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cache_proof.catalogue import catalogue
from tests.cache_proof.forked import Forks
from tests.cache_proof.trials import Findings, Trial

EDITS_PER_PROJECT = 10


def findings(
    folder: Path,
    seed: str,
    projects: int,
    *,
    engine: str = "simple",
    afresh: bool = False,
    side_by_side: int = 1,
) -> Findings:
    """Try edits of several projects."""
    blocks = catalogue()

    def of_some(first: int) -> Findings:
        found = Findings()
        with Forks() as forks:
            for number in range(first, projects, side_by_side):
                place = folder / f"project-{number}"
                trial = Trial(f"{seed}-{number}", blocks, forks, place, engine=engine, afresh=afresh)
                found.add(trial.findings(EDITS_PER_PROJECT))
        return found

    found = Findings()
    with ThreadPoolExecutor(side_by_side) as pool:
        for one in pool.map(of_some, range(side_by_side)):
            found.add(one)
    return found


def check(found: Findings, capsys: pytest.CaptureFixture[str], *, least: int) -> None:
    """Tell what was found; it proves something only where most edits change a result."""
    with capsys.disabled():
        print(f"\n{found}")  # noqa: T201  # the figures are what this test is for
    assert found.stale == [], "\n\n".join(found.stale)
    assert found.edits >= least
    assert found.effective > 0.6 * found.edits
    assert found.spurious < 0.6 * found.unchanged


def test_no_result_is_stale_after_some_edits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(findings(tmp_path, "few", 4), capsys, least=40)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_no_result_is_stale_after_two_thousand_edits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(findings(tmp_path, "many", 205, side_by_side=2), capsys, least=2000)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("engine", "projects"), [("simple", 10), ("make", 5)])
def test_no_result_is_stale_where_each_run_is_a_process_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], engine: str, projects: int
) -> None:
    check(
        findings(tmp_path, f"afresh-{engine}", projects, engine=engine, afresh=True),
        capsys,
        least=10 * projects,
    )
