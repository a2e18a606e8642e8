"""How fast the store takes, gives and verifies bytes, and whether many entries slow a plan."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from baton.kinds.plain import FILE_KIND
from baton.store.store import Store
from benchmarks.empty_pipelines import REFERENCE, write_pipeline
from benchmarks.measure import Command, CommandFailed, alternate, ratios, run_once, script
from benchmarks.report import Figure, Section

RUNS = 5
RUNS_OF_PLAN = 7
SIZE_MB = 256
KEYS = 10_000
TASKS = 8
FEW = f"`baton plan`, {TASKS} cached tasks"
MANY = f"{FEW} among {KEYS:,} keys"

EXPLANATION = f"""\
A file of {SIZE_MB} MB of random bytes: `put` copies it into the store and digests it, `get` gives its path
after digesting it, as a new process does, `verify` digests it. Beside them what the disk and SHA-256 take
alone for the same file: a plain copy, and a plain digest. Files were just written, so they are read from
memory, and nothing waits for the disk to say that it has them (no `fsync`), neither in the store nor beside
it. Then `baton plan`, a whole process, on a chain of {TASKS} tasks that are all cached, in a store with their
keys alone and in one with {KEYS:,} more, each with an object of its own."""


def measure_store(runs: int | None, tell: Callable[[str], None]) -> Section:
    """Measure bytes per second, and plans among few and many keys."""
    seconds = measure_bytes(SIZE_MB, runs or RUNS, tell)
    plain = tuple(
        one + other for one, other in zip(seconds["plain copy"], seconds["plain SHA-256"], strict=True)
    )
    figures = [
        *(
            Figure(name, "MB/s", tuple(SIZE_MB / second for second in found))
            for name, found in seconds.items()
        ),
        Figure("time, `put` / plain copy and SHA-256", "", ratios(seconds["`put`"], plain)),
        Figure("time, `get` / plain SHA-256", "", ratios(seconds["`get`"], seconds["plain SHA-256"])),
    ]
    with tempfile.TemporaryDirectory(prefix="baton-benchmark-store-") as scratch:
        commands = plans(Path(scratch), KEYS, tell)
        measured = alternate(commands, runs or RUNS_OF_PLAN, tell)
    figures += [
        Figure(f"time, {MANY} / alone", "", ratios(measured[MANY].wall_s, measured[FEW].wall_s)),
        *(Figure(name, "s", measured[name].wall_s) for name in (FEW, MANY)),
        *(Figure(f"CPU time, {name}", "s", measured[name].cpu_s) for name in (FEW, MANY)),
    ]
    return Section("The store", EXPLANATION, tuple(figures))


def measure_bytes(size_mb: int, runs: int, tell: Callable[[str], None]) -> dict[str, tuple[float, ...]]:
    """Return the seconds of each way to handle a file, one for each run after a warm-up."""
    made: dict[str, list[float]] = {}
    for turn in range(runs + 1):
        with tempfile.TemporaryDirectory(prefix="baton-benchmark-store-") as scratch:
            found = _handle_file(Path(scratch), size_mb)
        tell(f"store, run {turn} of {runs}" if turn else "store, warm-up")
        if turn:
            for name, second in found.items():
                made.setdefault(name, []).append(second)
    return {name: tuple(own) for name, own in made.items()}


def _handle_file(scratch: Path, size_mb: int) -> dict[str, float]:
    original = scratch / "original"
    with original.open("wb") as file:
        for _ in range(size_mb):
            file.write(os.urandom(1_000_000))
    url, home = str(scratch / "store"), scratch / "home"
    took: dict[str, float] = {}
    with _timed(took, "plain copy"):
        shutil.copyfile(original, scratch / "copy")
    with _timed(took, "plain SHA-256"), (scratch / "copy").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with _timed(took, "`put`"):
        artifact = Store(url, home).save("file", FILE_KIND, original)
    with _timed(took, "`get`"):
        Store(url, home).load(artifact, FILE_KIND)
    with _timed(took, "`verify`"):
        damaged = Store(url, home).damaged(artifact)
    if artifact.digest != digest or damaged:
        raise CommandFailed("the store holds another file than it was given")
    return took


@contextmanager
def _timed(took: dict[str, float], name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    took[name] = time.perf_counter() - began


def plans(scratch: Path, keys: int, tell: Callable[[str], None]) -> tuple[Command, Command]:
    """Return the commands that plan a cached pipeline, without and with that many other keys."""
    commands = []
    for name, more in ((FEW, 0), (MANY, keys)):
        tell(f"{name}, filling the store")
        folder = scratch / f"{more}"
        folder.mkdir()
        write_pipeline(folder, "chain", TASKS)
        options = ("--pipeline", REFERENCE, "--engine", "make", "--json")
        run_once(Command(name, (script("baton"), "run", *options), folder=folder))
        add_keys(Store(str(folder / ".baton" / "store"), folder / ".baton", "empty"), more)
        commands.append(Command(name, (script("baton"), "plan", *options), folder=folder))
    few, many = commands
    for command in (few, many):
        if would_run := tasks_to_run(run_once(command).stdout):
            raise CommandFailed(f"{command.name} would run {', '.join(would_run)}")
    return few, many


def tasks_to_run(stdout: str) -> list[str]:
    """Return the tasks that ``baton plan --json`` would run."""
    return [task["task"] for task in json.loads(stdout) if task["would_run"]]


def add_keys(store: Store, count: int) -> None:
    """Remember that many other pieces of work of the tasks that a store knows, each with an object."""
    own = [
        entry
        for name in store.objects.names("index")
        if (entry := store.index.get(Path(name).stem)) is not None
    ]
    for number in range(count):
        entry = own[number % len(own)]
        key = hashlib.sha256(f"key {number}".encode()).hexdigest()
        with store.objects.new_file() as path:
            path.write_text(key, encoding="utf-8")
            digest, size = store.objects.put(path)
        outputs = {name: {**fields, "digest": digest, "size": size} for name, fields in entry.outputs.items()}
        store.index.put(msgspec.structs.replace(entry, key=key, outputs=outputs))
    for entry in own:
        store.index.put(entry)  # the latest again
