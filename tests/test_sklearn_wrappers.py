"""Models in scikit-learn's pipelines and searches, beside Keras's own wrappers."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import dougong as dg
import dougong.keras as dk
from closeness import close
from dougong.core.errors import BuildError, DataError


def network(package, outputs: int, loss: str, activation: str | None = None, rate: float = 0.05):
    package.utils.set_random_seed(1)
    layers = package.layers
    model = package.Sequential(
        [package.Input((4,)), layers.Dense(8, activation="tanh"), layers.Dense(outputs, activation)]
    )
    for index, weight in enumerate(model.weights):
        weight.assign(np.random.default_rng(index).normal(size=weight.shape) * 0.4)
    model.compile(package.optimizers.Adam(rate), loss)
    return model


def test_a_classifier_is_what_keras_has() -> None:
    x, y = load_iris(return_X_y=True)
    x, names = StandardScaler().fit_transform(x).astype("float32"), np.array(["setosa", "versicolor", "virginica"])[y]
    pair = []
    for package in (dk, keras):
        make = lambda X, y, p=package: network(p, y.shape[1], "categorical_crossentropy", "softmax")  # noqa: E731
        wrapped = package.wrappers.SKLearnClassifier(make, fit_kwargs={"epochs": 10, "verbose": 0, "shuffle": False})
        pair.append(wrapped.fit(x, names))
    ours, theirs = pair
    assert list(ours.classes_) == list(theirs.classes_)
    close(ours.decision_function(x), theirs.decision_function(x), because="outputs", tolerance=1e-4)
    assert (ours.predict(x) == theirs.predict(x).ravel()).all()
    assert ours.score(x, names) > 0.9


def test_regressors_and_transformers_are_what_keras_has() -> None:
    x, y = load_diabetes(return_X_y=True)
    x, y = (x[:, :4] * 20).astype("float32"), y / 100
    for kind in ("SKLearnRegressor", "SKLearnTransformer"):
        pair = [
            getattr(package.wrappers, kind)(
                lambda X, y, p=package: network(p, 1, "mse"), fit_kwargs={"epochs": 3, "verbose": 0, "shuffle": False}
            ).fit(x, y)
            for package in (dk, keras)
        ]
        word = "predict" if kind == "SKLearnRegressor" else "transform"
        got, want = (getattr(one, word)(x) for one in pair)
        close(got, want, because=kind, tolerance=1e-4)
        assert got.shape == want.shape


def test_searches_pipelines_and_clones() -> None:
    x, y = load_iris(return_X_y=True)

    def make(X, y, rate=0.05):
        return network(dk, y.shape[1], "categorical_crossentropy", "softmax", rate)

    wrapped = dk.wrappers.SKLearnClassifier(make, model_kwargs={"rate": 0.05}, fit_kwargs={"epochs": 5, "verbose": 0})
    search = GridSearchCV(wrapped, {"model_kwargs": [{"rate": 1e-6}, {"rate": 0.05}]}, cv=2).fit(x, y)
    assert search.best_params_["model_kwargs"]["rate"] == 0.05
    assert cross_val_score(make_pipeline(StandardScaler(), clone(wrapped)), x, y, cv=2).mean() > 0.6


def test_a_model_is_copied_unless_it_is_to_go_on() -> None:
    x, y = load_iris(return_X_y=True)
    given = network(dk, 3, "categorical_crossentropy", "softmax")
    before = given.get_weights()
    once = dk.wrappers.SKLearnClassifier(given, fit_kwargs={"epochs": 2, "verbose": 0}).fit(x, y)
    close(given.get_weights()[0], before[0], because="the model given", tolerance=0)
    assert once.model_ is not given and len(once.history_["loss"]) == 2
    warm = dk.wrappers.SKLearnClassifier(given, warm_start=True, fit_kwargs={"epochs": 2, "verbose": 0}).fit(x, y)
    trained = warm.model_
    assert warm.fit(x, y).model_ is trained


def test_wrong_input_is_answered() -> None:
    x = np.ones((4, 4))
    bare = dg.Sequential([dg.Input((4,)), dg.layers.Dense(2)])
    with pytest.raises(BuildError, match="compiled model"):
        dk.wrappers.SKLearnClassifier(bare).fit(x, [0, 1, 0, 1])
    compiled = network(dk, 2, "mse")
    with pytest.raises(DataError, match="at least two"):
        dk.wrappers.SKLearnClassifier(compiled).fit(x, [1, 1, 1, 1])
    with pytest.raises(DataError, match="continuous"):
        dk.wrappers.SKLearnClassifier(compiled).fit(x, [0.1, 0.2, 0.3, 0.4])
    with pytest.raises(ValueError, match="NaN"):
        dk.wrappers.SKLearnRegressor(compiled).fit(x * np.nan, [0, 1, 0, 1])
