"""Differences between current and earlier work: the causes why a task runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec

from baton.codetrace.modules import locate
from baton.codetrace.reach import NOTES, ON_IMPORT, ORDER, WHOLE, counts_whole
from baton.core.effect_scope import UNKNOWN_STATE
from baton.core.parameters import flatten
from baton.core.reasons import Cause, CauseKind, by_importance
from baton.store.effects import state_digest
from baton.store.fingerprint import fingerprint
from baton.store.index import Entry
from baton.store.key import RULE_VERSION, Work
from baton.store.shown import in_words, plain, shortened, without_secrets_in

_WHOLE_GROUP = ".*"


def differences(work: Work, entry: Entry, unknown_inputs: Collection[str] = ()) -> tuple[Cause, ...]:
    """Return the differences, most important first.

    Parameters
    ----------
    work : Work
        The current work.
    entry : Entry
        The record of earlier work of the same task.
    unknown_inputs : collection of str
        Inputs of the task whose values are not known yet; they are left out.

    Returns
    -------
    tuple of Cause
        Empty if both are the same, as far as known.
    """
    if entry.rule != RULE_VERSION:  # nothing else is comparable under another rule
        return (Cause(CauseKind.RULE, before=str(entry.rule), after=str(RULE_VERSION)),)
    found = [
        *_parameters(work, entry),
        *_versions(work, entry),
        *_world(work, entry),
        *_outputs(work, entry),
        *_inputs(work, entry, unknown_inputs),
    ]
    if entry.python != work.python:  # its syntax trees differ
        found.append(Cause(CauseKind.PYTHON, before=entry.python, after=work.python))
    else:
        found += _code(work, entry)
    return by_importance(found)


def described(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return plain values without secrets, and digests, of parameters by short name.

    A group of parameters also has a digest of its own.
    """
    values: dict[str, Any] = {}
    digests: dict[str, str] = {}
    for name, value in parameters.items():
        if isinstance(value, msgspec.Struct):
            digests[name + _WHOLE_GROUP] = _short(value)
        members = flatten(value) if isinstance(value, msgspec.Struct) else {name: value}
        for member, one in members.items():
            values[member] = plain(member, one)
            digests[member] = _short(one)
    return values, digests


def place_of(part: str) -> str:
    """Return the location of a part of the code for users: ``"trips/clean.py: keep_plausible"``."""
    module, _, name = part.partition(":")
    names = module.split(".")
    place = locate(module)
    file = "/".join(names) + ".py"
    if place is not None and place.file is not None:
        depth = len(names) + (place.file.stem == "__init__")
        file = "/".join(place.file.parts[-depth:])
    if name.startswith("file "):
        folder = file.rpartition("/")[0]
        return f"{folder}/{name.removeprefix('file ')}".removeprefix("/")
    for ending in (ON_IMPORT, NOTES):
        if name.endswith(f" {ending}"):
            name = name.removesuffix(f" {ending}")
    return f"{file}: {_NAMES.get(name, name)}"


_NAMES = {
    WHOLE: "the whole module",
    ON_IMPORT: "what it does on import",
    ORDER: "the order of its imports",
    NOTES: "its docstring",
}


def _code(work: Work, entry: Entry) -> Iterator[Cause]:
    now, then = work.reach.parts, entry.code
    changed = [part for part in {**now, **then} if now.get(part) != then.get(part)]
    modules = {part.partition(":")[0] for part in changed if not part.endswith(f":{WHOLE}")}
    for part in sorted(changed):
        module, _, name = part.partition(":")
        if name == WHOLE and module in modules and part in now and part in then:
            continue  # its definitions are reported one by one
        yield Cause(
            CauseKind.CODE,
            part,
            then.get(part),
            now.get(part),
            place=place_of(part),
            note=counts_whole((*work.reach.unresolved, *entry.unresolved), module),
        )


def _parameters(work: Work, entry: Entry) -> Iterator[Cause]:
    values, digests = described(work.parameters)
    then = entry.parameter_digests
    changed = [name for name in {**digests, **then} if digests.get(name) != then.get(name)]
    members = [name for name in changed if not name.endswith(_WHOLE_GROUP)]
    for name in members:
        before = in_words(entry.parameters.get(name)) if name in then else None
        after = in_words(values[name]) if name in digests else None
        yield Cause(CauseKind.PARAMETER, name, before, after)
    if not members:
        for name in changed:  # the group's class was renamed
            yield Cause(CauseKind.PARAMETER, name.removesuffix(_WHOLE_GROUP), "", "")


def _versions(work: Work, entry: Entry) -> Iterator[Cause]:
    now, then = work.reach.packages, entry.packages
    for name in sorted({**now, **then}):
        if now.get(name) != then.get(name):
            yield Cause(CauseKind.PACKAGE, name, then.get(name), now.get(name))


def _world(work: Work, entry: Entry) -> Iterator[Cause]:
    if work.version.startswith(UNKNOWN_STATE):
        yield Cause(CauseKind.UNCACHEABLE, f"version= is {without_secrets_in(work.version)}")
    elif state_digest(work.version) != entry.world_digest and work.external:
        what, _, address = work.external.partition(" ")
        kind = {"file": CauseKind.FILE, "folder": CauseKind.FOLDER}.get(what, CauseKind.MODEL)
        yield Cause(kind, address, entry.world, work.version)
    elif state_digest(work.version) != entry.world_digest:
        after = without_secrets_in(work.version)
        yield Cause(CauseKind.WORLD, "version", shortened(entry.world), shortened(after))


def _outputs(work: Work, entry: Entry) -> Iterator[Cause]:
    then = {name: str(fields.get("kind")) for name, fields in entry.outputs.items()}
    for name in {**work.outputs, **then}:
        if work.outputs.get(name) != then.get(name):
            yield Cause(CauseKind.OUTPUTS, name, then.get(name), work.outputs.get(name))


def _inputs(work: Work, entry: Entry, unknown: Collection[str]) -> Iterator[Cause]:
    if work.inputs.keys() == entry.inputs.keys():
        for argument in {**work.arguments, **entry.arguments}:
            source, earlier = (one.arguments.get(argument, argument) for one in (work, entry))
            if source != earlier:
                yield Cause(CauseKind.ARGUMENT, argument, _sources(earlier), _sources(source))
    for argument in {**work.readers, **entry.readers}:
        now, then = (one.readers.get(argument, "its own kind") for one in (work, entry))
        if now != then:
            yield Cause(CauseKind.ARGUMENT, argument, then, now, note="read in another way")
    for name in {**work.inputs, **entry.inputs}:
        before, after = entry.inputs.get(name), work.inputs.get(name)
        if before != after and name not in unknown:
            yield Cause(CauseKind.INPUT, name, before, after)


def _sources(source: str | list[list[str]]) -> str:
    if isinstance(source, str):
        return f"'{source}'"
    return ", ".join(
        f"'{artifact}'" if key == artifact else f"{key}='{artifact}'" for key, artifact in source
    )


def _short(value: Any) -> str:
    return fingerprint(value)[:16]
