"""What the kinds accept, refuse and keep: pandas, scikit-learn, Arrow, lazy frames, pictures, folders."""

from __future__ import annotations

import datetime
import io
import json
import re
import zipfile
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xgboost as xgb
from matplotlib.figure import Figure as Drawing
from scipy import sparse
from sklearn.ensemble import RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from baton import (
    Arrow,
    Booster,
    CatBoost,
    Dag,
    Estimator,
    EstimatorKind,
    Figure,
    File,
    Folder,
    Frame,
    Json,
    LightGBM,
    Matrix,
    Scan,
    Table,
    Torch,
    task,
)
from baton.errors import InvalidPipeline
from baton.store.store import Store
from tests.baton.testing.kind_values import cat, library, page


def doubled(values):
    return 2 * values


class DoubledKind(EstimatorKind):
    trusted = (doubled,)


def there_and_back(store: Store, kind: type, value: object) -> object:
    return store.load(store.save("value", kind, value), kind)


class TestFrame:
    def test_index_and_types_come_back(self, store):
        frame = pd.DataFrame(
            {"a": pd.Categorical(["x", "y"]), "b": pd.to_datetime(["2021-01-01", None])},
            index=pd.MultiIndex.from_tuples([("p", 1), ("q", 2)], names=["key", "number"]),
        )
        pd.testing.assert_frame_equal(there_and_back(store, Frame, frame), frame)

    @pytest.mark.parametrize(
        ("value", "said"),
        [
            (pl.DataFrame({"a": [1]}), "expected a pandas DataFrame, got polars.dataframe.frame.DataFrame"),
            (pd.DataFrame({"a": [1, "x"]}, dtype=object), "Parquet cannot hold the frame: "),
            (pd.DataFrame([[1, 2]], columns=["a", "a"]), "Parquet cannot hold the frame: "),
        ],
    )
    def test_what_parquet_cannot_hold_is_refused(self, store, value, said):
        with pytest.raises(TypeError) as caught:
            store.save("value", Frame, value)
        assert str(caught.value).startswith(said)


class TestTables:
    def test_a_table_is_read_lazily_by_a_task_that_asks_for_it(self, store):
        made = store.save("trips", Table, pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]}))
        lazy = store.load(made, Scan)
        assert isinstance(lazy, pl.LazyFrame)
        assert lazy.filter(pl.col("a") > 1).select("b").collect().to_series().to_list() == ["y", "z"]

    def test_a_lazy_frame_is_written_without_collecting_and_read_as_a_table(self, store):
        made = store.save("trips", Scan, pl.LazyFrame({"a": range(10)}).filter(pl.col("a") % 2 == 0))
        assert store.load(made, Table)["a"].to_list() == [0, 2, 4, 6, 8]

    def test_a_frame_that_is_not_lazy_is_refused(self, store):
        with pytest.raises(TypeError, match=r"expected a polars LazyFrame, got ") as caught:
            store.save("trips", Scan, pl.DataFrame({"a": [1]}))
        assert caught.value.hint == "return value.lazy(), or annotate it Table"

    def test_an_arrow_table_keeps_schema_and_metadata(self, store):
        table = pa.table({"a": pa.array([1, None], pa.int8())}).replace_schema_metadata({"unit": "miles"})
        back = there_and_back(store, Arrow, table)
        assert back.equals(table, check_metadata=True)

    def test_equal_arrow_tables_have_equal_bytes_however_they_were_put_together(self, store):
        whole = pa.table({"a": [1, 2, 3]})
        parts = pa.concat_tables([whole.slice(0, 1), whole.slice(1)])
        assert store.save("a", Arrow, whole).digest == store.save("a", Arrow, parts).digest


class TestEstimator:
    def test_it_predicts_the_same_after_it_was_stored(self, store):
        x, y = np.arange(40.0).reshape(20, 2), np.arange(20.0)
        fitted = make_pipeline(StandardScaler(), RandomForestRegressor(3, random_state=0)).fit(x, y)
        back = there_and_back(store, Estimator, fitted)
        assert (back.predict(x) == fitted.predict(x)).all()

    def test_nothing_in_the_file_is_an_address_or_a_time(self, store):
        made = store.save("m", Estimator, make_pipeline(StandardScaler()).fit(np.eye(3)))
        with zipfile.ZipFile(store.objects.path_of(made.digest)) as archive:
            assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
            ids = []

            def visit(node):
                if isinstance(node, dict):
                    ids.append(node.get("__id__", 0))
                for one in (
                    node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
                ):
                    visit(one)

            visit(json.loads(archive.read("schema.json")))
        assert max(ids) < len(ids)

    def test_a_function_of_ones_own_must_be_trusted(self, store):
        with pytest.raises(TypeError, match=r"holds .*doubled: declare a subclass of Estimator"):
            store.save("m", Estimator, FunctionTransformer(doubled))

    def test_a_trusted_function_works_and_its_code_belongs_to_the_artifact(self, store):
        made = store.save("m", DoubledKind, FunctionTransformer(doubled))
        assert made.code
        assert store.load(made, DoubledKind).transform(np.eye(1)).tolist() == [[2.0]]

    def test_a_stored_file_that_names_another_function_is_not_read(self, store):
        made = store.save("m", DoubledKind, FunctionTransformer(doubled))
        path = store.objects.path_of(made.digest)
        with zipfile.ZipFile(path) as archive:
            schema = (
                archive.read("schema.json").replace(__name__.encode(), b"os").replace(b"doubled", b"system")
            )
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("schema.json", schema)
        hostile = path.parent / "hostile"
        hostile.write_bytes(out.getvalue())
        with pytest.raises(TypeError, match="what is not trusted"):
            DoubledKind.read(hostile)

    @pytest.mark.parametrize("value", [object(), {"a": 1}, FunctionTransformer(lambda x: x)])
    def test_what_it_cannot_store_is_refused(self, store, value):
        with pytest.raises(TypeError):
            store.save("m", Estimator, value)


class TestFiles:
    def test_a_file_keeps_its_suffix(self, store, tmp_path):
        (tmp_path / "given.csv.gz").write_text("x")
        path = there_and_back(store, File, tmp_path / "given.csv.gz")
        assert path.name == "value.gz"
        assert path.read_text() == "x"

    def test_the_suffix_is_part_of_what_a_task_depends_on(self, store, tmp_path):
        made = []
        for name in ("a.csv", "a.txt", "a"):
            (tmp_path / name).write_text("x")
            made.append(store.save("value", File, tmp_path / name))
        assert len({one.digest for one in made}) == 1
        assert len({one.identity for one in made}) == 3
        assert made[2].identity == made[2].digest

    def test_a_folder_comes_back_with_all_files_below_it(self, store, tmp_path):
        folder = tmp_path / "given"
        (folder / "inner").mkdir(parents=True)
        (folder / "inner" / "a.txt").write_text("a")
        (folder / "b").write_text("b")
        back = there_and_back(store, Folder, folder)
        found = {
            path.relative_to(back).as_posix(): path.read_text() for path in back.rglob("*") if path.is_file()
        }
        assert found == {"inner/a.txt": "a", "b": "b"}

    def test_an_empty_folder_is_one(self, store, tmp_path):
        (tmp_path / "empty").mkdir()
        assert list(there_and_back(store, Folder, tmp_path / "empty").iterdir()) == []

    @pytest.mark.parametrize("target", ["..", "nowhere"])
    def test_a_folder_with_a_link_that_cannot_be_stored_is_refused(self, store, tmp_path, target):
        (tmp_path / "given").mkdir()
        (tmp_path / "given" / "link").symlink_to(target)
        with pytest.raises(TypeError, match="'link' in the folder is neither a file nor a folder of its own"):
            store.save("value", Folder, tmp_path / "given")

    def test_a_file_is_no_folder(self, store, tmp_path):
        (tmp_path / "file").write_text("x")
        with pytest.raises(TypeError, match=r"expected the path of a folder, but .*file is none"):
            store.save("value", Folder, tmp_path / "file")

    def test_a_damaged_folder_is_found(self, store, tmp_path):
        (tmp_path / "given").mkdir()
        (tmp_path / "given" / "a.txt").write_text("abc")
        made = store.save("value", Folder, tmp_path / "given")
        assert store.has(made)
        member = next(digest for digest in store._members(made).values())
        store.objects.path_of(member).unlink()
        assert not store.has(made)


class TestFigure:
    def test_it_becomes_a_picture(self, store):
        drawn = Drawing()
        drawn.subplots().plot([1, 2])
        path = there_and_back(store, Figure, drawn)
        assert Path(path).read_bytes().startswith(b"\x89PNG")
        assert Path(path).suffix == ".png"

    def test_a_figure_of_plotly_becomes_a_page_without_chance(self, store):
        drawn = page(Path())
        made = [store.save("value", Figure, one) for one in (drawn, type(drawn)(drawn))]
        assert made[0] == made[1]
        path = store.load(made[0], Figure)
        assert path.suffix == ".html"
        text = path.read_text(encoding="utf-8")
        assert text.count('<div id="figure">') == 1
        assert "<script src=" not in text  # it opens without a network
        (given,) = re.findall(r'newPlot\("figure", (\{.*\})\);</script>', text)
        assert json.loads(given)["data"][0]["name"] == "</script>"

    def test_a_page_that_a_task_passes_on_stays_one(self, store):
        made = store.save("value", Figure, page(Path()))
        assert store.save("value", Figure, store.load(made, Figure)) == made

    def test_a_picture_has_no_suffix_of_its_own(self, store):
        made = store.save("value", Figure, Drawing())
        assert made.identity == made.digest
        assert store.save("value", Figure, store.load(made, Figure)) == made

    def test_anything_else_is_refused(self, store):
        with pytest.raises(
            TypeError, match=r"expected a matplotlib or plotly Figure, got builtins.int"
        ) as caught:
            store.save("value", Figure, 3)
        assert caught.value.hint == "annotate it Json"


def test_a_wrapper_of_lightgbm_is_told_what_to_return(store):
    model = lightgbm.LGBMRegressor(n_estimators=1, verbose=-1).fit(np.arange(40.0).reshape(20, 2), range(20))
    with pytest.raises(TypeError, match=r"expected a lightgbm Booster, ") as caught:
        store.save("value", LightGBM, model)
    assert caught.value.hint == "return value.booster_"


class TestTorch:
    def test_a_module_gets_its_state_back_with_tied_weights(self, store):
        torch = library("torch")
        library("safetensors")

        def network():
            tied = torch.nn.Linear(3, 3)
            return torch.nn.Sequential(tied, torch.nn.BatchNorm1d(3), tied)

        trained, other = network().eval(), network().eval()
        back = there_and_back(store, Torch, trained.state_dict())
        other.load_state_dict(back)
        rows = torch.arange(6.0).reshape(2, 3)
        assert torch.equal(other(rows), trained(rows))
        back["0.bias"].add_(1)  # not in the store's file
        assert store.fault_of(store.save("again", Torch, trained.state_dict())) is None

    def test_the_order_of_names_and_the_layout_in_memory_do_not_count(self, store):
        torch = library("torch")
        library("safetensors")
        one, two = torch.arange(6.0).reshape(2, 3), torch.ones(2)
        turned = one.T.contiguous().T
        assert (
            store.save("a", Torch, {"one": one, "two": two}).digest
            == store.save("b", Torch, {"two": two, "one": turned}).digest
        )

    def test_what_is_no_tensor_is_refused(self, store):
        torch = library("torch")
        library("safetensors")
        with pytest.raises(TypeError, match=r"expected a mapping of names to torch tensors, got ") as caught:
            store.save("value", Torch, torch.nn.Linear(1, 1))
        assert caught.value.hint == "return value.state_dict()"
        with pytest.raises(TypeError, match="expected torch tensors by name, but 'epoch' is a int"):
            store.save("value", Torch, {"weight": torch.ones(1), "epoch": 3})
        with pytest.raises(TypeError, match="safetensors cannot hold the tensors: "):
            store.save("value", Torch, {"sparse": torch.ones(2, 2).to_sparse()})


class TestCatBoost:
    @pytest.mark.parametrize("kind", ["CatBoostRegressor", "CatBoostClassifier"])
    def test_it_comes_back_as_its_class_and_predicts_the_same(self, store, kind):
        model = cat(Path(), kind)
        back = there_and_back(store, CatBoost, model)
        rows = pd.DataFrame({"number": [1.0, 30.0], "word": ["y", "unknown"]})
        assert type(back).__name__ == kind
        assert (back.predict(rows) == model.predict(rows)).all()
        assert back.feature_names_ == ["number", "word"]

    def test_a_model_that_is_trained_again_has_the_same_bytes(self, store, tmp_path):
        one, two = cat(Path()), cat(Path())
        assert one.get_metadata()["model_guid"] != two.get_metadata()["model_guid"]
        elsewhere = cat(Path(), train_dir=str(tmp_path), thread_count=2)
        assert len({store.save("model", CatBoost, one).digest for one in (one, two, elsewhere)}) == 1
        assert one.get_metadata()["train_finish_time"]  # the given model is as it was

    def test_what_is_no_fitted_model_is_refused(self, store):
        catboost = library("catboost")
        with pytest.raises(TypeError, match="expected a fitted CatBoost model"):
            store.save("value", CatBoost, catboost.CatBoostRegressor())
        with pytest.raises(TypeError, match=r"expected a CatBoost model, got builtins.dict"):
            store.save("value", CatBoost, {})


VALUE = pl.DataFrame({"a": [1, 2]})
CONVERTED = {
    "pandas for a Table": (Table, VALUE.to_pandas(), "pl.from_pandas(value)"),
    "a lazy frame for a Table": (Table, VALUE.lazy(), "value.collect()"),
    "Arrow for a Table": (Table, VALUE.to_arrow(), "pl.from_arrow(value)"),
    "an array for a Table": (Table, VALUE.to_numpy(), "pl.DataFrame(value)"),
    "polars for a Frame": (Frame, VALUE, "value.to_pandas()"),
    "a column for a Frame": (Frame, VALUE.to_pandas()["a"], "value.to_frame()"),
    "polars for an Arrow table": (Arrow, VALUE, "value.to_arrow()"),
    "pandas for an Arrow table": (Arrow, VALUE.to_pandas(), "pa.Table.from_pandas(value)"),
    "pandas for a Matrix": (Matrix, VALUE.to_pandas(), "value.to_numpy()"),
    "a list for a Matrix": (Matrix, [[1, 2]], "np.asarray(value)"),
    "another sparse matrix": (Matrix, sparse.csc_matrix([[1, 0]]), "value.tocsr()"),
    "an array for Json": (Json, np.arange(3), "value.tolist()"),
    "a number of numpy inside Json": (Json, {"a": [np.float32(0.5)]}, "value.item()"),
    "a set for Json": (Json, {"a"}, "sorted(value)"),
    "a day for Json": (Json, datetime.date(2021, 1, 1), "value.isoformat()"),
    "a text for a File": (File, "model.bin", "Path(value)"),
    "a wrapper for a Booster": (Booster, xgb.XGBRegressor(n_estimators=1), "value.get_booster()"),
    "axes for a Figure": (Figure, Drawing().subplots(), "value.figure"),
}


@pytest.mark.parametrize("case", CONVERTED)
def test_a_value_of_another_type_comes_with_the_line_that_converts_it(store, case):
    kind, value, line = CONVERTED[case]
    with pytest.raises(TypeError) as caught:
        store.save("value", kind, value)
    assert caught.value.hint.startswith(f"return {line}")


@pytest.mark.parametrize(("kind", "value"), [(Json, {"a": {1}}), (Json, {"a": np.int64(3)}), (Table, [1])])
def test_the_line_that_converts_makes_what_the_kind_takes(store, kind, value):
    def innermost(one):
        return innermost(one["a"]) if isinstance(one, dict) else one

    with pytest.raises(TypeError) as caught:
        store.save("value", kind, value)
    line = caught.value.hint.removeprefix("return ").partition(", or annotate")[0]
    store.save("value", kind, eval(line, {"pl": pl, "value": innermost(value)}))


def test_a_model_that_is_annotated_otherwise_is_told_its_kind(store):
    from sklearn.linear_model import LinearRegression

    with pytest.raises(TypeError) as caught:
        store.save("value", Json, LinearRegression())
    assert caught.value.hint == "annotate it Estimator"


def test_json_is_for_plain_values(store):
    with pytest.raises(TypeError):
        store.save("value", Json, {"a": object()})


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (pd.DataFrame, "its return type is not a kind: use Frame for DataFrame"),
        (pl.DataFrame, "its return type is not a kind: use Table for DataFrame"),
        (tuple[Json, np.ndarray], "its return type is not a kind: use Matrix for ndarray"),
        (dict[str, int], "its return type is not a kind: use Json for dict[str, int]"),
        (StandardScaler, "its return type is not a kind: use Estimator for StandardScaler"),
        (Path, "its return type is not a kind: use File or Folder for Path"),
        (object, "its return type is not a kind (Table, Frame, "),
    ],
)
def test_a_type_that_is_no_kind_is_told_with_the_kind_that_fits(returned, said):
    def made(): ...

    made.__annotations__ = {"return": returned}
    assert any(problem.startswith(said) for problem in task(outputs=None)(made).problems)


def test_a_missing_return_annotation_is_told():
    def made():
        return 1

    assert "it has no return annotation: write what it returns, or None" in task(made).problems


def test_an_argument_that_should_be_an_artifact_is_told_with_its_kind():
    def made() -> Frame: ...

    def used(made: pd.DataFrame) -> Json: ...

    with pytest.raises(
        InvalidPipeline, match="'made' is neither an artifact nor a parameter: annotate it Frame"
    ):
        Dag("wrong", [task(made), task(used)])
