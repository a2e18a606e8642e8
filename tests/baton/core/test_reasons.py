"""Causes told in words: one sentence each, the most important first."""

from __future__ import annotations

import pytest

from baton.core.reasons import Cause, CauseKind, by_importance, in_one_line

TOLD = {
    "never built": Cause(CauseKind.NEVER_BUILT),
    "forced": Cause(CauseKind.FORCED),
    "parameter max_depth 30 -> 8": Cause(CauseKind.PARAMETER, "max_depth", "30", "8"),
    "parameter max_depth 8 added": Cause(CauseKind.PARAMETER, "max_depth", None, "8"),
    "parameter max_depth 30 removed": Cause(CauseKind.PARAMETER, "max_depth", "30", None),
    "parameter token changed": Cause(CauseKind.PARAMETER, "token", "(hidden)", "(hidden)"),
    "code: a/b.py: f changed": Cause(CauseKind.CODE, "a.b:f", "1", "2", place="a/b.py: f"),
    "code: a/b.py: f added": Cause(CauseKind.CODE, "a.b:f", None, "2", place="a/b.py: f"),
    "code: a/b.py: f removed": Cause(CauseKind.CODE, "a.b:f", "1", None, place="a/b.py: f"),
    "input 'trips' changed": Cause(CauseKind.INPUT, "trips", "1", "2"),
    "package xgboost 3.2.0 -> 3.3.0": Cause(CauseKind.PACKAGE, "xgboost", "3.2.0", "3.3.0"),
    "package scipy 1.0 removed": Cause(CauseKind.PACKAGE, "scipy", "1.0", None),
    "Python 3.11 -> 3.12": Cause(CauseKind.PYTHON, "", "3.11", "3.12"),
    "rule of the cache key 1 -> 2": Cause(CauseKind.RULE, "", "1", "2"),
    "file data/x.csv changed": Cause(CauseKind.FILE, "data/x.csv", "1", "2"),
    "registered model fares@champion version 1 -> version 2": Cause(
        CauseKind.MODEL, "fares@champion", "version 1", "version 2"
    ),
    "folder data removed": Cause(CauseKind.FOLDER, "data", "1", None),
    "environment variable LEVEL added": Cause(CauseKind.VARIABLE, "LEVEL", None, "2"),
    "module extra, which was missing, is now installed": Cause(CauseKind.MODULE, "extra", None, "2"),
    "input from outside a -> b": Cause(CauseKind.WORLD, "version", "a", "b"),
    "outputs model json -> table": Cause(CauseKind.OUTPUTS, "model", "json", "table"),
    "argument one 'a' -> 'b'": Cause(CauseKind.ARGUMENT, "one", "'a'", "'b'"),
    "its output 'model' is missing from the store": Cause(CauseKind.MISSING, "model"),
    "models/a.json, which it made, is gone": Cause(CauseKind.PRODUCT, "", "1", None, "models/a.json"),
    "models/a.json, which it made, was changed": Cause(CauseKind.PRODUCT, "", "1", "2", "models/a.json"),
    "its last attempt, in run x, did not succeed": Cause(CauseKind.UNFINISHED, "x"),
    "after the effects of an earlier period": Cause(CauseKind.ORDER),
    "its tracking run x was deleted": Cause(CauseKind.TRACKING_RUN, "x"),
    "its tracking run x cannot be checked": Cause(CauseKind.TRACKING_RUN, "x", note="y"),
    "setting experiment a -> b": Cause(CauseKind.SETTING, "experiment", "a", "b"),
    "not done before from this folder": Cause(CauseKind.NEVER_BUILT, "not done before from this folder"),
    "its earlier result is missing from the store": Cause(CauseKind.MISSING),
    "its output 'model' is corrupt in the store": Cause(CauseKind.CORRUPT, "model"),
    "not cached: why": Cause(CauseKind.UNCACHEABLE, "why"),
    "it would fail: why": Cause(CauseKind.FAILS, "why"),
    "an effect always runs": Cause(CauseKind.EFFECT),
    "the cache is not used": Cause(CauseKind.CACHE_OFF),
    "after 'train', which would run": Cause(CauseKind.UPSTREAM, "train"),
}


@pytest.mark.parametrize(("sentence", "cause"), TOLD.items(), ids=TOLD)
def test_every_cause_has_its_sentence(sentence, cause):
    assert cause.sentence == sentence
    assert cause.as_dict()["sentence"] == sentence


def test_every_kind_is_tested_here():
    assert {cause.kind for cause in TOLD.values()} == set(CauseKind)


def test_the_most_important_comes_first_and_equals_keep_their_order():
    causes = [
        Cause(CauseKind.INPUT, "a"),
        Cause(CauseKind.PARAMETER, "b"),
        Cause(CauseKind.PARAMETER, "a"),
        Cause(CauseKind.CODE, "c"),
    ]
    assert [cause.subject for cause in by_importance(causes)] == ["c", "b", "a", "a"]


def test_a_line_tells_three_and_counts_the_rest():
    causes = [Cause(CauseKind.PARAMETER, name, "1", "2") for name in "abcde"]
    assert in_one_line(causes) == "parameter a 1 -> 2; parameter b 1 -> 2; parameter c 1 -> 2; and 2 more"


@pytest.mark.parametrize(
    ("tasks", "told"),
    [("a", "'a'"), ("ab", "'a' and 'b'"), ("abcd", "'a', 'b' and 2 more")],
)
def test_tasks_upstream_are_told_together(tasks, told):
    assert (
        in_one_line([Cause(CauseKind.UPSTREAM, name) for name in tasks]) == f"after {told}, which would run"
    )


def test_of_a_task_that_was_never_built_that_is_enough_in_a_line():
    assert in_one_line([Cause(CauseKind.UPSTREAM, "a"), Cause(CauseKind.NEVER_BUILT)]) == "never built"
