"""DVC's example-get-started: which posts are about Python?  Text features and a forest."""

import random
import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
from matplotlib.figure import Figure as Plot
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.metrics import average_precision_score, roc_auc_score

from baton import (
    Dag,
    Estimator,
    Figure,
    InputFile,
    Json,
    Matrix,
    Parameters,
    Table,
    TaskContext,
    parameter,
    task,
)


class Prepare(Parameters):
    """How the posts are split."""

    split: Annotated[float, parameter("share kept for the test", gt=0, lt=1)] = 0.2
    split_seed: Annotated[int, parameter("seed of the split")] = 20170428


class Featurize(Parameters):
    """What is made of the texts."""

    max_features: Annotated[int, parameter("words at most", ge=1)] = 200
    ngrams: Annotated[int, parameter("words that count together, at most", ge=1)] = 2


class Train(Parameters):
    """How the forest grows."""

    seed: Annotated[int, parameter("seed of the forest")] = 20170428
    n_est: Annotated[int, parameter("trees", ge=1)] = 50
    min_split: Annotated[float, parameter("share of the posts that a split needs", gt=0, lt=1)] = 0.01


class GetStarted(Parameters):
    """What may be chosen for a run."""

    posts: InputFile = Path("data/data.xml")
    prepare: Prepare = Prepare()
    featurize: Featurize = Featurize()
    train: Train = Train()


@task(outputs=("train_posts", "test_posts"))
def prepared(posts: InputFile, prepare: Prepare) -> tuple[Table, Table]:
    """Read id, label and text of each post, and keep a share for the test."""
    chosen = random.Random(prepare.split_seed)  # noqa: S311  # no secret
    rows: tuple[list[object], list[object]] = ([], [])
    for line in posts.read_text(encoding="utf-8").splitlines():
        post = ET.fromstring(line).attrib  # noqa: S314  # a file of one's own
        text = re.sub(r"\s+", " ", f"{post.get('Title', '')} {post.get('Body', '')}").strip()
        is_test = chosen.random() <= prepare.split
        rows[is_test].append((int(post["Id"]), int("<python>" in post.get("Tags", "")), text))
    train, test = (pl.DataFrame(part, schema=["id", "label", "text"], orient="row") for part in rows)
    return train, test


@task(outputs=("train_x", "test_x", "feature_names"))
def features(train_posts: Table, test_posts: Table, featurize: Featurize) -> tuple[Matrix, Matrix, Json]:
    """Count words and weigh them by how rare they are."""
    bag = CountVectorizer(
        stop_words="english", max_features=featurize.max_features, ngram_range=(1, featurize.ngrams)
    )
    train, test = (posts["text"].str.to_lowercase().to_list() for posts in (train_posts, test_posts))
    counts = bag.fit_transform(train)
    weights = TfidfTransformer(smooth_idf=False).fit(counts)
    names = bag.get_feature_names_out().tolist()
    return weights.transform(counts), weights.transform(bag.transform(test)), names


@task
def model(train_x: Matrix, train_posts: Table, train: Train) -> Estimator:
    """Grow the forest; in one thread, because several would add up its votes in another order each time."""
    forest = RandomForestClassifier(
        n_estimators=train.n_est, min_samples_split=train.min_split, random_state=train.seed
    )
    return forest.fit(train_x, train_posts["label"].to_numpy())


@task
def metrics(model: Estimator, test_x: Matrix, test_posts: Table, context: TaskContext) -> Json:
    """Judge the forest on the posts that were kept."""
    labels, shares = test_posts["label"].to_numpy(), model.predict_proba(test_x)[:, 1]
    scores = {
        "avg_prec": float(average_precision_score(labels, shares)),
        "roc_auc": float(roc_auc_score(labels, shares)),
    }
    context.fact("ROC AUC", f"{scores['roc_auc']:.4f}")
    return scores


@task
def importance(model: Estimator, feature_names: Json) -> Figure:
    """Draw the words that the forest looks at most."""
    top = np.argsort(model.feature_importances_)[-10:]
    figure = Plot(layout="constrained")
    figure.subplots().barh([feature_names[word] for word in top], model.feature_importances_[top])
    return figure


@task(effect=True)
def publish(metrics: Json, importance: Figure, context: TaskContext) -> None:
    """Write into the folder `evaluation` what DVC leaves there."""
    out = context.project / "evaluation"
    out.mkdir(exist_ok=True)
    lines = "".join(f"{name}: {value}\n" for name, value in metrics.items())
    context.product(out / "metrics.txt").write_text(lines, encoding="utf-8")
    shutil.copyfile(importance, context.product(out / "importance.png"))


dag = Dag("get_started", [prepared, features, model, metrics, importance, publish], parameters=GetStarted)
