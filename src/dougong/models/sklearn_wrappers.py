"""Models as scikit-learn estimators: for pipelines, grid searches and cross-validation.   Keras: ``keras.wrappers``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from dougong.core.errors import BuildError, DataError
from dougong.models.cloning import clone_model
from dougong.models.model import Model

__all__ = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]


class _Wrapper(BaseEstimator):
    """What the three have in common.

    ``model``: a compiled model, of which `fit` trains a fresh copy, or a function ``(X, y, **model_kwargs)`` that
    makes one.  ``warm_start``: train on, rather than begin anew, at the second `fit`.  ``fit_kwargs`` go to the
    model's ``fit``, those given to this `fit` count more.  Fitted: ``model_``, ``history_``.
    """

    def __init__(
        self,
        model: Model | Callable[..., Model],
        warm_start: bool = False,
        model_kwargs: Mapping[str, Any] | None = None,
        fit_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.warm_start = warm_start
        self.model_kwargs = model_kwargs
        self.fit_kwargs = fit_kwargs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        return tags

    def __sklearn_clone__(self) -> Self:
        model = deepcopy(self.model) if isinstance(self.model, Model) else self.model
        return type(self)(model, self.warm_start, self.model_kwargs, self.fit_kwargs)

    def fit(self, X: Any, y: Any, **kwargs: Any) -> Self:
        """Train on ``X`` (samples in rows) and ``y``.   Raises: BuildError if the model is not compiled."""
        X, y = validate_data(self, X, y, multi_output=True, y_numeric=False)
        targets = self._encoded(y)
        model = self.model_ if self.warm_start and hasattr(self, "model_") else self._new_model(X, targets)
        if model.optimizer is None or model.loss is None:
            raise BuildError(f"{type(self).__name__} needs a compiled model: call compile(optimizer=…, loss=…) first")
        options = {**(self.fit_kwargs or {}), **kwargs}
        self.history_ = model.fit(X, targets, **options).history
        self.model_ = model
        return self

    def _new_model(self, X: np.ndarray, y: np.ndarray) -> Model:
        if not isinstance(self.model, Model):
            return self.model(X=X, y=y, **(self.model_kwargs or {}))
        if self.model.optimizer is None:
            raise BuildError(f"{type(self).__name__} needs a compiled model: call compile(optimizer=…, loss=…) first")
        return clone_model(self.model)

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return self.model_.predict(validate_data(self, X, reset=False), verbose=0)

    def _encoded(self, y: np.ndarray) -> np.ndarray:
        """Targets as the model wants them: a column where there is one value a sample."""
        type_of_target(y, raise_unknown=True)
        self._flat_targets = y.ndim == 1
        return y.reshape(-1, 1) if y.ndim == 1 else y


class SKLearnClassifier(ClassifierMixin, _Wrapper):
    """A classifier: classes are one-hot for the model, ``predict`` gives the class of the largest output.

    Fitted: ``classes_``.   Raises: DataError for one class only, or targets that are no classes.
    Keras: equals ``keras.wrappers.SKLearnClassifier``.
    """

    def predict(self, X: Any) -> np.ndarray:
        """The class of each sample."""
        return self.classes_[self._outputs(X).argmax(-1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """The model's outputs, one column a class of ``classes_``."""
        return self._outputs(X)

    def decision_function(self, X: Any) -> np.ndarray:
        """The model's outputs, as they are."""
        return self._outputs(X)

    def _encoded(self, y: np.ndarray) -> np.ndarray:
        kind = type_of_target(y, raise_unknown=True)
        if kind not in ("binary", "multiclass"):
            raise DataError(f"SKLearnClassifier takes one class a sample; the targets are {kind}")
        self.classes_, place = np.unique(np.ravel(y), return_inverse=True)
        if len(self.classes_) == 1:
            raise DataError(f"all samples are of class {self.classes_[0]!r}; a classifier needs at least two")
        return np.eye(len(self.classes_), dtype="float32")[place]


class SKLearnRegressor(RegressorMixin, _Wrapper):
    """A regressor: targets go to the model as they are.   Keras: equals ``keras.wrappers.SKLearnRegressor``."""

    def predict(self, X: Any) -> np.ndarray:
        """The model's outputs, one value a sample where the targets had one."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._flat_targets and outputs.ndim == 2 else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags


class SKLearnTransformer(TransformerMixin, _Wrapper):
    """A transformer: the model's outputs are the new features.   Keras: equals its ``SKLearnTransformer``."""

    def transform(self, X: Any) -> np.ndarray:
        """The model's outputs."""
        return self._outputs(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
