"""Losses on any shapes: weights, masks, reductions, axes, labels of every kind; values and gradients."""

from __future__ import annotations

from typing import Any

import keras
import torch
from hypothesis import given
from hypothesis import strategies as st

import dougong as dg
from closeness import close
from dougong.core.config import serialize
from properties.case import Case, Draw, examples
from properties.comparison import inputs_of, quiet, refusal_of
from properties.strategies import BATCHES, SEEDS, SIZES, either, mostly

REDUCTIONS = st.sampled_from(["sum_over_batch_size", "sum_over_batch_size", "sum", "mean", "none", None])
WEIGHTED = st.sampled_from(["mean_with_sample_weight"])
PAIRS = {  # what targets and predictions are
    "MeanSquaredError": ("normal", "normal"),
    "MeanAbsoluteError": ("normal", "ties"),
    "MeanAbsolutePercentageError": ("normal", "normal"),
    "MeanSquaredLogarithmicError": ("share", "share"),
    "Huber": ("normal", "normal"),
    "LogCosh": ("normal", "normal"),
    "CosineSimilarity": ("normal", "normal"),
    "Poisson": ("share", "share"),
    "KLDivergence": ("distribution", "distribution"),
    "Hinge": ("signs", "normal"),
    "SquaredHinge": ("bool", "normal"),
    "CategoricalHinge": ("one-hot", "normal"),
    "BinaryCrossentropy": ("bool", "share"),
    "BinaryFocalCrossentropy": ("bool", "share"),
    "CategoricalCrossentropy": ("one-hot", "distribution"),
    "CategoricalFocalCrossentropy": ("one-hot", "distribution"),
    "Dice": ("one-hot", "share"),
    "Tversky": ("one-hot", "share"),
}


def data_of(case: Case) -> tuple[Any, Any]:
    args, call = inputs_of(case)
    return args, {name: value.detach() for name, value in call.items()}  # Keras writes to weights


def check_loss(case: Case) -> None:
    """Raise unless the loss and its gradient are Keras's, or both refuse."""
    try:
        with quiet():
            args, call = data_of(case)
            want = getattr(keras.losses, case.kind)(**case.config)(*args, **call)
            their_prediction = args[1]
    except Exception as error:  # noqa: BLE001  Keras refuses in many ways
        if "doesn't match the broadcast shape" not in str(error):  # Keras writes masks into weights in place
            refusal_of(lambda: getattr(dg.losses, case.kind)(**case.config)(*args, **call), error)
        return
    args, call = data_of(case)
    loss = getattr(dg.losses, case.kind)(**case.config)
    got = loss(*args, **call)
    close(got, want, because="loss", tolerance=2e-5)
    assert got.dtype is want.dtype, f"dtype {got.dtype}, want {want.dtype}"
    if want.requires_grad and torch.isfinite(want).all() and want.numel():
        down = torch.linspace(0.5, 1.5, want.numel(), dtype=want.dtype).reshape(want.shape)
        (found,) = torch.autograd.grad((got * down).sum(), args[1])
        try:
            (wanted,) = torch.autograd.grad((want * down).sum(), their_prediction)
        except RuntimeError as error:  # of class numbers for pictures
            assert "grad_input must be contiguous" in str(error)
            return
        close(found, wanted, because="gradient", tolerance=1e-4)
    with quiet():
        config, reference = loss.get_config(), getattr(keras.losses, case.kind)(**case.config).get_config()
    assert {name: config.get(name) for name in reference} == serialize(reference), f"{config}, want {reference}"
    assert type(loss).from_config(config).get_config() == config


@st.composite
def weights(draw: st.DrawFn, values: tuple[int, ...]) -> dict[str, Any]:
    """Sample weights, one for each value or for all of an axis, or none.

    Weights of fewer axes, one for each sample, Keras lines up with the last axis, where it takes them at all.
    """
    if draw(st.booleans()):
        return {}
    shape = draw(mostly(values, (*values, 1), tuple(1 for _ in values), ()))
    return {"sample_weight": Draw(shape, draw(mostly("share", "whole", "bool")))}


@st.composite
def pair_cases(draw: st.DrawFn) -> Case:
    kind = draw(st.sampled_from(sorted(PAIRS)))
    shape = (draw(BATCHES), *draw(st.lists(SIZES, max_size=2)), draw(st.integers(2, 5)))  # of one class both warn
    true, pred = PAIRS[kind]
    config: dict[str, Any] = {"reduction": draw(st.one_of(REDUCTIONS, WEIGHTED))}
    values = shape[:-1]
    if kind == "Huber":
        config["delta"] = draw(either(1.0, 0.3))
    if "Crossentropy" in kind:
        config["label_smoothing"] = draw(mostly(0.0, 0.2))
        config["from_logits"] = draw(st.booleans())
        pred = "normal" if config["from_logits"] else draw(mostly(pred, "share"))
    if "Focal" in kind:
        config |= {"gamma": draw(either(2.0, 1.5)), "alpha": draw(either(0.25, 0.6))}
    if kind == "BinaryFocalCrossentropy":
        config["apply_class_balancing"] = draw(st.booleans())
    if kind == "CosineSimilarity" or "Crossentropy" in kind:
        config["axis"] = draw(mostly(-1, len(shape) - 1, -len(shape)))
        if config["axis"] == -len(shape):
            values = shape[1:]
    if kind == "Tversky":
        config |= {"alpha": draw(either(0.5, 0.3)), "beta": draw(either(0.5, 0.8))}
    if kind in ("Dice", "Tversky"):
        axes = [axis for axis in range(1, len(shape)) if draw(st.booleans())]
        config["axis"] = draw(st.sampled_from([None, tuple(axes)])) or None
        values = () if config["axis"] is None else tuple(n for a, n in enumerate(shape) if a not in axes)
    if true == "bool":
        true = draw(mostly("bool", "share", "signs" if "Hinge" in kind else "share"))
    call = draw(weights(values))
    masked = draw(mostly(0, len(values))) if values == shape[:-1] else 0
    on = (Draw(shape, true), Draw(shape, pred, masked=masked))
    return Case(kind, config, on, draw(SEEDS), call=call)


@examples(200)
@given(pair_cases())
def test_losses_of_pairs(case: Case) -> None:
    check_loss(case)


@st.composite
def label_cases(draw: st.DrawFn) -> Case:
    """Targets that are class numbers, with or without an axis of size 1."""
    kind = draw(mostly("SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy"))
    classes = draw(st.integers(2, 5))
    sides = (draw(BATCHES), *draw(st.lists(SIZES, max_size=2)))
    config: dict[str, Any] = {"reduction": draw(st.one_of(REDUCTIONS, WEIGHTED))}
    pred = "distribution"
    if kind[0] == "S":
        config |= {"from_logits": draw(st.booleans()), "ignore_class": draw(mostly(None, 0, -1, 1))}
        pred = "normal" if config["from_logits"] else "distribution"
    else:
        config["q"] = draw(either(0.5, 0.9))
    labels = sides if kind[0] == "C" else draw(mostly(sides, (*sides, 1)))  # which Keras broadcasts to a square
    on = (
        Draw(labels, "whole", below=classes, dtype=draw(mostly("int64", "int32", "float32"))),
        Draw((*sides, classes), pred, masked=draw(mostly(0, len(sides)))),
    )
    return Case(kind, config, on, draw(SEEDS), call=draw(weights(sides)))


@examples(100)
@given(label_cases())
def test_losses_of_labels(case: Case) -> None:
    check_loss(case)


@st.composite
def shape_cases(draw: st.DrawFn) -> Case:
    """Targets and predictions that differ by an axis of size 1; all else that broadcasts we refuse."""
    kind = draw(st.sampled_from(["MeanSquaredError", "MeanAbsoluteError", "Huber", "BinaryCrossentropy", "Hinge"]))
    shape = (draw(BATCHES), *draw(st.lists(st.integers(2, 5), min_size=1, max_size=2)))
    other = draw(st.sampled_from([shape, (*shape, 1), (*shape[:-1], 7)]))
    if draw(st.booleans()):
        shape, other = other, shape
    config = {"reduction": draw(REDUCTIONS)}
    on = (Draw(shape, "share"), Draw(other, "share"))
    return Case(kind, config, on, draw(SEEDS))


@examples(100)
@given(shape_cases())
def test_losses_of_other_shapes(case: Case) -> None:
    check_loss(case)


@st.composite
def special_cases(draw: st.DrawFn) -> Case:
    batch = draw(st.integers(2, 5))
    config: dict[str, Any] = {"reduction": draw(REDUCTIONS)}
    call = draw(weights((batch,)))
    if draw(st.booleans()):
        config |= {"gamma": draw(either(4.0, 80.0)), "margin": draw(either(0.4, 0.2))}
        config["remove_diagonal"] = draw(st.booleans())
        on = (Draw(draw(either((batch,), (batch, 1))), "whole", below=2), Draw((batch, 4), "share"))
        return Case("Circle", config, on, draw(SEEDS), call=call)
    labels, classes = draw(st.integers(1, 3)), draw(st.integers(2, 4))
    on = (Draw((batch, labels), "whole", below=classes), Draw((batch, 2 * labels + draw(SIZES), classes)))
    return Case("CTC", config, on, draw(SEEDS), call=call)


@examples(50)
@given(special_cases())
def test_circle_and_ctc(case: Case) -> None:
    check_loss(case)
