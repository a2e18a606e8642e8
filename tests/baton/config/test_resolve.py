"""Settings and parameters: default < file < environment < command line, and every finding at once."""

from __future__ import annotations

import json
import os
import re
from typing import Annotated, Literal

import pytest

from baton import Parameters, parameter
from baton.config import file
from baton.config.resolve import Origin, convert_one, resolve
from baton.config.settings import all_settings
from baton.core.parameters import leaves
from baton.errors import SettingsError


class Model(Parameters, frozen=True):
    depth: Annotated[int, parameter("depth", ge=1, le=30)] = 3
    rate: float = 0.1
    penalty: Literal["none", "l2"] = "l2"
    test_size: float = 0.2


class Chosen(Parameters, frozen=True):
    year: int = 2021
    fast: bool = False
    model: Model = Model()


@pytest.fixture
def config(tmp_path):
    """Return the place of the configuration file, and write it where a test gives content."""

    def write(content) -> None:
        text = content if isinstance(content, str) else json.dumps(content)
        write.path.write_text(text, encoding="utf-8")

    write.path = tmp_path / "config.json"
    return write


def look(config, **options):
    return resolve(Chosen, path=config.path, **options)


def test_each_source_wins_over_the_one_before(config):
    found = look(config)
    assert (found.parameters.year, found.origins["year"]) == (2021, Origin("default"))
    config({"year": 2022})
    found = look(config)
    assert (found.parameters.year, found.origins["year"]) == (2022, Origin("file", str(config.path)))
    found = look(config, environ={"BATON_YEAR": "2023"})
    assert (found.parameters.year, found.origins["year"]) == (2023, Origin("environment", "BATON_YEAR"))
    found = look(config, environ={"BATON_YEAR": "2023"}, options={"year": "2024"})
    assert (found.parameters.year, found.origins["year"]) == (2024, Origin("command line", "--year"))


def test_values_of_settings_and_parameters_are_found_by_leaf(config):
    config({"mlflow": {"tracking_server_host": "h"}, "model": {"depth": 5}})
    found = look(config)
    values = {leaf.key: found.value(leaf) for leaf in found.leaves}
    assert values["mlflow.tracking_server_host"] == "h"
    assert values["model.depth"] == 5
    assert values["baton.engine"] == "simple"


@pytest.mark.parametrize("text", ["true", "1"])
def test_texts_are_converted_outside_the_file(config, text):
    found = look(config, environ={"BATON_FAST": text, "BATON_RATE": "0.25"}, options={"depth": "7"})
    assert (found.parameters.fast, found.parameters.model.rate, found.parameters.model.depth) == (
        True,
        0.25,
        7,
    )


def test_none_unsets_what_may_be_unset_and_is_a_word_elsewhere(config):
    config({"mlflow": {"tracking_uri": "http://x"}})
    found = look(config, options={"tracking_uri": "none", "penalty": "none"})
    assert found.settings.mlflow.tracking_uri is None
    assert found.parameters.model.penalty == "none"


def test_an_empty_variable_counts_as_not_set(config):
    assert look(config, environ={"BATON_YEAR": ""}).parameters.year == 2021


@pytest.mark.parametrize("name", ["PATH", "BATON_CONFIG", "BATON_PROJECT", "BATON_TEST_DATA"])
def test_variables_of_others_are_left_alone(config, name):
    assert look(config, environ={name: "x"}).parameters == Chosen()


def test_a_parameter_called_like_the_tests_variables_is_set(config):
    assert look(config, environ={"BATON_TEST_SIZE": "0.5"}).parameters.model.test_size == 0.5


UNKNOWN = {
    "file": ({"model": {"dept": 1}}, {}, {}, r"unknown key 'model\.dept'; did you mean 'model\.depth'"),
    "file, other section": ({"depth": 1}, {}, {}, r"unknown key 'depth'; did you mean 'model\.depth'"),
    "file, section": ({"nowhere": {"x": 1}}, {}, {}, r"unknown key 'nowhere\.x'"),
    "environment": (
        {},
        {"BATON_YAER": "1"},
        {},
        "unknown environment variable BATON_YAER; did you mean 'BATON_YEAR'",
    ),
    "command line": ({}, {}, {"yaer": "1"}, "unknown parameter 'yaer'; did you mean 'year'"),
}


@pytest.mark.parametrize("source", UNKNOWN)
def test_an_unknown_key_is_refused_with_the_nearest_name(config, source):
    content, environ, options, words = UNKNOWN[source]
    config(content)
    with pytest.raises(SettingsError, match=words) as raised:
        look(config, environ=environ, options=options)
    assert "baton config show" in raised.value.hint


WRONG = {
    "type in the file": (
        {"year": "2021"},
        {},
        {},
        "year cannot be '2021': expected a whole number, got a text",
    ),
    "fraction for a whole number": (
        {"year": 1.5},
        {},
        {},
        "year cannot be 1.5: expected a whole number, got a number",
    ),
    "below the range": (
        {"model": {"depth": 0}},
        {},
        {},
        "model.depth cannot be 0: expected a whole number >= 1",
    ),
    "above the range": ({}, {}, {"depth": "31"}, "--depth cannot be '31': expected a whole number <= 30"),
    "no number": ({}, {"BATON_YEAR": "soon"}, {}, "BATON_YEAR cannot be 'soon': expected a whole number"),
    "no choice": ({}, {}, {"penalty": "l1"}, "--penalty cannot be 'l1'"),
    "value for a section": ({"model": 3}, {}, {}, "'model' must be a section"),
    "null for a number": ({"year": None}, {}, {}, "year cannot be None: expected a whole number"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_value_that_does_not_fit_is_refused(config, case):
    content, environ, options, words = WRONG[case]
    config(content)
    with pytest.raises(SettingsError) as raised:
        look(config, environ=environ, options=options)
    [problem] = raised.value.problems
    assert words in problem


def test_all_problems_come_at_once(config):
    config({"year": "x", "nowhere": 1})
    with pytest.raises(SettingsError) as raised:
        look(
            config,
            environ={"BATON_RATE": "fast", "BATON_NOWHERE": "1"},
            options={"depth": "99", "nothing": "1"},
        )
    assert len(raised.value.problems) == 5


def test_what_is_unknown_is_left_alone_until_the_pipeline_is_known(config):
    config({"nowhere": 1, "baton": {"engine": "make"}})
    found = resolve(
        Parameters,
        path=config.path,
        environ={"BATON_X": "1"},
        options={"y": "1"},
        parameters_known=False,
    )
    assert found.settings.baton.engine == "make"


def test_a_variable_that_is_near_to_no_name_is_left_alone_with_a_warning(config):
    found = look(config, environ={"BATON_SOMETHING_ELSE": "1"})
    assert found.warnings == ("BATON_SOMETHING_ELSE is neither a setting nor a parameter of this pipeline",)
    assert look(config).warnings == ()


class TestOtherPipelines:
    """Keys of other pipelines in the same folder."""

    def test_what_another_pipeline_knows_is_left_alone_in_the_file_and_the_environment(self, config):
        config({"data": {"yaer": 1}, "rates": 3, "model": {"depth": 5}})
        environ = {"BATON_YAER": "1", "BATON_RATES": "x"}
        found = look(config, environ=environ, keys_of_others=lambda: frozenset({"data.yaer", "rates"}))
        assert (found.parameters.model.depth, found.warnings) == (5, ())

    def test_what_no_pipeline_knows_is_refused_all_the_same(self, config):
        config({"data": {"yaer": 1, "year": 1}})
        with pytest.raises(SettingsError) as raised:
            look(config, keys_of_others=lambda: frozenset({"data.year"}))
        assert "unknown key 'data.yaer'" in raised.value.problems[0]

    def test_other_pipelines_are_asked_only_about_what_is_unknown(self, config):
        def asked():
            raise AssertionError

        config({"year": 2022, "pipelines": {"other:dag": {"nowhere": 1}}})
        assert look(config, environ={"BATON_RATE": "0.5"}, keys_of_others=asked).parameters.year == 2022

    def test_a_pipelines_own_section_wins_over_the_rest_of_the_file(self, config):
        config(
            {
                "year": 2022,
                "model": {"depth": 4},
                "pipelines": {"mine.py": {"year": 2023, "baton": {"engine": "make"}}, "other": {"year": 1}},
            }
        )
        found = look(config, pipeline="mine:dag")
        assert (found.parameters.year, found.parameters.model.depth) == (2023, 4)
        assert found.settings.baton.engine == "make"
        assert found.origins["year"].place == f"{config.path}: pipelines.mine:dag"
        assert look(config, pipeline="mine:dag", environ={"BATON_YEAR": "2024"}).parameters.year == 2024

    def test_a_misspelt_key_in_the_own_section_is_refused_whatever_others_know(self, config):
        config({"pipelines": {"mine:dag": {"yaer": 1}}})
        with pytest.raises(SettingsError, match=r"pipelines\.mine:dag: unknown key 'yaer'; .*'year'"):
            look(config, pipeline="mine:dag", keys_of_others=lambda: frozenset({"yaer"}))

    @pytest.mark.parametrize("section", [3, {"mine:dag": 3}, {"a b": {}}, {"a/b.py": {}}])
    def test_a_section_that_is_none_is_refused(self, config, section):
        config({"pipelines": section})
        with pytest.raises(SettingsError, match="pipelines"):
            look(config, pipeline="mine:dag")

    def test_a_parameter_in_the_place_of_the_sections_is_refused(self, config):
        class Hiding(Parameters, frozen=True):
            pipelines: int = 1

        with pytest.raises(SettingsError, match="a section of the configuration file"):
            resolve(Hiding, path=config.path)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("a:b", "a:b"),
        ("a", "a:dag"),
        ("a.py", "a:dag"),
        ("./a.py:b", "a:b"),
        ("a.b:c.d", "a.b:c.d"),
    ],
)
def test_a_pipeline_is_named_by_its_module_file_or_reference(config, text, reference):
    assert look(config, options={"pipeline": text}).settings.baton.pipeline == reference
    config({"baton": {"pipeline": text}})
    assert look(config).settings.baton.pipeline == reference


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("examples/own/iris.py", "write: -C examples/own --pipeline iris:dag"),
        ("", "expected module:object"),
        ("a b", "expected module:object"),
        ("a:b:c", "expected module:object"),
    ],
)
def test_what_names_no_pipeline_is_answered_with_what_to_write(config, text, words):
    with pytest.raises(SettingsError, match=re.escape(words)):
        look(config, options={"pipeline": text})
    pipeline = next(leaf for leaf in leaves(all_settings()) if leaf.name == "pipeline")
    with pytest.raises(SettingsError, match=re.escape(words)):
        convert_one(pipeline, text)


def test_a_password_in_a_url_is_not_shown_where_the_value_is_refused(config):
    with pytest.raises(SettingsError) as raised:
        look(config, options={"pipeline": "https://me:secret@host/x"})
    assert "secret" not in str(raised.value)
    assert "host" in str(raised.value)


def test_a_parameter_with_the_name_of_a_setting_is_refused(config):
    class Hiding(Parameters, frozen=True):
        home: str = "x"

    with pytest.raises(SettingsError, match=r"parameter home has the name of baton\.home"):
        resolve(Hiding, path=config.path)


def test_one_value_is_converted_or_refused():
    found = {leaf.name: leaf for leaf in leaves(Chosen)}
    assert convert_one(found["depth"], "7") == 7
    with pytest.raises(SettingsError, match=r"model\.depth cannot be '99'"):
        convert_one(found["depth"], "99")


class TestTheFile:
    """The configuration file itself."""

    def test_need_not_exist_unless_it_is_named(self, config):
        assert look(config).parameters == Chosen()
        with pytest.raises(SettingsError, match="does not exist") as raised:
            look(config, required=True)
        assert raised.value.hint

    def test_may_be_empty(self, config):
        config("\n")
        assert look(config).parameters == Chosen()

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            pytest.param('{"year": 1,\n  oops}', "line 2, column 3", id="syntax"),
            pytest.param("[" * 100_000, "nested too deep", id="deep"),
            pytest.param("[1]", "must contain an object", id="list"),
            pytest.param("null", "must contain an object", id="null"),
        ],
    )
    def test_that_is_broken_is_told_with_the_place(self, config, content, words):
        config(content)
        with pytest.raises(SettingsError, match=words):
            look(config)

    def test_that_is_a_folder_or_no_text_is_told(self, config):
        config.path.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(SettingsError, match="cannot be read"):
            look(config)
        config.path.unlink()
        config.path.mkdir()
        with pytest.raises(SettingsError, match="cannot be read"):
            look(config)

    def test_keeps_everything_else_when_one_value_is_set(self, config):
        config({"other": {"kept": [1]}, "model": {"rate": 0.5}})
        file.write_value(config.path, ("model", "depth"), 7)
        file.write_value(config.path, ("mlflow", "tracking_uri"), None)
        assert json.loads(config.path.read_text()) == {
            "other": {"kept": [1]},
            "model": {"rate": 0.5, "depth": 7},
            "mlflow": {"tracking_uri": None},
        }
        assert [path.name for path in config.path.parent.iterdir()] == ["config.json"]

    def test_is_made_where_there_is_none(self, tmp_path):
        file.write_value(tmp_path / "deep" / "config.json", ("year",), 2022)
        assert json.loads((tmp_path / "deep" / "config.json").read_text()) == {"year": 2022}

    def test_stays_as_it_is_where_a_value_cannot_be_set(self, config):
        config({"model": 3})
        with pytest.raises(SettingsError, match=r"'model' in .* must be a section"):
            file.write_value(config.path, ("model", "depth"), 7)
        config("{broken")
        with pytest.raises(SettingsError, match="is not JSON"):
            file.write_value(config.path, ("year",), 1)
        assert config.path.read_text() == "{broken"

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_in_a_folder_that_cannot_be_written_is_told(self, tmp_path):
        tmp_path.chmod(0o555)
        with pytest.raises(SettingsError, match="cannot be written"):
            file.write_value(tmp_path / "config.json", ("year",), 1)
        tmp_path.chmod(0o755)
