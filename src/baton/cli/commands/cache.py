"""``baton cache``: inspect, check and shrink the cache."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
import msgspec

from baton.cli import output
from baton.cli.exit_codes import ExitCode
from baton.cli.options import Group, ProjectCommand, json_option, place_options
from baton.cli.quantities import AGE, SHARE, SIZE, size_text
from baton.errors import UsageError

if TYPE_CHECKING:
    from baton.maintenance.cache import Amount, Entry, Garbage
    from baton.maintenance.recheck import Recheck, Rechecked


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Inspect, check and shrink the cache."""


@command.command(cls=ProjectCommand)
@json_option
@place_options
@click.pass_context
def info(ctx: click.Context, as_json: bool) -> None:
    """Show where the store is, its size, and the cache hits of this project."""
    from baton.maintenance import cache

    found = cache.cache_info(ctx.obj)
    if as_json:
        output.show_json(asdict(found))
        return
    output.show_data(f"store: {found.place}")
    rows: list[tuple[str, Amount]] = [("objects", found.objects), ("entries", found.entries)]
    rows += [(name, getattr(found, name)) for name in ("texts", "mirror", "views", "sources", "scratch")]
    output.show_table(
        ("what", "files", "size"), [(name, amount.count, size_text(amount.size)) for name, amount in rows]
    )
    output.show_data(f"hits: {found.hits} of {found.hits + found.misses} pure tasks in {found.runs} runs")


@command.command(cls=ProjectCommand)
@click.argument("targets", nargs=-1)
@click.option("-n", "limit", type=click.IntRange(min=1), help="How many at most [all]")
@json_option
@place_options
@click.pass_context
def ls(ctx: click.Context, targets: tuple[str, ...], limit: int | None, as_json: bool) -> None:
    """List the cached results, newest first: all, or those of TARGETS (groups or tasks)."""
    from baton.maintenance import cache

    entries = cache.cache_entries(ctx.obj, targets)[:limit]
    if as_json:
        output.show_json(msgspec.to_builtins(entries))
        return
    if not entries:
        output.say("the cache is empty; fill it with: baton run")
        return
    rows = [
        (
            entry.task,
            entry.pipeline,
            entry.key[:12],
            _outputs(entry),
            entry.run_id,
            entry.engine,
            entry.finished_at[:16].replace("T", " "),
            f"{entry.duration_s:.2f} s",
        )
        for entry in entries
    ]
    output.show_table(("task", "pipeline", "key", "outputs", "run", "engine", "finished (UTC)", "took"), rows)


@command.command(cls=ProjectCommand)
@click.option("--repair", "--mend", "repair", is_flag=True, help="Delete damaged files")
@json_option
@place_options
@click.pass_context
def verify(ctx: click.Context, repair: bool, as_json: bool) -> int:
    """Check the digest of every object and the objects of every entry; exit with 1 if something is bad."""
    from baton.maintenance import cache

    found = cache.verify_cache(ctx.obj, repair=repair)
    if as_json:
        output.show_json(
            {
                "good": found.is_good,
                "objects": found.objects,
                "entries": found.entries,
                "findings": [
                    {**asdict(finding), "damage": finding.damage.value, "bad": finding.damage.is_bad}
                    for finding in found.findings
                ],
            }
        )
    else:
        if found.findings:
            rows = [
                (finding.damage.value, "deleted" if finding.mended else "", finding.name, finding.about)
                for finding in found.findings
            ]
            output.show_table(("what", "repaired", "file", "about"), rows)
        output.say(f"checked {found.objects} objects and {found.entries} entries")
        if not found.is_good:
            output.say("\nhint: delete what is damaged with: baton cache verify --repair")
    return ExitCode.DONE if found.is_good else ExitCode.TASK_FAILED


@command.command(cls=ProjectCommand)
@click.argument("targets", nargs=-1)
@click.option("--share", type=SHARE, default=1.0, help="Random share of the cached results [all]")
@click.option("--budget", type=AGE, metavar="TIME", help="Start no task that would exceed this, e.g. 60s")
@click.option("--sample-seed", "seed", type=click.IntRange(min=0), help="Repeat an earlier random choice")
@click.option("--forget", is_flag=True, help="Delete stale results from the cache")
@json_option
@place_options
@click.pass_context
def recheck(
    ctx: click.Context,
    targets: tuple[str, ...],
    share: float,
    budget: float | None,
    seed: int | None,
    forget: bool,
    as_json: bool,
) -> int:
    """Compute cached results again, all or those of TARGETS, and compare; exit with 1 if one differs.

    A result is stale if the current code, parameters and inputs give another one. A task is not
    deterministic if two computations differ. Everything runs in a scratch store; the real one is only read.
    """
    from baton.maintenance.recheck import recheck as recheck_tasks

    def show(one: Rechecked) -> None:
        if not as_json:
            output.say(f"{one.task:{width}}  {one.verdict.value}  {one.duration_s:.2f} s")

    width = max((len(task.name) for task in ctx.obj.dag.tasks), default=0)
    found = recheck_tasks(
        ctx.obj, targets, share=share, budget_s=budget, seed=seed, forget=forget, on_result=show
    )
    if as_json:
        tasks = [{**asdict(one), "verdict": one.verdict.value} for one in found.tasks]
        output.show_json({**asdict(found), "good": found.is_good, "tasks": tasks})
    else:
        _show_recheck(found, forget=forget)
    return ExitCode.DONE if found.is_good else ExitCode.TASK_FAILED


def _show_recheck(found: Recheck, *, forget: bool) -> None:
    from baton.maintenance.recheck import Verdict

    rows = [
        (one.task, one.verdict.value, one.run_id, "; ".join(_details(one)))
        for one in found.tasks
        if one.verdict is not Verdict.RIGHT
    ]
    if rows:
        output.show_table(("task", "what", "computed by run", "about"), rows)
    if not found.remembered:
        output.say("no result of the current plan is cached; compute it with: baton run --cache")
        return
    right = sum(one.verdict is Verdict.RIGHT for one in found.tasks)
    chosen = "" if len(found.tasks) == found.remembered else f" (chosen with --sample-seed {found.seed})"
    output.say(f"{right} of {len(found.tasks)} right; {found.remembered} are cached{chosen}")
    if found.left_out:
        output.say(f"left out because of the budget: {', '.join(found.left_out)}")
    if any(one.verdict is Verdict.STALE for one in found.tasks) and not forget:
        output.say("\nhint: delete stale results with: baton cache recheck --forget")
    if any(one.verdict is Verdict.NOT_DETERMINISTIC for one in found.tasks):
        output.say("\nhint: give the task a fixed seed, order or time")


def _details(one: Rechecked) -> Iterator[str]:
    yield from (f"{name}: {difference}" for name, difference in one.differences.items())
    if one.message:
        yield one.message
    if one.forgotten:
        yield "forgotten"


@command.command(cls=ProjectCommand)
@click.option("--older-than", type=AGE, metavar="AGE", help="Delete what is unused for this long, e.g. 30d")
@click.option("--max-size", type=SIZE, metavar="SIZE", help="Delete the least used beyond this, e.g. 5GB")
@click.option("--yes", is_flag=True, help="Delete; otherwise only show")
@json_option
@place_options
@click.pass_context
def gc(
    ctx: click.Context, older_than: float | None, max_size: float | None, yes: bool, as_json: bool
) -> None:
    """Show what is no longer needed, and delete it with --yes.

    Always kept: what was created or used within an hour, what an entry refers to, and everything that a run
    in progress may need.
    """
    from baton.maintenance import cache

    garbage = cache.collect_garbage(
        ctx.obj,
        older_than_s=older_than,
        max_size=None if max_size is None else round(max_size),
        remove=yes,
    )
    _show_garbage(garbage, removed=yes, as_json=as_json)
    if not yes and not as_json and any(garbage.by_kind.values()):
        output.say("\nhint: nothing was deleted; delete it with: --yes")


@command.command(cls=ProjectCommand)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation")
@json_option
@place_options
@click.pass_context
def clear(ctx: click.Context, yes: bool, as_json: bool) -> int:
    """Delete the whole cache, for everyone who shares the store; runs and models stay."""
    from baton.maintenance import cache

    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("cache clear asks for confirmation and needs a terminal", "confirm with --yes")
        everything = cache.clear_cache(ctx.obj)
        sizes = [file.size for file in everything.objects]
        place = ctx.obj.store.objects.place.shown
        question = f"Delete {len(sizes)} objects ({size_text(sum(sizes))}) and all entries of {place}?"
        if not output.confirm(question):
            output.say("nothing was deleted")
            return ExitCode.DONE
    _show_garbage(cache.clear_cache(ctx.obj, remove=True), removed=True, as_json=as_json)
    return ExitCode.DONE


def _show_garbage(garbage: Garbage, *, removed: bool, as_json: bool) -> None:
    amounts = {kind: (len(files), sum(f.size for f in files)) for kind, files in garbage.by_kind.items()}
    if as_json:
        kinds: dict[str, Any] = {
            kind: {"count": count, "size": size, "names": [file.name for file in garbage.by_kind[kind]]}
            for kind, (count, size) in amounts.items()
        }
        output.show_json({"removed": removed, "size": sum(size for _, size in amounts.values()), **kinds})
        return
    rows = [(kind, count, size_text(size)) for kind, (count, size) in amounts.items() if count]
    if not rows:
        output.say("nothing to delete; what was created or used within an hour is kept")
        return
    output.show_table(("deleted" if removed else "would delete", "files", "size"), rows)


def _outputs(entry: Entry) -> str:
    return ", ".join(f"{name} ({size_text(fields['size'])})" for name, fields in entry.outputs.items())
