"""Kinds that installed distributions offer by entry points, used through the plain type of a library."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pytest

from baton import Dag, Json, Kind, Parameters, task
from baton.core.artifact import kind_called, kind_for
from baton.core.offers import UnusableKind, all_offers
from baton.errors import InvalidPipeline
from baton.store.key import describe_work

KIND = """
from baton import Kind

class {name}Kind(Kind):
    name, suffix, packages = "{name}", ".parquet", ("pandas",)

    @classmethod
    def write(cls, value, path):
        value.to_frame("values").to_parquet(path)

    @classmethod
    def read(cls, path):
        import pandas
        return pandas.read_parquet(path)["values"]
"""

Install = Callable[..., None]


class Group(Parameters):
    depth: int = 1


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that installs a distribution of one module, with its entry points."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def install(distribution: str, source: str, points: str) -> None:
        module = distribution.replace("-", "_")
        (site / f"{module}.py").write_text(textwrap.dedent(source))
        metadata = site / f"{module}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (metadata / "RECORD").write_text(f"{module}.py,,\n")
        (metadata / "entry_points.txt").write_text(f"[baton.kinds]\n{points}\n")
        monkeypatch.syspath_prepend(str(site))  # a search path with a new entry is read anew
        monkeypatch.delitem(sys.modules, module, raising=False)

    return install


def series() -> pd.Series: ...


def longest(series: pd.Series, most: int) -> Json: ...


def test_a_plain_type_is_the_kind_that_a_distribution_offers_for_it(install, store):
    install("offers-plain", KIND.format(name="plain"), "pandas.Series = offers_plain:plainKind")
    made, used = task(series), task(longest)
    assert (made.problems, used.problems) == ((), ())
    kind = made.outputs["series"]
    assert kind is used.arguments["series"].kind
    assert list(used.parameters) == ["most"]
    stored = store.save("series", kind, pd.Series([1, 2]))
    assert store.load(stored, kind).tolist() == [1, 2]


def test_an_argument_takes_several_of_them(install):
    install("offers-several", KIND.format(name="several"), "pandas.Series = offers_several:severalKind")

    def joined(parts: Mapping[str, pd.Series]) -> Json: ...

    assert task(joined).arguments["parts"].elements == {}


def test_the_package_of_an_offered_kind_is_part_of_the_key(install, store):
    install("offers-versioned", KIND.format(name="v"), "pandas.Series = offers_versioned:vKind")
    work = describe_work(task(series), {}, {}, store.code)
    assert "offers_versioned" in work.reach.packages


def test_without_an_offer_the_type_is_no_kind():
    (problem,) = task(series).problems
    assert problem.startswith("its return type is not a kind (")
    assert list(task(longest).parameters) == ["series", "most"]


BROKEN = {
    "a missing module": ("import does_not_exist_anywhere", "ModuleNotFoundError: No module named 'does_not_"),
    "a missing name": ("", "AttributeError: "),
    "no kind": ("brokenKind = int", "offers_broken:brokenKind is not a subclass of baton.Kind"),
    "an error of its own": ("1 / 0", "ZeroDivisionError: division by zero"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_offer_is_one_sentence_with_the_distribution(install, case):
    source, said = BROKEN[case]
    install("offers-broken", source, "pandas.Series = offers_broken:brokenKind")
    prefix = "the kind for pandas.Series that offers-broken 1.0 offers cannot be loaded: "
    for problem in (*task(series).problems, *task(longest).problems):
        assert prefix + said in problem, problem
        assert "\n" not in problem
    assert len(task(series).problems) == len(task(longest).problems) == 1


def test_a_broken_offer_for_another_type_does_no_harm(install):
    install("offers-fine", KIND.format(name="fine"), "pandas.Series = offers_fine:fineKind")
    install("offers-harmless", "1 / 0", "pandas.Index = offers_harmless:some")
    assert task(series).problems == ()


def test_entry_points_that_cannot_be_read_name_their_distribution(install):
    install("offers-garbled", "", "pandas.Series")
    (problem,) = task(series).problems
    assert problem.startswith("its return type: the entry points of offers-garbled 1.0 cannot be read: ")


def test_two_offers_for_one_type_must_be_chosen_from(install):
    for name in ("one", "two"):
        install(f"offers-{name}", KIND.format(name=name), f"pandas.Series = offers_{name}:{name}Kind")
    (problem,) = task(series).problems
    assert "several kinds are offered for pandas.Series: annotate it with offers_" in problem
    assert "offers_one:oneKind of offers-one 1.0" in problem
    assert "offers_two:twoKind of offers-two 1.0" in problem


def test_the_error_for_a_value_of_another_kind_names_the_offered_one(install, store):
    install("offers-named", "1 / 0", "pandas.Series = offers_named:namedKind")
    assert kind_for(pd.Series) == "pandas.Series with the kind of offers-named 1.0"
    with pytest.raises(TypeError) as caught:
        store.save("value", Json, pd.Series([1]))
    assert caught.value.hint.endswith("annotate it pandas.Series with the kind of offers-named 1.0")


def test_the_error_for_a_derived_type_names_the_kind_that_is_offered_for_its_base(install):
    class Fares(pd.Series): ...

    def fares(): ...

    fares.__annotations__ = {"return": Fares}
    install("offers-base", "1 / 0", "pandas.Series = offers_base:baseKind")
    (problem,) = task(fares).problems
    assert problem == (
        "its return type is not a kind: use pandas.Series with the kind of offers-base 1.0 for Fares"
    )


def test_a_stored_kind_that_is_not_loaded_is_found_among_the_offers(install):
    install("offers-stored", KIND.format(name="stored_one"), "pandas.Series = offers_stored:stored_oneKind")
    assert kind_called("json").name == "json"
    assert "offers_stored" not in sys.modules
    assert kind_called("stored_one").name == "stored_one"
    assert kind_called("stored_nowhere") is None
    install("offers-spoilt", "1 / 0", "pandas.Index = offers_spoilt:some")
    with pytest.raises(UnusableKind, match=r"offers-spoilt 1.0 offers cannot be loaded: ZeroDivisionError"):
        kind_called("stored_nowhere")


def test_parameters_and_kinds_read_no_entry_points(tmp_path, monkeypatch):
    def plain(rows: int, names: list[str], where: Path | None, group: Group, trips: Json) -> Json: ...

    def annotated() -> Kind: ...

    opened: list[str] = []

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and str(arguments[0]).endswith("entry_points.txt"):
            opened.append(str(arguments[0]))

    sys.addaudithook(note)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert task(plain).problems == ()
    task(annotated)
    assert opened == []
    task(series)  # reads, so that the hook is known to see it
    assert opened
    opened.clear()
    task(longest)
    assert opened == []  # once is enough


def test_a_pipeline_with_a_broken_offer_is_refused(install):
    install("offers-refused", "1 / 0", "pandas.Series = offers_refused:some")
    with pytest.raises(InvalidPipeline) as caught:
        Dag("refused", [task(longest)])
    assert "argument 'series': the kind for pandas.Series that offers-refused 1.0" in str(caught.value)


def test_the_same_distribution_on_two_paths_offers_once(install, tmp_path, monkeypatch):
    install("offers-twice", KIND.format(name="twice"), "pandas.Series = offers_twice:twiceKind")
    (tmp_path / "second").symlink_to(tmp_path / "site-packages")
    monkeypatch.syspath_prepend(str(tmp_path / "second"))
    assert [offer.distribution for offer in all_offers()].count("offers-twice 1.0") == 1
