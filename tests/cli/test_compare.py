"""Comparing engines: what each cost, whether all made the same, and what differs first."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import psutil
import pytest

from baton.comparison.markdown import BEGIN, END
from baton.comparison.result import longest_chain_s
from baton.engines.find import engine_names
from baton.testing import pipelines
from tests.conftest import BATON, Command, Ended

DIAMOND = ("--pipeline", "baton.testing.pipelines:diamond")
BOTH = ("--engine", "simple", "--engine", "make")
HOSTILE = "<script>alert('x')</script>|`*"
RMSE = 6.607733723268311


def by_engine(ended: Ended) -> dict[str, dict[str, Any]]:
    return {one["engine"]: one for one in json.loads(ended.stdout)["engines"]}


def write_pipeline(folder: Path, body: str, *, headline: str = "") -> tuple[str, str]:
    """Write a pipeline of the tasks ``first``, ``second`` and the effect ``told``; return how to name it."""
    (folder / "own.py").write_text(
        "import time\n"
        "from baton import Dag, Json, TaskContext, TaskError, task\n"
        "@task\n"
        "def first() -> Json:\n    return 1\n"
        f"{body}\n"
        "dag = Dag('own', [first, second, told]" + (f", headline={headline!r}" if headline else "") + ")\n"
    )
    return ("--pipeline", "own:dag")


SAME = "@task\ndef second(first: Json) -> Json:\n    return first + 1\n"
DIFFERENT = "@task\ndef second(first: Json) -> Json:\n    return time.time_ns()\n"
TOLD = "@task(effect=True)\ndef told(second: Json, context: TaskContext) -> None:\n"
QUIET = TOLD + "    context.log('done')\n"
FAILS_ON_SIMPLE = (
    TOLD + "    if context.provenance.engine == 'simple':\n        raise TaskError('no, not here', 'go on')\n"
)


def test_every_usable_engine_runs_from_nothing_and_makes_the_same(baton: Command, tmp_path: Path) -> None:
    ended = baton("compare", *DIAMOND, *BOTH)
    assert ended.code == 0, ended.stderr
    rows = {line[:14].strip(): line[14:].split() for line in ended.stdout.splitlines()}
    assert rows["engine"] == ["simple", "make"]
    assert rows["ended"] == ["succeeded", "succeeded"]
    assert rows["run / cached"] == ["5", "/", "0", "5", "/", "0"]
    assert ended.stdout.splitlines()[-1] == "identical: 5 artifacts on simple, make"
    assert "$ baton run --engine=simple --no-cache" in ended.stderr
    assert not (tmp_path / ".baton" / "compare").exists()


def test_by_default_every_engine_is_run_or_said_to_be_left_out(
    baton: Command, tmp_path: Path, prefect_server: str
) -> None:
    own = write_pipeline(tmp_path, SAME + QUIET)
    found = json.loads(baton("compare", "-q", "--json", *own, PREFECT_API_URL=prefect_server).stdout)
    assert found["identical"]
    told = [one["engine"] for one in (*found["engines"], *found["unusable"])]
    assert sorted(told) == sorted(engine_names())
    assert all(one["reason"] for one in found["unusable"])


def test_an_engine_asked_for_that_cannot_be_used_exits_before_anything_runs(
    baton: Command, tmp_path: Path
) -> None:
    ended = baton("compare", *DIAMOND, "--engine", "simple", "--engine", "smiple")
    assert ended.code == 2
    assert "engine 'smiple' does not exist; did you mean 'simple'?" in ended.stderr
    assert not (tmp_path / ".baton").exists()


def test_json_holds_every_figure(baton: Command) -> None:
    found = baton("compare", *DIAMOND, *BOTH, "--json", "-q")
    whole, engines = json.loads(found.stdout), by_engine(found)
    assert (whole["succeeded"], whole["identical"], whole["first_difference"]) == (True, True, None)
    assert list(engines) == ["simple", "make"]
    for one in engines.values():
        assert one["run"] == 5
        assert one["cached"] == 0
        assert list(one["artifacts"]) == ["source", "left", "right", "joined", "count"]
        assert one["facts"] == {"joined": "[2, 11]"}
        assert 0 < one["longest_chain_s"] <= one["in_tasks_s"] + 0.001
        assert one["overhead_s"] == pytest.approx(one["wall_s"] - one["longest_chain_s"], abs=0.002)
    assert engines["simple"]["artifacts"] == engines["make"]["artifacts"]
    assert found.stderr == ""


def test_shared_lets_the_next_engine_take_what_is_there(baton: Command) -> None:
    engines = by_engine(baton("compare", *DIAMOND, *BOTH, "--shared", "--json"))
    assert (engines["simple"]["run"], engines["simple"]["cached"]) == (5, 0)
    assert (engines["make"]["run"], engines["make"]["cached"]) == (0, 5), (
        "its effect was done in the same effect scope"
    )
    again = by_engine(baton("compare", *DIAMOND, *BOTH, "--shared", "--json"))
    assert (again["simple"]["run"], again["simple"]["cached"]) == (1, 4)


def test_the_project_can_go_on_after_a_comparison(baton: Command) -> None:
    tracked = ("--pipeline", "baton.testing.pipelines:tracked")
    compared = by_engine(baton("compare", *tracked, *BOTH, "--json"))
    assert len({one["tracking_run_id"] for one in compared.values()}) == 2
    assert [one["experiment"] for one in compared.values()] == ["tracked-simple", "tracked-make"]
    assert baton("run", "--engine", "make", *tracked).code == 0
    assert baton("run", "--engine", "make", *tracked).stderr.count("cached") == 6


def test_the_first_artifact_that_differs_is_named_and_kept(baton: Command, tmp_path: Path) -> None:
    own = write_pipeline(tmp_path, DIFFERENT + QUIET)
    ended = baton("compare", *own, *BOTH)
    assert ended.code == 1
    last = ended.stdout.splitlines()[-1]
    pattern = (
        r"different: first 'second', made by task 'second': [0-9a-f]{12} on simple, [0-9a-f]{12} on make"
    )
    assert re.fullmatch(pattern, last)
    kept = re.findall(r"^  \w+: (\S+)$", ended.stderr, re.MULTILINE)
    assert len(kept) == 2
    digests = re.findall(r"[0-9a-f]{12}", last)
    for store, digest in zip(kept, digests, strict=True):
        (found,) = (tmp_path / store / "objects" / digest[:2]).glob(f"{digest}*")
        assert json.loads(found.read_bytes()) > 1


@pytest.mark.fault(
    "kill -9 on `baton compare`", "what it started ends; the next one removes the stores that it left"
)
def test_a_comparison_that_was_killed_leaves_nothing_for_long(baton: Command, tmp_path: Path) -> None:
    nap = "    (context.project / 'asleep').touch()\n    time.sleep(30)\n"
    own = write_pipeline(tmp_path, SAME + TOLD + nap)
    killed = subprocess.Popen([*BATON, "compare", *own, *BOTH], cwd=tmp_path, stderr=subprocess.PIPE)
    while not (tmp_path / "asleep").exists():
        assert killed.poll() is None
        time.sleep(0.02)
    kept = tmp_path / ".baton" / "compare"
    (running,) = psutil.Process(killed.pid).children()
    killed.kill()
    killed.communicate(timeout=10)
    assert psutil.wait_procs([running], timeout=10)[1] == []
    assert len([path for path in kept.iterdir() if path.is_dir()]) == 2
    write_pipeline(tmp_path, SAME + QUIET)
    assert baton("compare", *own, *BOTH).code == 0
    assert not kept.exists()


def test_a_failing_engine_stops_no_other_and_is_resumed_as_told(baton: Command, tmp_path: Path) -> None:
    own = write_pipeline(tmp_path, SAME + FAILS_ON_SIMPLE)
    ended = baton("compare", *own, *BOTH)
    assert ended.code == 1
    assert re.search(r"^ended +failed: told +succeeded$", ended.stdout, re.MULTILINE)
    assert "error: simple: task 'told' failed: no, not here" in ended.stderr
    command = ended.stderr.rsplit("resume: baton ", 1)[1].split()
    write_pipeline(tmp_path, SAME + QUIET)
    resumed = baton(*command)
    assert resumed.code == 0, resumed.stderr
    assert "first   cached" in resumed.stderr
    assert "on simple" in resumed.stderr


def test_a_project_elsewhere_is_compared_and_resumed_from_here(baton: Command, tmp_path: Path) -> None:
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    own = write_pipeline(elsewhere, SAME + FAILS_ON_SIMPLE)
    ended = baton("compare", "-C", "else where", *own, *BOTH, "--markdown", "page.md")
    assert ended.code == 1
    assert (elsewhere / "page.md").exists()
    told = [shlex.split(line) for line in re.findall(r"resume: baton (.*)", ended.stderr)]
    write_pipeline(elsewhere, SAME + QUIET)
    assert len(told) == 2
    for words in told:
        assert baton(*words).code == 0


def test_an_engine_that_dies_is_told_of_and_the_rest_run(baton: Command, tmp_path: Path) -> None:
    body = (
        SAME
        + TOLD
        + ("    import os\n    if context.provenance.engine == 'simple':\n        os.kill(os.getpid(), 9)\n")
    )
    found = by_engine(baton("compare", *write_pipeline(tmp_path, body), *BOTH, "--json"))
    assert found["simple"]["exit_code"] == -9
    assert found["simple"]["failure"] == "the command ended with exit code -9"
    assert found["make"]["succeeded"] is True


def test_one_engine_alone_compares_nothing_and_is_no_failure(baton: Command) -> None:
    ended = baton("compare", *DIAMOND, "--engine", "simple")
    assert ended.code == 0
    assert "nothing to compare: only simple finished" in ended.stdout


def test_options_reach_every_engine(baton: Command) -> None:
    ended = baton("compare", "left", *DIAMOND, *BOTH, "--start=-3", "--factor", "5", "--json")
    for one in by_engine(ended).values():
        assert list(one["artifacts"]) == ["source", "left"]
        assert "--start=-3" in one["command"]
    simple = baton("run", "left", *DIAMOND, "--start=-3", "--factor", "5", "--json")
    made = {
        name: fields["digest"]
        for task in json.loads(simple.stdout)["tasks"]
        for name, fields in task["outputs"].items()
    }
    assert by_engine(ended)["make"]["artifacts"] == made


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--store", "elsewhere"), "--store would have no effect"),
        (("--html", "no/where.html"), "the folder of no/where.html does not exist"),
        (("--markdown", "no/where.md"), "the folder of no/where.md does not exist"),
        (("--markdown", "taken.md"), "taken.md has no place for the figures"),
        (("nothing",), "has no target 'nothing'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_told_before_anything_runs(
    baton: Command, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    (tmp_path / "taken.md").write_text("# a page\n")
    ended = baton("compare", *DIAMOND, *BOTH, *arguments)
    assert ended.code == 2
    assert told in ended.stderr
    assert "hint: " in ended.stderr
    assert not (tmp_path / ".baton" / "runs").exists()
    assert (tmp_path / "taken.md").read_text() == "# a page\n"


def test_a_server_that_is_down_exits_4_before_anything_runs(baton: Command, tmp_path: Path) -> None:
    ended = baton(
        *("compare", "--pipeline", "baton.testing.pipelines:tracked", *BOTH),
        *("--tracking-uri", "http://me:secret@127.0.0.1:1"),
    )
    assert ended.code == 4
    assert "secret" not in ended.stdout + ended.stderr
    assert not (tmp_path / ".baton" / "runs").exists()


def test_the_markdown_part_is_written_between_its_marks_and_nothing_else_changes(
    baton: Command, tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Before\n\n{BEGIN}\nold\n{END}\n\nafter\n")
    words = ("compare", *DIAMOND, *BOTH, "--markdown", "page.md")
    assert baton(*words).code == 0
    text = page.read_text()
    assert text.startswith(f"# Before\n\n{BEGIN}\n")
    assert text.endswith(f"{END}\n\nafter\n")
    assert "old" not in text
    assert "| engine | simple | make |" in text
    assert "| joined | \\[2, 11\\] | \\[2, 11\\] |" in text
    assert "Measured by `baton compare --pipeline baton.testing.pipelines:diamond" in text
    assert baton("compare", *DIAMOND, *BOTH, "--markdown", "new.md").code == 0
    assert (tmp_path / "new.md").read_text().startswith(BEGIN)


def test_the_figures_in_the_documentation_are_generated() -> None:
    page = Path(__file__).parents[2] / "docs" / "explanation" / "engines-compared.md"
    before, part = page.read_text(encoding="utf-8").split(BEGIN)
    part, after = part.split(END)
    assert part.strip().startswith("Measured by `baton compare ")
    assert "**identical: " in part
    assert not re.search(r"\d+\.\d", before + after)


class Cells(HTMLParser):
    """Collects the texts of table cells, and whatever could run."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.running: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "iframe", "link", "img") or any(name.startswith("on") for name, _ in attrs):
            self.running.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_pages_take_no_name_as_markup(baton: Command, tmp_path: Path) -> None:
    body = SAME + TOLD + f"    context.fact({HOSTILE!r}, {HOSTILE!r})\n"
    own = write_pipeline(tmp_path, body, headline=HOSTILE)
    ended = baton("compare", *own, *BOTH, "--html", "page.html", "--markdown", "page.md")
    assert ended.code == 0, ended.stderr
    html = (tmp_path / "page.html").read_text()
    cells = Cells()
    cells.feed(html)
    assert cells.running == []
    assert cells.texts.count(HOSTILE) == 3
    assert "://" not in html
    row = next(line for line in (tmp_path / "page.md").read_text().splitlines() if "script" in line)
    assert "<" not in row
    assert len(re.findall(r"(?<!\\)\|", row)) == 4


def test_the_page_shows_what_differs_and_what_failed(baton: Command, tmp_path: Path) -> None:
    own = write_pipeline(tmp_path, DIFFERENT + FAILS_ON_SIMPLE)
    assert baton("compare", *own, *BOTH, "--html", "page.html").code == 1
    cells = Cells()
    cells.feed((tmp_path / "page.html").read_text())
    text = " ".join(cells.texts)
    assert "different: first 'second'" in text
    assert "simple: task 'told' failed: no, not here" in text


def test_a_termination_ends_the_engine_that_runs(tmp_path: Path, environment: None) -> None:
    process = subprocess.Popen(
        [*BATON, "compare", "--pipeline", "baton.testing.pipelines:naps", "--nap-s", "60", *BOTH],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    runs = tmp_path / ".baton" / "runs"
    while not (runs.exists() and list(runs.glob("*.json"))):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143
    (record,) = [json.loads(path.read_text()) for path in runs.glob("*.json")]
    assert record["state"] == "interrupted"
    assert not Path(f"/proc/{record['process']}").exists()
    assert not (tmp_path / ".baton" / "compare").exists()


def test_the_longest_chain_waits_for_first_tasks_and_holds_up_last_ones() -> None:
    durations_s = {"prepare": 1.0, "source": 2.0, "left": 3.0, "right": 5.0, "join": 1.0, "tidy": 2.0}
    assert longest_chain_s(pipelines.positioned, durations_s) == 1 + 2 + 5 + 1 + 0 + 2
    assert longest_chain_s(pipelines.naps, {"nap_one": 2.0, "nap_two": 3.0}) == 3


@pytest.mark.long
@pytest.mark.timeout(280)
def test_real_months_give_one_model_on_every_engine_with_all_digits_of_the_reference(
    baton: Command, real_data: Path
) -> None:
    ended = baton(
        *("compare", "--year", 2021, "--month", 1, "--source", real_data, "--json", "-q"),
    )
    assert ended.code == 0, ended.stderr
    engines = by_engine(ended)
    for one in engines.values():
        assert one["metrics"]["rmse"] == RMSE
        assert one["headline"] == {"RMSE": repr(RMSE)}
        assert one["facts"]["Training features shape"] == "(73908, 13221)"
    assert len({one["facts"]["Model digest"] for one in engines.values()}) == 1
    assert len({one["tracking_run_id"] for one in engines.values()}) == len(engines)
    assert len({one["experiment"] for one in engines.values()}) == len(engines)
