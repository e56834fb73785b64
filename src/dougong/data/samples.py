"""The sample data sets: real, small, and at hand without a download.  They come with scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dougong.core.errors import UnknownNameError
from dougong.data.dataset import Column, Dataset, Task

__all__ = ["SampleInfo", "load_sample", "samples"]


@dataclass(frozen=True)
class SampleInfo:
    """One line of the list of samples.  ``shape`` is that of one input; ``num_classes`` is 0 for regression."""

    name: str
    task: Task
    size: int
    shape: tuple[int, ...]
    num_classes: int
    title: str
    source: str


_SAMPLES = (
    SampleInfo("digits", "classification", 1797, (8, 8, 1), 10, "handwritten digits, 8x8 grey pictures, values 0 to 16",
               "Alpaydin, Kaynak 1998, Optical Recognition of Handwritten Digits, doi:10.24432/C50P49"),
    SampleInfo("iris", "classification", 150, (4,), 3, "three species of iris, from lengths and widths in cm",
               "Fisher 1936, doi:10.1111/j.1469-1809.1936.tb02137.x"),
    SampleInfo("wine", "classification", 178, (13,), 3, "three cultivars of wine, from a chemical analysis",
               "Aeberhard, Forina 1992, doi:10.24432/C5PC7J"),
    SampleInfo("breast_cancer", "classification", 569, (30,), 2, "malignant or benign, from measures of cell nuclei",
               "Wolberg, Mangasarian, Street 1995, doi:10.24432/C5DW2B"),
    SampleInfo("diabetes", "regression", 442, (10,), 0, "progression of diabetes after a year, from ten body measures",
               "Efron, Hastie, Johnstone, Tibshirani 2004, doi:10.1214/009053604000000067"),
)  # fmt: skip
_BY_NAME = {info.name: info for info in _SAMPLES}


def samples() -> tuple[SampleInfo, ...]:
    """What `load_sample` knows.

    >>> [(info.name, info.size) for info in samples()]
    [('digits', 1797), ('iris', 150), ('wine', 178), ('breast_cancer', 569), ('diabetes', 442)]
    """
    return _SAMPLES


def load_sample(name: str) -> Dataset:
    """A sample data set by name.   Raises: UnknownNameError with near names.

    >>> load_sample("iris").class_names
    ('setosa', 'versicolor', 'virginica')
    """
    if name not in _BY_NAME:
        raise UnknownNameError("sample data set", name, _BY_NAME)
    from sklearn import datasets  # lazy: it takes over a second to import

    if name == "digits":
        return _digits(datasets.load_digits())
    if name == "diabetes":
        # Raw units (years, mmHg …), so that the model that learns to scale them takes raw units too.
        return _table(name, datasets.load_diabetes(scaled=False))
    return _table(name, getattr(datasets, f"load_{name}")())


def _digits(bunch: Any) -> Dataset:
    return Dataset(
        inputs=bunch.images[..., None].astype(np.uint8),
        targets=bunch.target.astype(np.int64),
        task="classification",
        source="digits",
        class_names=tuple(str(label) for label in bunch.target_names),
        target_names=("digit",),
        input_range=(0.0, 16.0),
    )


def _table(name: str, bunch: Any) -> Dataset:
    info = _BY_NAME[name]
    classes = info.task == "classification"
    return Dataset(
        inputs=bunch.data.astype(np.float32),
        targets=bunch.target.astype(np.int64) if classes else bunch.target[:, None].astype(np.float32),
        task=info.task,
        source=name,
        columns=tuple(Column(str(column)) for column in bunch.feature_names),
        class_names=tuple(str(label) for label in bunch.target_names) if classes else (),
        target_names=("class",) if classes else ("progression",),
    )
