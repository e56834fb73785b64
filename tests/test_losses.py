"""Losses against the real Keras on torch: values, gradients, weights, masks, extremes; contract and properties."""

from __future__ import annotations

import inspect
import json

import keras
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.fx.experimental.proxy_tensor import make_fx

from closeness import close
from dougong import losses
from dougong.core.errors import ConfigError, ShapeError, UnknownNameError
from dougong.core.names import snake_case

N, T, C = 6, 4, 5
REDUCTIONS = ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None]

#: Loss class, arguments, kind of data.
CASES = [
    ("MeanSquaredError", {}, "numbers"),
    ("MeanAbsoluteError", {}, "numbers"),
    ("MeanAbsolutePercentageError", {}, "numbers"),
    ("MeanSquaredLogarithmicError", {}, "positive"),
    ("Huber", {}, "numbers"),
    ("Huber", {"delta": 0.3}, "numbers"),
    ("LogCosh", {}, "numbers"),
    ("CosineSimilarity", {}, "numbers"),
    ("CosineSimilarity", {"axis": 1}, "numbers"),
    ("Hinge", {}, "signs"),
    ("Hinge", {}, "bits"),
    ("SquaredHinge", {}, "signs"),
    ("SquaredHinge", {}, "bits"),
    ("CategoricalHinge", {}, "one_hot"),
    ("BinaryCrossentropy", {}, "bits"),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, "bits"),
    ("BinaryCrossentropy", {"from_logits": True}, "bits_logits"),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1, "axis": 1}, "bits_logits"),
    ("CategoricalCrossentropy", {}, "one_hot"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "one_hot"),
    ("CategoricalCrossentropy", {"from_logits": True}, "one_hot_logits"),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "one_hot_logits"),
    ("SparseCategoricalCrossentropy", {}, "classes"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "classes_logits"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, "classes"),
    ("SparseCategoricalCrossentropy", {"from_logits": True, "ignore_class": 1}, "classes_logits"),
    ("KLDivergence", {}, "one_hot"),
    ("Poisson", {}, "positive"),
    ("BinaryFocalCrossentropy", {}, "bits"),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True, "gamma": 3.0, "label_smoothing": 0.1}, "bits"),
    ("BinaryFocalCrossentropy", {"from_logits": True}, "bits_logits"),
    ("CategoricalFocalCrossentropy", {}, "one_hot"),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "label_smoothing": 0.1, "alpha": 0.5}, "one_hot_logits"),
    ("Dice", {}, "bits"),
    ("Dice", {"axis": [1]}, "bits"),
    ("Tversky", {"alpha": 0.3, "beta": 0.8}, "bits"),
    ("Tversky", {"axis": [1]}, "bits"),
]
IDS = [f"{name}-{'-'.join(f'{k}={v}' for k, v in args.items())}-{kind}" for name, args, kind in CASES]


def data(kind: str, shape: tuple[int, ...] = (N, C), seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    logits = random.normal(size=shape).astype("float32") * 2
    bits = random.integers(0, 2, shape).astype("float32")
    classes = random.integers(0, shape[-1], shape[:-1])
    one_hot = np.eye(shape[-1], dtype="float32")[classes]
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return {
        "numbers": (random.normal(size=shape).astype("float32"), logits),
        "positive": (random.poisson(2.0, shape).astype("float32"), np.exp(logits)),
        "signs": (2 * bits - 1, logits),
        "bits": (bits, 1 / (1 + np.exp(-logits))),
        "bits_logits": (bits, logits),
        "one_hot": (one_hot, probabilities),
        "one_hot_logits": (one_hot, logits),
        "classes": (classes, probabilities),
        "classes_logits": (classes, logits),
    }[kind]


def value_and_slope(loss, y_true, y_pred, sample_weight=None, mask=None):
    """The loss and its gradient with respect to the predictions."""
    y_pred = torch.tensor(y_pred, requires_grad=True)
    if mask is not None:
        y_pred._keras_mask = torch.tensor(mask)
    weight = None if sample_weight is None else torch.tensor(sample_weight)
    value = loss(torch.as_tensor(y_true), y_pred, sample_weight=weight)
    (slope,) = torch.autograd.grad(value.sum(), y_pred)
    return value, slope


def both(name, args, *inputs, **more):
    theirs = getattr(keras.losses, name)(**args)
    ours = getattr(losses, name)(**args)
    want, want_slope = value_and_slope(theirs, *inputs, **more)
    got, got_slope = value_and_slope(ours, *inputs, **more)
    close(got, want, because=f"{name}{args} value", tolerance=2e-6)
    close(got_slope, want_slope, because=f"{name}{args} gradient", tolerance=1e-5)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name, args, kind", CASES, ids=IDS)
def test_value_and_gradient_equal_keras(name, args, kind, reduction):
    both(name, {**args, "reduction": reduction}, *data(kind))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name, args, kind", CASES, ids=IDS)
def test_sample_weights_equal_keras(name, args, kind, reduction):
    if name in ("Dice", "Tversky") and not args.get("axis"):
        pytest.skip("a single value for the batch has no samples to weigh")
    y_true, y_pred = data(kind)
    some = np.array([0.0, 1.0, 2.0, 0.5, 0.0, 3.0], dtype="float32")
    for weight in (some, some[:, None], np.zeros(N, "float32")):
        if weight.ndim == 2 and args.get("ignore_class") is not None:
            continue  # Keras multiplies in place there, and fails
        both(name, {**args, "reduction": reduction}, y_true, y_pred, weight)


SEQUENCES = [case for case in CASES if case[0] not in ("Dice", "Tversky") and case[1].get("axis") is None]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name, args, kind", SEQUENCES)
def test_sequences_with_masks_equal_keras(name, args, kind, reduction):
    y_true, y_pred = data(kind, (N, T, C))
    random = np.random.default_rng(3)
    mask, weight = random.integers(0, 2, (N, T)).astype(bool), random.random((N, T), "float32")
    arguments = {**args, "reduction": reduction}
    both(name, arguments, y_true, y_pred)
    both(name, arguments, y_true, y_pred, weight)
    both(name, arguments, y_true, y_pred, mask=mask)
    both(name, arguments, y_true, y_pred, weight.copy(), mask=mask)
    both(name, arguments, y_true, y_pred, mask=np.zeros((N, T), bool))


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("axis", [1, 2, -1])
def test_class_axis_equals_keras(axis, from_logits):
    random = np.random.default_rng(0)
    scores = random.random((3, 4, 5, 6), "float32")
    classes = random.integers(0, scores.shape[axis], np.delete(scores.shape, axis))
    one_hot = np.moveaxis(np.eye(scores.shape[axis], dtype="float32")[classes], -1, axis)
    arguments = {"axis": axis, "from_logits": from_logits}
    both("CategoricalCrossentropy", {**arguments, "label_smoothing": 0.1}, one_hot, scores)
    # Keras's own sparse gradient fails here ("grad_input must be contiguous"), so its one-hot loss is the reference.
    want, want_slope = value_and_slope(keras.losses.CategoricalCrossentropy(**arguments), one_hot, scores)
    for labels in (classes, np.expand_dims(classes, axis)):
        got, slope = value_and_slope(losses.SparseCategoricalCrossentropy(**arguments), labels, scores)
        close(got, want, because="sparse value", tolerance=2e-6)
        close(slope, want_slope, because="sparse gradient")
    both("BinaryCrossentropy", {**arguments, "reduction": None}, one_hot, scores)


@pytest.mark.parametrize("true_shape, pred_shape", [((N,), (N, 1)), ((N, 1), (N,)), ((N,), (N,)), ((N, T), (N, T, 1))])
@pytest.mark.parametrize("name", ["MeanSquaredError", "Hinge", "BinaryCrossentropy", "LogCosh", "Poisson"])
@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8", "bool", "float64"])
def test_last_axis_of_one_is_added_or_dropped_as_in_keras(name, true_shape, pred_shape, dtype):
    random = np.random.default_rng(0)
    y_true = random.integers(0, 2, true_shape).astype(dtype)
    both(name, {"reduction": None}, y_true, random.random(pred_shape, "float32"))


@pytest.mark.parametrize("kind, name", [("bits", "BinaryCrossentropy"), ("bits", "BinaryFocalCrossentropy")])
def test_saturated_probabilities_equal_keras(kind, name):
    y_pred = np.array([[0.0, 1.0, 1e-9, 1 - 1e-7, 0.5, 1e-6, 1 - 1e-6, 1e-3]], "float32").repeat(2, 0)
    y_true = np.stack([np.zeros(8, "float32"), np.ones(8, "float32")])
    both(name, {}, y_true, y_pred)


@pytest.mark.parametrize("name, args, kind", [case for case in CASES if case[1].get("from_logits")])
@pytest.mark.parametrize("size", [1e2, 1e4, 1e30])
def test_extreme_logits_have_finite_gradients(name, args, kind, size):
    y_true, y_pred = data(kind)
    value, slope = value_and_slope(getattr(losses, name)(**args), y_true, np.sign(y_pred) * np.float32(size))
    assert torch.isfinite(slope).all() and torch.isfinite(value), f"{name} at logits of {size}"


def test_a_nan_prediction_gives_nan_and_no_crash():
    y_pred = torch.tensor([[float("nan")], [0.5]], requires_grad=True)
    value = losses.BinaryCrossentropy()([[1.0], [1.0]], y_pred)
    assert torch.isnan(value)


@pytest.mark.parametrize("name, args, kind", CASES, ids=IDS)
def test_an_empty_batch_is_zero(name, args, kind):
    if name in ("Dice", "Tversky"):
        pytest.skip("no overlap of nothing: 1, as in Keras")
    y_true, y_pred = data(kind)
    value = getattr(losses, name)(**args)(y_true[:0], torch.tensor(y_pred[:0], requires_grad=True))
    assert value.shape == () and value == 0 and value.requires_grad


@pytest.mark.parametrize("name, args, kind", CASES, ids=IDS)
def test_gradient_in_float64(name, args, kind):
    y_true, y_pred = data(kind, (3, 4))
    loss = getattr(losses, name)(dtype="float64", **args)
    y_pred = torch.tensor(y_pred, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: loss(y_true, p), y_pred)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name, args, kind", CASES, ids=IDS)
def test_a_trace_replays_on_other_data(name, args, kind, weighted):
    if weighted and name in ("Dice", "Tversky"):
        pytest.skip("no samples to weigh")
    loss = getattr(losses, name)(**args)

    def step(y_true, y_pred, weight):
        value = loss(y_true, y_pred, weight if weighted else None)
        return value, torch.autograd.grad(value, y_pred)[0]

    def inputs(seed):
        y_true, y_pred = data(kind, seed=seed)
        weight = torch.tensor(np.random.default_rng(seed).random(N, "float32"))
        return torch.as_tensor(y_true), torch.tensor(y_pred, requires_grad=True), weight

    traced = make_fx(step)(*inputs(0))
    for got, want in zip(traced(*inputs(1)), step(*inputs(1)), strict=True):
        close(got, want, because=f"{name} traced", tolerance=1e-7)


@pytest.mark.parametrize(
    "loss, kind, most",
    [
        (losses.MeanSquaredError(), "numbers", 1),
        (losses.MeanAbsoluteError(), "numbers", 3),
        (losses.BinaryCrossentropy(), "bits", 3),
        (losses.BinaryCrossentropy(from_logits=True), "bits_logits", 2),
        (losses.CategoricalCrossentropy(from_logits=True), "one_hot_logits", 4),
        (losses.SparseCategoricalCrossentropy(from_logits=True), "classes_logits", 2),
        (losses.SparseCategoricalCrossentropy(), "classes", 5),
    ],
)
def test_the_plain_mean_is_a_few_kernels(loss, kind, most):
    y_true, y_pred = (torch.as_tensor(array) for array in data(kind))
    graph = make_fx(loss)(y_true, y_pred).graph
    graph.eliminate_dead_code()
    calls = [node.target for node in graph.nodes if node.op == "call_function" and "getitem" not in str(node.target)]
    assert len(calls) <= most, calls


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(range(N)), case=st.sampled_from(CASES))
def test_a_mean_does_not_depend_on_the_order_of_samples(order, case):
    name, args, kind = case
    y_true, y_pred = data(kind)
    loss = getattr(losses, name)(**args)
    close(loss(y_true[order], y_pred[order]), loss(y_true, y_pred), because=f"{name} permuted")


@settings(max_examples=30, deadline=None)
@given(case=st.sampled_from(CASES), weights=st.lists(st.sampled_from([0.0, 1.0]), min_size=N, max_size=N))
def test_zero_weights_leave_samples_out(case, weights):
    name, args, kind = case
    if name in ("Dice", "Tversky", "Hinge", "SquaredHinge") or not any(weights):
        return  # what these make of a sample depends on the others
    kept = np.array(weights) > 0
    y_true, y_pred = data(kind)
    loss = getattr(losses, name)(reduction="sum", **args)
    close(loss(y_true, y_pred, weights), loss(y_true[kept], y_pred[kept]), because=f"{name} weighted 0 and 1")


def test_a_weight_a_sample_applies_to_all_its_steps():
    y_true, y_pred = data("numbers", (T, T, C))
    got = losses.MeanSquaredError(reduction="none")(y_true, y_pred, [1.0, 0.0, 2.0, 1.0])
    want = ((y_true - y_pred) ** 2).mean(-1) * np.array([[1.0], [0.0], [2.0], [1.0]])
    close(got, want, because="weights lie along the first axis, even where N equals T")


def test_weights_given_are_not_changed():
    weight = torch.ones(N, T)
    y_pred = torch.zeros(N, T, C)
    y_pred._keras_mask = torch.zeros(N, T, dtype=torch.bool)
    losses.MeanSquaredError()(torch.ones(N, T, C), y_pred, weight)
    close(weight, np.ones((N, T)), because="the caller's weights")


class TestCTC:
    Y = np.array([[1, 2, 2, 3], [4, 1, 0, 0], [2, 0, 0, 0], [0, 0, 0, 0]])
    P = np.random.default_rng(0).normal(size=(4, 9, C)).astype("float32")

    @pytest.mark.parametrize("reduction", REDUCTIONS)
    def test_equals_keras(self, reduction):
        both("CTC", {"reduction": reduction}, self.Y, self.P)
        both("CTC", {"reduction": reduction}, self.Y.astype("int32"), self.P, np.array([1, 0, 2, 1], "float32"))

    def test_blank_is_class_0_and_zeros_are_padding(self):
        want = F.ctc_loss(
            torch.tensor(self.P).log_softmax(-1).transpose(0, 1),
            torch.tensor(self.Y),
            torch.full((4,), 9),
            torch.tensor([4, 2, 1, 0]),
            blank=0,
            reduction="none",
        )
        close(losses.ctc(self.Y, self.P), want, because="torch's own with lengths written out")

    def test_two_steps_by_hand(self):
        # One label in two steps: 1b, b1 and 11 of nine equally likely paths.
        close(losses.ctc([[1]], np.zeros((1, 2, 3), "float32")), [np.log(9 / 3)], because="three paths of nine")

    def test_what_cannot_fit_is_infinite(self):
        value = losses.ctc([[1, 1, 1]], np.zeros((1, 4, 3), "float32"))
        assert torch.isinf(value), "three equal labels need five steps"

    def test_a_trace_takes_lengths_from_the_labels(self):
        traced = make_fx(losses.ctc)(torch.tensor(self.Y), torch.tensor(self.P))
        other = torch.tensor(self.Y[[1, 2, 3, 0]])
        close(traced(other, torch.tensor(self.P)), losses.ctc(other, self.P), because="other lengths")

    def test_shapes_are_checked(self):
        with pytest.raises(ShapeError, match=r"\(4,\).*\(4, 9, 5\)"):
            losses.CTC()(self.Y[:, 0], self.P)


class TestCircle:
    def test_equals_keras(self):
        random = np.random.default_rng(0)
        embeddings = random.normal(size=(8, 3)).astype("float32")
        embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
        for arguments in ({}, {"gamma": 2.0, "margin": 0.2}, {"gamma": 1.0, "remove_diagonal": False}):
            both("Circle", {**arguments, "reduction": None}, np.array([0, 0, 0, 1, 1, 2, 2, 2]), embeddings)
            both("Circle", arguments, np.array([[0], [0], [0], [1], [1], [2], [2], [2]]), embeddings)

    def test_a_sample_without_partner_gives_0_and_no_nan(self):
        value, slope = value_and_slope(losses.Circle(), np.array([0, 0, 1]), np.eye(3, dtype="float32"))
        assert torch.isfinite(value) and torch.isfinite(slope).all()


def test_generalized_crossentropy_equals_keras():
    y_true, y_pred = data("classes")
    both("CategoricalGeneralizedCrossEntropy", {"q": 0.7}, y_true, y_pred)
    with pytest.raises(ConfigError):
        losses.CategoricalGeneralizedCrossEntropy(q=1.0)


class TestRefusals:
    def test_class_numbers_for_a_categorical_loss(self):
        with pytest.raises(ShapeError, match=r"\(6,\).*\(6, 5\).*SparseCategoricalCrossentropy"):
            losses.CategoricalCrossentropy()(np.zeros(6, int), np.zeros((6, 5)))
        with pytest.raises(ShapeError, match="SparseCategoricalCrossentropy"):
            losses.CategoricalCrossentropy()(np.zeros((6, 1), int), np.zeros((6, 5)))

    def test_one_hot_targets_for_a_sparse_loss(self):
        with pytest.raises(ShapeError, match=r"\(6, 5\).*CategoricalCrossentropy"):
            losses.SparseCategoricalCrossentropy()(np.zeros((6, 5)), np.zeros((6, 5)))

    @pytest.mark.parametrize("name", ["MeanSquaredError", "Hinge", "BinaryCrossentropy", "KLDivergence", "Dice"])
    @pytest.mark.parametrize("true_shape", [(6, 1), (5,), (6, 4), (7, 5)])
    def test_shapes_that_do_not_fit(self, name, true_shape):
        with pytest.raises(ShapeError, match=r"y_true has shape.*\(6, 5\)"):
            getattr(losses, name)()(np.zeros(true_shape), np.zeros((6, 5)))

    def test_weights_that_do_not_fit(self):
        with pytest.raises(ShapeError, match=r"\(4,\)"):
            losses.MeanSquaredError()(np.zeros((6, 5)), np.zeros((6, 5)), np.zeros(4))

    def test_unknown_names_list_near_ones(self):
        with pytest.raises(UnknownNameError, match="mean_squared_error"):
            losses.get("mean_square_error")
        with pytest.raises(UnknownNameError, match="sum_over_batch_size"):
            losses.MeanSquaredError(reduction="sum_over_batch")
        with pytest.raises(ConfigError):
            losses.Huber(delta=0.0)

    def test_one_class_is_warned_of_as_in_keras(self):
        with pytest.warns(SyntaxWarning):
            losses.CategoricalCrossentropy()(np.ones((3, 1)), np.ones((3, 1)))

    def test_a_torch_loss_takes_its_arguments_the_other_way_round(self):
        with pytest.raises(ConfigError, match="y_pred, y_true"):
            losses.loss_for(torch.nn.MSELoss(), (6, 1), (6, 1))


CLASSES = [name for name in losses.__all__ if name[0].isupper() and name not in ("Loss", "PointwiseLoss")]


@pytest.mark.parametrize("name", [name for name in CLASSES if name != "LossFunctionWrapper"])
def test_config_round_trip_and_signature(name):
    ours, theirs = getattr(losses, name), getattr(keras.losses, name)
    loss = ours()
    assert set(theirs().get_config()) <= set(loss.get_config()), "Keras's config has more"
    assert loss.name == theirs().name and loss.reduction == theirs().reduction
    again = losses.deserialize(json.loads(json.dumps(losses.serialize(loss))))
    assert type(again) is ours and again.get_config() == loss.get_config()
    keras.losses.deserialize(losses.serialize(loss))


@pytest.mark.parametrize("name", [name for name in CLASSES if hasattr(keras.losses, name)])
def test_arguments_stand_in_keras_order(name):
    ours, theirs = (list(inspect.signature(getattr(module, name)).parameters) for module in (losses, keras.losses))
    assert ours == theirs


def test_a_changed_config_is_kept():
    loss = losses.Huber(2.0, "sum", "mine", dtype="float64")
    again = losses.Huber.from_config(loss.get_config())
    assert (again.delta, again.reduction, again.name, again.dtype) == (2.0, "sum", "mine", torch.float64)
    wrapped = losses.LossFunctionWrapper(losses.huber, name="h", delta=0.5)
    again = losses.deserialize(losses.serialize(wrapped))
    close(again([[0.0]], [[3.0]]), wrapped([[0.0]], [[3.0]]), because="a wrapped function and its arguments")


ALIASES = ["mse", "MSE", "mae", "MAE", "mape", "MAPE", "msle", "MSLE", "bce", "BCE", "kld", "KLD"]
FUNCTIONS = [name for name in losses.__all__ if name[0].islower() and hasattr(keras.losses, name)]
FUNCTIONS = [name for name in FUNCTIONS if name not in ("get", "serialize", "deserialize")]


def test_every_keras_name_is_known():
    theirs = [name for name in dir(keras.losses) if not name.startswith("_")]
    assert not [name for name in theirs if not hasattr(losses, name)]


@pytest.mark.parametrize("name", ALIASES + FUNCTIONS + ["logcosh", "kullback_leibler_divergence", "huber_loss"])
def test_names_mean_functions_and_compile_makes_them_classes(name):
    function = losses.get(name)
    if name in ALIASES or (name in FUNCTIONS and name != "categorical_generalized_cross_entropy"):
        assert function.__name__ == keras.losses.get(name).__name__
    loss = losses.loss_for(name, (6, 5), (6, 5))
    assert type(loss) is not losses.LossFunctionWrapper and loss.name == name


@pytest.mark.parametrize("name, args, kind", CASES, ids=IDS)
def test_functions_take_arrays_and_equal_keras(name, args, kind):
    function = snake_case(name)
    y_true, y_pred = data(kind)
    want = getattr(keras.losses, function)(y_true, y_pred, **args)
    close(getattr(losses, function)(y_true, y_pred, **args), want, because=function, tolerance=2e-6)


@pytest.mark.parametrize(
    "shapes, want",
    [
        (((6, 1), (6, 1)), losses.BinaryCrossentropy),
        (((6,), (6, 5)), losses.SparseCategoricalCrossentropy),
        (((6, 1), (6, 5)), losses.SparseCategoricalCrossentropy),
        (((6, 5), (6, 5)), losses.CategoricalCrossentropy),
    ],
)
def test_crossentropy_is_chosen_by_shape(shapes, want):
    assert type(losses.loss_for("crossentropy", *shapes)) is want
    assert type(losses.loss_for("ce", *shapes)) is want


def test_a_function_of_the_user():
    def mine(y_true, y_pred):
        return (y_true - y_pred).abs().amax(-1)

    loss = losses.loss_for(mine, (6, 5), (6, 5))
    assert isinstance(loss, losses.LossFunctionWrapper) and loss.name == "mine"
    theirs = keras.losses.Loss.__subclasses__()[0](mine)
    y_true, y_pred = data("numbers")
    close(loss(y_true, y_pred), theirs(y_true, torch.tensor(y_pred)), because="wrapped by Keras too")
    assert losses.loss_for(None, (6, 5), (6, 5)) is None
