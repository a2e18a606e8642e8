"""The benchmarks measure what they say; nothing here asks how fast baton is."""

import datetime
import json
import sys

import polars as pl
import pytest

from benchmarks import __main__ as program
from benchmarks import sweep, window
from benchmarks.baton_chain import changed_stages
from benchmarks.empty_pipelines import write_pipeline
from benchmarks.measure import Command, CommandFailed, Measured, Run, alternate, ratios, run_once, script
from benchmarks.overhead import ms_per_task
from benchmarks.prefect_overhead import added_ms
from benchmarks.rebuild import Built, built_baton_chain, change_section
from benchmarks.report import Figure, Machine, Section, as_json, as_markdown
from benchmarks.scale import STAGES, Size, Stage, growth, require_only, scale_section
from benchmarks.store import measure_bytes, plans, tasks_to_run
from benchmarks.whole_run import (
    MONTHS,
    baton_rmse,
    commands,
    require_same_rmse,
    task_seconds,
    usual_rmse,
    write_sample_months,
)

MACHINE = Machine(
    date="2026-01-31",
    cpu="a processor",
    cores=2,
    memory_gib=8.0,
    load=(0.25, 3.5),
    system="Linux x86_64",
    python="3.11.7",
    packages={"xgboost": "3.2.0"},
)


def python(text, *, name="python", prepare=None):
    words = (sys.executable, "-I", "-S", "-c", text)
    return Command(name, words) if prepare is None else Command(name, words, prepare)


def quiet(line):
    """Take progress and show nothing."""


def section(*figures):
    return Section("A title", "An explanation.", figures, ("A note.",))


def baton_run(rmse, **seconds):
    tasks = [{"task": name, "duration_s": duration} for name, duration in seconds.items()]
    return Run(1.0, 1.0, 1.0, json.dumps({"facts": {"RMSE": rmse}, "tasks": tasks, "duration_s": 0.5}))


def test_time_and_memory_of_a_command_are_seen():
    run = run_once(python("import time; block = bytearray(50 * 1024**2); time.sleep(0.05)"))
    assert 0.05 <= run.wall_s < 5
    assert 50 <= run.peak_mib < 100


def test_memory_of_the_measuring_process_is_not_the_command_s():
    block = bytearray(150 * 1024**2)
    run = run_once(python("pass"))
    assert run.peak_mib < 50 < len(block)


def test_memory_of_one_command_does_not_stay_for_the_next():
    large, small = python("bytearray(100 * 1024**2)", name="large"), python("pass", name="small")
    measured = alternate([large, small], 2, quiet)
    assert min(measured["large"].peak_mib) > 100
    assert max(measured["small"].peak_mib) < 50


def test_cpu_time_is_work_and_not_sleep():
    asleep = run_once(python("import time; time.sleep(0.3)"))
    at_work = run_once(python("import time\nwhile time.process_time() < 0.3: pass"))
    assert asleep.cpu_s < 0.2 < at_work.cpu_s


def test_work_and_memory_of_a_child_count():
    child = "import time; block = bytearray(60 * 1024**2)\nwhile time.process_time() < 0.2: pass"
    run = run_once(python(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"))
    assert run.cpu_s >= 0.2
    assert run.peak_mib > 60


def test_memory_together_is_that_of_parent_and_child():
    hold = "import time; block = bytearray(60 * 1024**2); time.sleep(0.6)"
    parent = f"import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', {hold!r}]); {hold}"
    measured = alternate([python(parent + "; child.wait()")], 1, quiet)["python"]
    assert max(measured.peak_mib) < 100
    assert measured.together_mib > 120


def test_commands_take_turns_after_one_warm_up_each(tmp_path):
    def command(name):
        text = f"open({str(tmp_path / 'order')!r}, 'a').write({name!r})"
        return python(text, name=name)

    measured = alternate([command("A"), command("B")], 3, quiet)
    assert (tmp_path / "order").read_text() == "AB" + "ABABAB"
    assert [len(found.runs) for found in measured.values()] == [3, 3]


def test_each_run_has_a_new_empty_folder():
    text = "import os; print(os.listdir()); open('left behind', 'w')"
    (measured,) = alternate([python(text)], 2, quiet).values()
    assert [run.stdout for run in measured.runs] == ["[]\n", "[]\n"]


def test_a_folder_is_prepared_before_the_run():
    run = run_once(python("import os; print(os.listdir())", prepare=lambda f: write_pipeline(f, "chain", 1)))
    assert run.stdout == "['empty.py']\n"


def test_the_machine_s_settings_do_not_reach_the_commands(monkeypatch):
    monkeypatch.setenv("BATON_MAX_DEPTH", "2")
    run = run_once(python("import os; print([name for name in os.environ if name.startswith('BATON_')])"))
    assert run.stdout == "[]\n"


def test_a_failing_command_is_told_with_its_stderr():
    with pytest.raises(CommandFailed, match=r"(?s)ended with code 3:.*no such luck"):
        run_once(python("import sys; print('no such luck', file=sys.stderr); sys.exit(3)"))


def test_ratios_are_taken_pair_by_pair():
    assert ratios([1.0, 10.0, 3.0], [2.0, 20.0, 3.0]) == (0.5, 0.5, 1.0)
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("values", "verdict"),
    [((0.2, 0.3, 9.0), "met"), ((0.3,), "met"), ((0.2, 0.31, 0.32), "missed")],
    ids=["one slow run", "just met", "missed"],
)
def test_a_budget_is_judged_by_the_median(values, verdict):
    assert Figure("ratio", "", values, budget=0.3).verdict == verdict


def test_the_page_marks_a_missed_budget():
    page = as_markdown({"one": section(Figure("slow", "s", (2.0, 3.0, 4.0), 1.5))}, MACHINE, "a command")
    assert "| slow | 3.00 s (2.00 to 4.00) | at most 1.5 s | **missed** |" in page
    assert page.startswith("<!-- Generated by `a command`")


def test_the_page_tells_machine_date_versions_and_notes():
    page = as_markdown({"one": section(Figure("wall time", "s", (1.0,)))}, MACHINE, "a command")
    for told in (
        "2026-01-31",
        "a processor, 2 cores",
        "8 GiB",
        "0.25 and 3.50",
        "Python 3.11.7",
        "xgboost 3.2.0",
        "A note.",
    ):
        assert told in page


def test_the_json_holds_every_value_and_the_verdict():
    figures = (Figure("slow", "s", (2.0, 3.0, 4.0), 1.5), Figure("free", "MiB", (1.0,)))
    found = json.loads(json.dumps(as_json({"one": section(*figures)}, MACHINE)))
    assert found["machine"]["packages"] == {"xgboost": "3.2.0"}
    slow, free = found["benchmarks"]["one"]["figures"]
    assert (slow["median"], slow["min"], slow["max"], slow["values"]) == (3.0, 2.0, 4.0, [2.0, 3.0, 4.0])
    assert (slow["verdict"], free["verdict"]) == ("missed", None)


def test_this_machine_is_described():
    machine = Machine.here()
    assert datetime.date.fromisoformat(machine.date)
    assert machine.cores >= 1
    assert machine.packages["xgboost"]


def test_the_program_writes_both_files_and_names_missed_budgets(tmp_path, monkeypatch, capsys):
    found = section(Figure("slow", "s", (2.0,), 1.5))
    monkeypatch.setitem(program.BENCHMARKS, "startup", lambda runs, tell: found)
    page, figures = tmp_path / "page.md", tmp_path / "figures.json"
    assert program.main(["startup", "--runs", "2", "--markdown", str(page), "--json", str(figures)]) == 0
    assert "generated by `python -m benchmarks startup --runs 2`" in page.read_text()
    assert list(json.loads(figures.read_text())["benchmarks"]) == ["startup"]
    assert "budget missed: slow" in capsys.readouterr().err


def test_the_program_stops_at_a_failing_command(monkeypatch, capsys):
    def fail(runs, tell):
        raise CommandFailed("no such luck")

    monkeypatch.setitem(program.BENCHMARKS, "startup", fail)
    assert program.main(["startup"]) == 1
    assert "no such luck" in capsys.readouterr().err


def test_an_unknown_benchmark_is_refused(capsys):
    with pytest.raises(SystemExit):
        program.main(["starup"])
    assert "there is no benchmark 'starup'" in capsys.readouterr().err


@pytest.mark.parametrize("shape", ["chain", "fan-out"])
def test_empty_pipelines_run(shape):
    words = (script("baton"), "run", "--json", "--pipeline", "empty:dag")
    run = run_once(Command("baton", words, lambda folder: write_pipeline(folder, shape, 3)))
    assert [task["outcome"] for task in json.loads(run.stdout)["tasks"]] == ["succeeded"] * 3


def test_milliseconds_are_shared_among_the_tasks():
    assert ms_per_task(Measured((baton_run("1.0"),), 0.0), 10) == (50.0,)


def test_what_baton_adds_is_the_difference_of_the_flows():
    with_baton, alone = (
        Measured((baton_run("1.0"),), 0.0),
        Measured((Run(9.0, 1.0, 1.0, '{"duration_s": 0.1}'),), 0.0),
    )
    assert added_ms(with_baton, alone) == pytest.approx((400 / 64,))


def test_seconds_of_tasks_come_from_every_run():
    runs = (baton_run("1.0", train=2.0, deploy=0.5), baton_run("1.0", train=3.0, deploy=0.25))
    assert task_seconds(Measured(runs, 0.0)) == {"train": (2.0, 3.0), "deploy": (0.5, 0.25)}


def test_different_models_are_not_compared():
    usual = Measured(
        (Run(1.0, 1.0, 1.0, "shapes\nModel trained successfully. RMSE: 6.6077\nMLflow run_id: 1\n"),), 0.0
    )
    require_same_rmse(Measured((baton_run("6.6077"),), 0.0), usual)
    with pytest.raises(CommandFailed, match=r"6\.6077 and 6\.6078"):
        require_same_rmse(Measured((baton_run("6.6078"),), 0.0), usual)


@pytest.mark.long
def test_the_usual_way_gives_baton_s_rmse(tmp_path):
    """Both commands as they are measured, on a tenth of the generated months."""
    write_sample_months(tmp_path)
    for name in MONTHS:
        pl.read_parquet(tmp_path / name).gather_every(10).write_parquet(tmp_path / name)
    baton, usual = (run_once(command) for command in commands(tmp_path))
    assert baton_rmse(baton.stdout) == usual_rmse(usual.stdout)


def test_a_command_gets_its_own_variables():
    words = (sys.executable, "-I", "-S", "-c", "import os; print(os.environ['AIRFLOW_HOME'])")
    assert run_once(Command("python", words, variables=(("AIRFLOW_HOME", "there"),))).stdout == "there\n"


def test_every_run_of_a_change_has_another_value_and_runs_the_middle_stage_and_all_after_it(tmp_path):
    chain = built_baton_chain(tmp_path)
    found = change_section([chain], 2, quiet)
    assert [len(figure.values) for figure in found.figures] == [2, 2]
    assert len(changed_stages()) == 5
    values = [json.loads((tmp_path / "chain" / "orchestration_config.json").read_text())["middle"]]
    assert values == ["v3"]  # after one warm-up and two runs


def test_a_tool_that_does_not_take_up_the_change_is_not_reported(tmp_path):
    chain = built_baton_chain(tmp_path)
    deaf = Built(chain.name, chain.command, lambda folder, number: None, chain.require)
    with pytest.raises(CommandFailed, match="were to be run"):
        change_section([deaf], 1, quiet)


def test_each_stage_is_measured_alone_and_in_both_encodings():
    size = Size("few", 1, 1, ("categorical", "onehot"))
    found = scale_section([size], 1, quiet)
    shown = [figure.what for figure in found.figures if figure.what.startswith("peak memory")]
    stages = [*STAGES, "features --encoding onehot", "train --encoding onehot"]
    whole = ["run train --engine simple", "run train --engine make"]
    assert shown == [f"peak memory, `{stage}`, few" for stage in (*whole, *stages)]
    assert min(value for figure in found.figures for value in figure.values) > 0


def test_a_stage_that_took_others_along_is_not_reported():
    tasks = [{"task": name, "outcome": "succeeded"} for name in ("features", "train")]
    with pytest.raises(CommandFailed, match="ran features, train"):
        require_only("train", json.dumps({"tasks": tasks}))
    with pytest.raises(CommandFailed, match="ran nothing"):
        require_only("train", json.dumps({"tasks": []}))


def test_growth_is_of_the_peak_for_each_million_rows_more():
    small = Stage("train", "few", 1.0, [Run(1.0, 1.0, 300.0)])
    large = Stage("train", "many", 3.0, [Run(1.0, 1.0, 500.0)])
    (grown,) = growth([small, large])
    assert grown.values == (100.0,)


def test_a_window_moves_by_one_month_in_every_run(tmp_path):
    found = window.window_section(tmp_path, [window.baton_tool()], 1, 1, quiet)
    assert [figure.unit for figure in found.figures] == ["s", "s"]
    settings = json.loads((tmp_path / "0" / "orchestration_config.json").read_text())["data"]
    assert (settings["month"], settings["train_months"]) == (3, 1)  # after the first build, a warm-up, a run


def test_the_stages_of_other_tools_train_baton_s_model(tmp_path):
    names = window.write_months(tmp_path / "months", 2)
    (tmp_path / window.STAGES.name).symlink_to(window.STAGES)
    for words in (("transform", names[0]), ("transform", names[1]), ("train", "2", *names)):
        run_once(Command("stage", (sys.executable, window.STAGES.name, *words), folder=tmp_path))
    history = json.loads((tmp_path / window.RESULT).read_text())
    assert [len(errors) for errors in history.values()] == [2, 2]


def test_other_errors_of_a_sweep_are_not_compared():
    own = Run(1.0, 1.0, 1.0, json.dumps({"trials": [{"value": 6.60771}, {"value": 7.0}]}))
    sweep.require_same_errors(own, Run(1.0, 1.0, 1.0, "RMSE: 6.6077\nRMSE: 7.0000\n"))
    with pytest.raises(CommandFailed, match="different models"):
        sweep.require_same_errors(own, Run(1.0, 1.0, 1.0, "RMSE: 6.6078\nRMSE: 7.0000\n"))


def test_bytes_are_measured_beside_a_plain_copy_and_digest():
    seconds = measure_bytes(1, 2, quiet)
    assert list(seconds) == ["plain copy", "plain SHA-256", "`put`", "`get`", "`verify`"]
    assert {len(found) for found in seconds.values()} == {2}


def test_a_plan_among_other_keys_finds_everything_cached(tmp_path):
    few, many = plans(tmp_path, 20, quiet)
    assert tasks_to_run(run_once(many).stdout) == tasks_to_run(run_once(few).stdout) == []
    entries = [len(list((one.folder / ".baton/store/index").rglob("*.json"))) for one in (few, many)]
    assert entries[1] == entries[0] + 20
