"""Inputs from outside: files, folders and registered models, whose content is part of the key."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from baton import Dag, File, InputFile, InputFolder, InputModel, Json, Parameters, Registered, api, task
from baton.core.events import Event, TaskStarted
from baton.core.task import AnyTask
from baton.errors import InvalidPipeline, UsageError
from baton.runs.project import Project


class Inputs(Parameters, frozen=True):
    trips: InputFile = Path("trips.csv")
    notes: InputFolder = Path("notes")
    model: InputModel = Path("fares")


@task
def lines(trips: InputFile) -> Json:
    return trips.read_text(encoding="utf-8").splitlines()


@task
def names(notes: InputFolder) -> Json:
    return {path.relative_to(notes).as_posix(): path.read_text() for path in sorted(notes.rglob("*.txt"))}


@task
def files(fares: Registered["fares@champion"]) -> Json:  # noqa: F821, UP037  # the name of a model
    return sorted(path.name for path in fares.iterdir())


@task
def as_file(trips: File) -> Json:
    return trips.suffix


@task
def files_of(model: InputModel) -> Json:
    return sorted(path.name for path in model.iterdir())


csv = Dag("csv", [lines, as_file], parameters=Inputs)
folder = Dag("folder", [names], parameters=Inputs)
model = Dag("model", [files], parameters=Inputs)
named_model = Dag("named_model", [files_of], parameters=Inputs)
fixed = Dag("fixed", [lines.bind("other_lines", trips=Path("other.csv")), lines], parameters=Inputs)
prefixed = csv.under("a") + csv.under("b")


def opened(folder: Path, name: str, **options: object) -> Project:
    reference = f"tests.baton.store.test_external:{name}"
    return api.open_project(folder=folder, options={"pipeline": reference, **options}, environ={})


def run(folder: Path, name: str, **options: object) -> Any:
    report = api.run(opened(folder, name, **options), use_cache=True)
    assert report.is_good, report.tasks
    return report


def outcomes(folder: Path, name: str, **options: object) -> dict[str, str]:
    return {one.task: one.outcome.value for one in run(folder, name, **options).tasks}


def value(folder: Path, name: str, artifact: str, **options: object) -> Any:
    made = run(folder, name, **options).artifacts[artifact]
    return opened(folder, name).store.load(made, Json)


def plan(folder: Path, name: str, **options: object) -> dict[str, str]:
    return {one.task: one.reason for one in api.plan(opened(folder, name, **options)) if one.would_run}


def refused(folder: Path, name: str, **options: object) -> str:
    with pytest.raises(UsageError) as caught:
        api.run(opened(folder, name, **options))
    assert not (folder / ".baton" / "runs").exists()
    return f"{caught.value.message}; {caught.value.hint}"


def run_while(project: Project, task: str, change: Callable[[], object]) -> Any:
    """Run a DAG, with a change when a task has begun, after its inputs were looked at; return its failure."""

    def report(event: Event) -> None:
        if isinstance(event, TaskStarted) and event.task == task:
            change()

    return api.run(project, use_cache=True, report=report).of(task).failure


@pytest.fixture
def trips(tmp_path: Path) -> Path:
    path = tmp_path / "trips.csv"
    path.write_text("one\n")
    return path


class TestFile:
    def test_its_content_is_the_input_wherever_it_lies(self, tmp_path, trips):
        assert outcomes(tmp_path, "csv") == dict.fromkeys(("trips", "lines", "as_file"), "succeeded")
        assert set(outcomes(tmp_path, "csv").values()) == {"cached"}
        moved = trips.rename(tmp_path / "moved.csv")
        assert outcomes(tmp_path, "csv", trips=str(moved)) == {
            "trips": "succeeded",
            "lines": "cached",
            "as_file": "cached",
        }

    def test_another_content_is_named_as_the_reason_and_gives_another_result(self, tmp_path, trips):
        run(tmp_path, "csv")
        trips.write_text("two\n")
        assert plan(tmp_path, "csv") == {
            "trips": "file trips.csv changed",
            "lines": "input 'trips' changed",
            "as_file": "input 'trips' changed",
        }
        assert value(tmp_path, "csv", "lines") == ["two"]

    def test_a_content_that_comes_back_is_known(self, tmp_path, trips):
        run(tmp_path, "csv")
        trips.write_text("two\n")
        run(tmp_path, "csv")
        trips.write_text("one\n")
        assert set(outcomes(tmp_path, "csv").values()) == {"cached"}

    def test_a_task_gets_a_copy_with_the_suffix(self, tmp_path, trips):
        assert value(tmp_path, "csv", "as_file") == ".csv"

    def test_one_that_is_gone_is_refused_even_if_its_content_is_known(self, tmp_path, trips):
        run(tmp_path, "csv")
        trips.unlink()
        with pytest.raises(UsageError, match=r"the file trips\.csv does not exist"):
            run(tmp_path, "csv")

    def test_an_address_of_a_local_file_is_its_path(self, tmp_path, trips):
        assert value(tmp_path, "csv", "lines", trips=trips.as_uri()) == ["one"]

    def test_a_path_can_be_fixed_for_a_copy_of_a_task(self, tmp_path, trips):
        (tmp_path / "other.csv").write_text("other\n")
        assert value(tmp_path, "fixed", "other_lines") == ["other"]
        assert outcomes(tmp_path, "fixed") == dict.fromkeys(
            ("other_lines_trips", "trips", "other_lines", "lines"), "cached"
        )

    def test_two_dags_under_prefixes_share_it(self, tmp_path, trips):
        assert list(outcomes(tmp_path, "prefixed")) == [
            *("trips", "a_lines", "a_as_file", "b_lines", "b_as_file")
        ]

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ("none.csv", "the file none.csv does not exist; check the path"),
            ("notes", "notes is not a file; use InputFile for files, InputFolder for folders"),
        ],
    )
    def test_what_is_no_file_is_refused_before_work_starts(self, tmp_path, given, said):
        (tmp_path / "notes").mkdir()
        assert said in refused(tmp_path, "csv", trips=given)

    def test_one_that_changes_while_it_is_read_fails_the_task(self, tmp_path, trips):
        failure = run_while(opened(tmp_path, "csv"), "trips", lambda: trips.write_text("changed\n"))
        assert failure.message == "the file trips.csv changed while it was read"
        assert value(tmp_path, "csv", "lines") == ["changed"]

    def test_a_file_that_cannot_be_read_is_told(self, tmp_path):
        failure = api.run(opened(tmp_path, "csv", trips="/proc/self/mem")).of("trips").failure
        assert failure.message == "the file /proc/self/mem cannot be read"


class TestFolder:
    def test_all_its_files_are_the_input(self, tmp_path):
        (tmp_path / "notes" / "deep").mkdir(parents=True)
        (tmp_path / "notes" / "a.txt").write_text("a")
        (tmp_path / "notes" / "deep" / "b.txt").write_text("b")
        assert value(tmp_path, "folder", "names") == {"a.txt": "a", "deep/b.txt": "b"}
        assert set(outcomes(tmp_path, "folder").values()) == {"cached"}
        (tmp_path / "notes" / "c.txt").write_text("c")
        assert plan(tmp_path, "folder") == {
            "notes": "folder notes changed",
            "names": "input 'notes' changed",
        }
        assert "c.txt" in value(tmp_path, "folder", "names")

    def test_one_that_changes_while_it_is_read_fails_the_task(self, tmp_path):
        (tmp_path / "notes").mkdir()
        (tmp_path / "notes" / "a.txt").write_text("a")
        project = opened(tmp_path, "folder")
        failure = run_while(project, "notes", lambda: (tmp_path / "notes" / "b.txt").write_text("b"))
        assert failure.message == "the folder notes changed while it was read"

    def test_what_is_no_folder_is_refused(self, tmp_path, trips):
        assert "trips.csv is not a folder" in refused(tmp_path, "folder", notes="trips.csv")


class TestRemote:
    def test_a_file_of_another_file_system_is_fetched_when_it_is_new(self, tmp_path):
        fsspec.filesystem("memory").pipe_file(f"/{tmp_path.name}/trips.csv", b"far\n")
        address = f"memory://{tmp_path.name}/trips.csv"
        assert value(tmp_path, "csv", "lines", trips=address) == ["far"]
        assert set(outcomes(tmp_path, "csv", trips=address).values()) == {"cached"}
        fsspec.filesystem("memory").pipe_file(f"/{tmp_path.name}/trips.csv", b"new\n")
        assert plan(tmp_path, "csv", trips=address)["trips"] == f"file {address} changed"
        assert value(tmp_path, "csv", "lines", trips=address) == ["new"]

    def test_a_folder_of_another_file_system(self, tmp_path):
        for name in ("a.txt", "deep/b.txt"):
            fsspec.filesystem("memory").pipe_file(f"/{tmp_path.name}/notes/{name}", name.encode())
        address = f"memory://{tmp_path.name}/notes"
        assert value(tmp_path, "folder", "names", notes=address) == {
            "a.txt": "a.txt",
            "deep/b.txt": "deep/b.txt",
        }

    def test_what_is_missing_there_is_told(self, tmp_path):
        for name, parameter in (("csv", "trips"), ("folder", "notes")):
            address = f"memory://{tmp_path.name}/nothing"
            failed = api.run(opened(tmp_path, name, **{parameter: address})).of(parameter).failure
            assert failed.message.endswith(f"{address} does not exist")

    def test_a_file_on_a_web_server(self, tmp_path, web):
        served, address = web
        (served / "trips.csv").write_text("web\n")
        assert value(tmp_path, "csv", "lines", trips=f"{address}/trips.csv") == ["web"]
        assert outcomes(tmp_path, "csv", trips=f"{address}/trips.csv")["trips"] == "cached"
        (served / "trips.csv").write_text("other\n")
        assert value(tmp_path, "csv", "lines", trips=f"{address}/trips.csv") == ["other"]
        failed = api.run(opened(tmp_path, "csv", trips=f"{address}/none.csv")).of("trips").failure
        assert failed.message == f"the file {address}/none.csv does not exist"

    def test_an_address_with_a_password_is_shown_without_it(self, tmp_path):
        failed = (
            api.run(opened(tmp_path, "csv", trips="http://me:hush@127.0.0.1:9/x.csv")).of("trips").failure
        )
        assert failed.message.startswith("the file http://127.0.0.1:9/x.csv cannot be read")
        assert "hush" not in failed.message + failed.hint + failed.traceback


class TestModel:
    @pytest.fixture
    def client(self, tmp_path: Path) -> Any:
        from mlflow import MlflowClient

        from baton.tracking.mlflow import MlflowTracker

        project = opened(tmp_path, "model")
        MlflowTracker(project.tracking_uri, project.home, "colleague").client  # noqa: B018  # makes the database
        return MlflowClient(project.tracking_uri, project.tracking_uri)

    def register(self, client: Any, folder: Path, number: int) -> None:
        place = folder / f"model-{number}"
        place.mkdir()
        (place / "MLmodel").write_text(f"model: {number}\n")
        (place / f"weights-{number}.bin").write_text("weights")
        client.create_model_version("fares", place.as_uri())
        client.set_registered_model_alias("fares", "champion", str(number))

    def test_the_champion_is_an_input_and_a_new_one_runs_what_reads_it(self, tmp_path, client):
        client.create_registered_model("fares")
        self.register(client, tmp_path, 1)
        assert value(tmp_path, "model", "files") == ["MLmodel", "weights-1.bin"]
        assert set(outcomes(tmp_path, "model").values()) == {"cached"}
        assert set(outcomes(tmp_path, "named_model").values()) == {"succeeded"}
        self.register(client, tmp_path, 2)
        reason = plan(tmp_path, "model")["fares"]
        assert reason.startswith("registered model fares@champion version 1 of run")
        assert value(tmp_path, "model", "files") == ["MLmodel", "weights-2.bin"]
        assert value(tmp_path, "named_model", "files_of", model="fares/1") == ["MLmodel", "weights-1.bin"]

    @pytest.mark.parametrize(
        ("address", "said"),
        [
            ("fares", "the registered model 'fares' has no version with the alias 'champion'"),
            ("fares@challenger", "the registered model 'fares' has no version with the alias 'challenger'"),
            ("fares/7", "the registered model 'fares' has no version 7"),
        ],
    )
    def test_a_model_that_is_not_registered_is_told(self, tmp_path, address, said):
        assert api.run(opened(tmp_path, "named_model", model=address)).of("model").failure.message == said


class TestDeclaration:
    @pytest.fixture
    def problems(self) -> Any:
        def of(*tasks: AnyTask) -> str:
            with pytest.raises(InvalidPipeline) as caught:
                Dag("wrong", tasks, parameters=Inputs)
            return str(caught.value)

        return of

    def test_a_path_alone_would_leave_the_content_out(self, problems):
        @task
        def wrong(trips: Path) -> Json: ...

        assert (
            "parameter 'trips' is an input from outside: annotate the argument as the parameter"
            in problems(wrong)
        )

    def test_an_input_without_a_parameter_is_told(self, problems):
        @task
        def wrong(rides: InputFile) -> Json: ...

        assert "no task makes its input 'rides', and no parameter 'rides' is an InputFile" in problems(wrong)

    def test_a_file_is_no_folder(self, problems):
        @task
        def wrong(trips: InputFolder) -> Json: ...

        assert "takes 'trips' as folder, but 'trips' makes it as file" in problems(wrong)

    def test_two_inputs_of_one_name_are_told(self, problems):
        one = lines.bind("a", trips=Path("one.csv"))
        other = lines.bind("b", trips="a_trips").bind("a", trips=Path("other.csv"))
        assert "input 'a_trips' has the name of another artifact" in problems(one, other)

    def test_only_files_and_folders_are_read_from_a_path(self, problems):
        @task
        def other(lines: Json) -> Json: ...

        assert "expected a task or the name of an artifact, got a PosixPath" in problems(
            lines, other.bind("a", lines=Path("x.json"))
        )


@pytest.fixture
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Return a folder and the address at which it is served."""
    served = tmp_path_factory.mktemp("served")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(served))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield served, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
