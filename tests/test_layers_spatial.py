"""Dense, convolution, pooling and padding layers against the real Keras: outputs, gradients, shapes, configs."""

from __future__ import annotations

import sys
from typing import Any

import keras
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.fx.experimental.proxy_tensor import make_fx

from closeness import close
from dougong.core.config import serialize
from dougong.core.errors import ConfigError, ShapeError
from dougong.core.symbol import Input
from dougong.layers import adaptive_pooling, convolutional, dense, padding, pooling, separable, transposed
from dougong.layers.layer import Layer
from dougong.layers.spatial import SpatialLayer

# Keras hands its variables to NumPy in a way that NumPy 2 warns of, and warns of a softmax over one unit.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*softmax over axis:UserWarning"),
]

CLASSES: dict[str, type[Layer]] = {
    name: value
    for module in (dense, convolutional, transposed, separable, pooling, adaptive_pooling, padding)
    for name, value in vars(module).items()
    if isinstance(value, type) and issubclass(value, Layer) and name in module.__all__ and hasattr(keras.layers, name)
}


def inputs_for(shape: tuple[int, ...], data_format: str, seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return x if data_format == "channels_last" else np.ascontiguousarray(np.moveaxis(x, -1, 1))


def compare(name: str, config: dict[str, Any], x: np.ndarray) -> None:
    """Ours and Keras's layer with the same random weights: outputs, and gradients of the input and every weight."""
    because = f"{name}({config}) on {x.shape}"
    ours, theirs = CLASSES[name](**config), getattr(keras.layers, name)(**config)
    our_x, their_x = (torch.from_numpy(x.copy()).requires_grad_() for _ in range(2))
    theirs.build(x.shape)
    ours.build(x.shape)
    rng = np.random.default_rng(7)
    weights = [rng.standard_normal(w.shape).astype(np.float32) / 2 for w in theirs.get_weights()]
    theirs.set_weights(weights)
    ours.set_weights(weights)
    got, want = ours(our_x), theirs(their_x)
    close(got, want, because=because, tolerance=2e-5)
    assert tuple(ours.compute_output_shape(x.shape)) == tuple(got.shape), f"{because}: the shape rule"
    down = torch.from_numpy(rng.standard_normal(got.shape).astype(np.float32))
    (got * down).sum().backward()
    (want * down).sum().backward()
    close(our_x.grad, their_x.grad, because=f"{because}: gradient of the input", tolerance=5e-5)
    for one, two in zip(keras_gradients(ours), theirs.trainable_weights, strict=True):
        close(one, two.value.grad, because=f"{because}: gradient of {two.name}", tolerance=1e-4)
    again = type(ours).from_config(ours.get_config())
    assert again.get_config() == ours.get_config(), f"{because}: config round trip"
    back = type(theirs).from_config(ours.get_config())
    back.build(x.shape)
    back.set_weights(ours.get_weights())
    close(back(torch.from_numpy(x)), want, because=f"{because}: Keras reads our config and weights", tolerance=2e-5)
    assert set(theirs.get_config()) <= set(ours.get_config()) | LEFT_OUT, f"{because}: Keras's config keys"


LEFT_OUT = {"activity_regularizer", "quantization_config", "lora_rank", "lora_alpha"}


def keras_gradients(layer: Layer) -> list[torch.Tensor]:
    return [w.layout.to_keras(w.tensor.grad) for w in layer.keras_weights() if w.trainable]


FORMATS = st.sampled_from(["channels_last", "channels_first"])


@st.composite
def windows(draw: st.DrawFn, ranks: tuple[int, ...] = (1, 2, 3), *, dilated: bool = True) -> dict[str, Any]:
    rank = draw(st.sampled_from(ranks))
    axis = {"min_size": rank, "max_size": rank}
    kernel = tuple(draw(st.lists(st.integers(1, 4), **axis)))
    strides = tuple(draw(st.lists(st.integers(1, 3), **axis)))
    dilation = (1,) * rank
    if dilated and max(strides) == 1:
        dilation = tuple(draw(st.lists(st.integers(1, 3), **axis)))
    space = tuple(d * (k - 1) + 1 + draw(st.integers(0, 4)) for k, d in zip(kernel, dilation))
    return {
        "rank": rank,
        "space": space,
        "seed": draw(st.integers(0, 99)),
        "config": {
            "kernel_size": kernel,
            "strides": strides,
            "padding": draw(st.sampled_from(["valid", "same"])),
            "dilation_rate": dilation,
            "data_format": draw(FORMATS),
            "use_bias": draw(st.booleans()),
            "activation": draw(st.sampled_from([None, "tanh", "relu", "softmax"])),
        },
    }


@settings(max_examples=100, deadline=None)
@given(windows(), st.sampled_from([1, 2]), st.booleans())
def test_convolution(w: dict, groups: int, causal: bool) -> None:
    config = {**w["config"], "filters": 4, "groups": groups}
    if causal and w["rank"] == 1:
        config["padding"] = "causal"
    x = inputs_for((2, *w["space"], 4), config["data_format"], w["seed"])
    compare(f"Conv{w['rank']}D", config, x)


@settings(max_examples=80, deadline=None)
@given(windows(), st.booleans())
def test_transposed_convolution(w: dict, chosen: bool) -> None:
    config = {**w["config"], "filters": 3}
    if chosen:
        config["output_padding"] = tuple(stride - 1 for stride in config["strides"])
    x = inputs_for((2, *w["space"], 2), config["data_format"], w["seed"])
    compare(f"Conv{w['rank']}DTranspose", config, x)


@settings(max_examples=80, deadline=None)
@given(windows((1, 2)), st.integers(1, 3), st.booleans())
def test_depthwise_and_separable(w: dict, multiplier: int, mixed: bool) -> None:
    config = {**w["config"], "depth_multiplier": multiplier}
    x = inputs_for((2, *w["space"], 3), config["data_format"], w["seed"])
    if mixed:
        compare(f"SeparableConv{w['rank']}D", {**config, "filters": 5}, x)
    else:
        compare(f"DepthwiseConv{w['rank']}D", config, x)


@settings(max_examples=80, deadline=None)
@given(windows(dilated=False), st.sampled_from(["Max", "Average"]))
def test_pooling(w: dict, kind: str) -> None:
    config = {name: w["config"][name] for name in ("strides", "padding", "data_format")}
    config["pool_size"] = w["config"]["kernel_size"]
    if kind == "Average":  # Keras on torch counts "same" padding at the end; test_convolution_ops compares with JAX
        config["padding"] = "valid"
    x = inputs_for((2, *w["space"], 3), config["data_format"], w["seed"])
    compare(f"{kind}Pooling{w['rank']}D", config, x)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("kind", ["Max", "Average"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("keepdims", [True, False])
def test_global_pooling(rank: int, kind: str, data_format: str, keepdims: bool) -> None:
    x = inputs_for((2, *(3, 4, 5)[:rank], 6), data_format, 0)
    compare(f"Global{kind}Pooling{rank}D", {"data_format": data_format, "keepdims": keepdims}, x)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("kind", ["Max", "Average"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 3, 5), (7, 2, 4)])
def test_adaptive_pooling(rank: int, kind: str, data_format: str, sizes: tuple[int, ...]) -> None:
    x = inputs_for((2, *(5, 4, 7)[:rank], 3), data_format, 0)
    compare(f"Adaptive{kind}Pooling{rank}D", {"output_size": sizes[:rank], "data_format": data_format}, x)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("keepdims", [True, False])
def test_global_average_with_a_mask(data_format: str, keepdims: bool) -> None:
    x = torch.from_numpy(inputs_for((3, 4, 2), data_format, 0))
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1], [0, 1, 0, 1]], dtype=torch.bool)
    options = {"data_format": data_format, "keepdims": keepdims}
    got = CLASSES["GlobalAveragePooling1D"](**options)(x, mask=mask)
    close(got, keras.layers.GlobalAveragePooling1D(**options)(x, mask=mask), because="masked mean")


SPACES: list[tuple[str, dict[str, Any], int]] = [
    *[("ZeroPadding1D", {"padding": p, "data_format": f}, 1) for p in (0, 2, (1, 3)) for f in FORMATS.elements],  # type: ignore[attr-defined]
    *[("ZeroPadding2D", {"padding": p}, 2) for p in (1, (1, 2), ((1, 2), (0, 3)))],
    ("ZeroPadding2D", {"padding": ((1, 2), (0, 3)), "data_format": "channels_first"}, 2),
    *[("ZeroPadding3D", {"padding": p}, 3) for p in (1, (1, 2, 0), ((1, 2), (0, 3), (1, 1)))],
    ("ZeroPadding3D", {"padding": (2, 1, 0), "data_format": "channels_first"}, 3),
    *[("Cropping1D", {"cropping": c}, 1) for c in (1, (0, 2), (2, 0))],
    *[("Cropping2D", {"cropping": c}, 2) for c in (1, (1, 2), ((1, 2), (0, 3)), 0)],
    ("Cropping2D", {"cropping": ((1, 2), (0, 1)), "data_format": "channels_first"}, 2),
    *[("Cropping3D", {"cropping": c}, 3) for c in (1, (1, 2, 0), ((1, 2), (0, 3), (1, 1)))],
    ("Cropping3D", {"cropping": (1, 0, 1), "data_format": "channels_first"}, 3),
    *[("UpSampling1D", {"size": s}, 1) for s in (1, 2, 5)],
    *[("UpSampling2D", {"size": s}, 2) for s in (2, (1, 3), (7, 2))],
    ("UpSampling2D", {"size": (2, 3), "data_format": "channels_first"}, 2),
    *[("UpSampling2D", {"size": (2, 3), "interpolation": i}, 2) for i in ("bilinear", "bicubic")],
    ("UpSampling2D", {"size": 2, "interpolation": "bilinear", "data_format": "channels_first"}, 2),
    *[("UpSampling3D", {"size": s}, 3) for s in (2, (1, 3, 2))],
    ("UpSampling3D", {"size": (2, 1, 3), "data_format": "channels_first"}, 3),
]


@pytest.mark.parametrize(("name", "config", "rank"), SPACES)
def test_padding_cropping_upsampling(name: str, config: dict, rank: int) -> None:
    x = inputs_for((2, *(6, 7, 8)[:rank], 3), config.get("data_format", "channels_last"), 1)
    compare(name, config, x)


@pytest.mark.parametrize("factor", range(1, 33))
def test_upsampling_is_exact_repetition(factor: int) -> None:
    x = torch.arange(13.0).reshape(1, 13, 1)
    close(CLASSES["UpSampling1D"](factor)(x), x.repeat_interleave(factor, 1), because=f"times {factor}", tolerance=0.0)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.integers(1, 6),
    st.booleans(),
    st.sampled_from([None, "linear", "sigmoid", "softmax", "leaky_relu"]),
)
def test_dense(lead: list[int], units: int, use_bias: bool, activation: str | None) -> None:
    x = inputs_for((*lead, 5), "channels_last", 3)
    compare("Dense", {"units": units, "use_bias": use_bias, "activation": activation}, x)


def test_everything_a_layer_takes_reaches_its_weights() -> None:
    config = {
        "kernel_initializer": "he_normal",
        "bias_initializer": "ones",
        "kernel_regularizer": "l2",
        "bias_regularizer": keras.regularizers.serialize(keras.regularizers.L1(0.25)),
        "kernel_constraint": "max_norm",
        "bias_constraint": "non_neg",
    }
    for name, sizes, shape in [
        ("Dense", (3,), (2, 5)),
        ("Conv2D", (3, 2), (2, 5, 5, 3)),
        ("Conv2DTranspose", (3, 2), (2, 5, 5, 3)),
    ]:
        layer = CLASSES[name](*sizes, **config)
        layer(torch.zeros(shape))
        kernel, bias = layer.keras_weights()
        assert (kernel.name, bias.name) == ("kernel", "bias")
        assert type(kernel.regularizer).__name__ == "L2"
        assert type(kernel.constraint).__name__ == "MaxNorm"
        assert bias.regularizer.get_config() == {"l1": 0.25}
        assert type(bias.constraint).__name__ == "NonNeg"
        close(bias.value(), np.ones(3), because="ones")
        close(sum(layer.losses), 0.01 * (layer.kernel**2).sum() + 0.75, because="regularization")
        assert type(layer).from_config(serialize(layer)["config"]).get_config() == layer.get_config()


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_positional_arguments_are_kerass(name: str) -> None:
    import inspect

    def order(cls: type) -> list[str]:
        found = inspect.signature(cls.__init__).parameters.values()
        return [p.name for p in found if p.kind is p.POSITIONAL_OR_KEYWORD][1:]

    ours, theirs = order(CLASSES[name]), order(getattr(keras.layers, name))
    assert ours == theirs[: len(ours)]
    rest = set(theirs[len(ours) :]) if "3DTranspose" not in name else set()
    assert rest <= {"activity_regularizer", "kernel_constraint", "bias_constraint", "depthwise_constraint",
                    "pointwise_constraint", "name", *LEFT_OUT}  # fmt: skip


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_symbols_channels_last_memory_and_tracing(name: str) -> None:
    cls = CLASSES[name]
    rank = cls.rank if issubclass(cls, SpatialLayer) else 1
    arguments = {"Dens": (4,), "Conv": (4, 2), "Sepa": (4, 2), "Dept": (2,), "Adap": (2,)}
    layer = cls(*arguments.get(name[:4], ()))
    symbol = Input((*(None,) * rank, 3))
    out = layer(symbol)
    x = torch.randn(2, *(6, 7, 8)[:rank], 3)
    y = layer(x)
    assert all(rule in (None, size) for rule, size in zip(out.shape, y.shape, strict=True))
    weights = {key: weight.detach() for key, weight in layer.named_parameters()}
    run = lambda given, data: torch.func.functional_call(layer, given, (data,))  # noqa: E731
    close(make_fx(run)(weights, x)(weights, x), y, because=f"{name} traced")
    close(torch.export.export(layer, (x,)).module()(x), y, because=f"{name} exported")
    if "Conv2D" in name or "Pooling2D" in name:
        assert y.is_contiguous(), "channels-last memory goes through without copies"
    assert layer(x[:0]).shape == (0, *y.shape[1:]), "an empty batch"
    close(layer(x[:1]), y[:1], because="a sample's output does not depend on the others", tolerance=1e-5)


@pytest.mark.parametrize(
    ("name", "arguments", "shape", "message"),
    [
        ("Dense", (4,), (3,), r"Dense 'it' needs inputs \[batch, ..., features\]"),
        ("Conv2D", (4, 3), (2, 8, 8), r"Conv2D 'it' takes one tensor of axes \(batch, height, width, channels\)"),
        (
            "Conv1D",
            (4, 5),
            (2, 4, 3),
            r"Conv1D 'it' received shape \(2, 4, 3\), which is too small for kernel_size=\(5,\)",
        ),
        ("MaxPooling2D", (5,), (2, 4, 4, 3), r"MaxPooling2D 'it' received .* too small for pool_size=\(5, 5\)"),
        ("Cropping1D", (2,), (2, 4, 3), r"Cropping1D 'it' .* too small for cropping=\(2, 2\): nothing would be left"),
        ("GlobalMaxPooling1D", (), (2, 0, 3), r"GlobalMaxPooling1D 'it' received shape \(2, 0, 3\)"),
        ("SeparableConv2D", (4, 3), (2, 2, 8, 3), "too small"),
        ("DepthwiseConv1D", (9,), (2, 8, 3), "too small"),
        ("UpSampling3D", (), (2, 8, 8, 3), "depth, height, width"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_with_the_layers_name(
    name: str, arguments: tuple, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        CLASSES[name](*arguments, name="it")(torch.zeros(shape))
    with pytest.raises(ShapeError, match=message):
        CLASSES[name](*arguments, name="it")(Input(batch_shape=shape))


@pytest.mark.parametrize(
    ("name", "arguments", "built", "wrong", "message"),
    [
        ("Dense", (4,), (2, 5), (2, 6), "Dense 'it' was built for 5 features but received shape .2, 6.; add Flatten"),
        (
            "Conv2D",
            (4, 3),
            (2, 8, 8, 3),
            (2, 8, 8, 1),
            "Conv2D 'it' was built for 3 channels but .* 1 channels",
        ),
        ("Conv2D", (4, 3), (2, 8, 8, 3), (2, 2, 8, 3), "too small for kernel_size"),
        ("Conv2DTranspose", (4, 3), (2, 8, 8, 3), (2, 8, 8, 1), "was built for 3 channels"),
        ("DepthwiseConv2D", (3,), (2, 8, 8, 3), (2, 8, 8, 1), "was built for 3 channels"),
        ("MaxPooling1D", (3,), (2, 8, 3), (2, 2, 3), "too small for pool_size"),
        ("Cropping1D", (2,), (2, 8, 3), (2, 4, 3), "too small for cropping"),
    ],
)
def test_a_built_layer_explains_what_torch_refuses(
    name: str, arguments: tuple, built: tuple[int, ...], wrong: tuple[int, ...], message: str
) -> None:
    layer = CLASSES[name](*arguments, name="it")
    layer(torch.zeros(built))
    for value in (torch.zeros(wrong), np.zeros(wrong, np.float32), Input(batch_shape=wrong)):
        with pytest.raises(ShapeError, match=message):
            layer(value)


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("Dense", {"units": 0}, "units must be an int >= 1; got 0"),
        ("Dense", {"units": 2.5}, "units must be an int >= 1; got 2.5"),
        ("Conv2D", {"filters": 4, "kernel_size": (3, 3, 3)}, "kernel_size must be an int or 2 ints"),
        ("Conv2D", {"filters": 4, "kernel_size": 3, "padding": "causal"}, "padding must be one of 'valid', 'same'"),
        ("Conv2D", {"filters": 3, "kernel_size": 3, "groups": 2}, "filters=3 must be a multiple of groups=2"),
        ("Conv2D", {"filters": 3, "kernel_size": 3, "strides": 2, "dilation_rate": 2}, "only one of them"),
        ("Conv2DTranspose", {"filters": 3, "kernel_size": 3, "output_padding": 1}, "must be below strides"),
        ("Conv2D", {"filters": 3, "kernel_size": 3, "data_format": "NHWC"}, "'channels_last' or 'channels_first'"),
        ("UpSampling2D", {"interpolation": "lanczos3"}, "'nearest', 'bilinear' or 'bicubic'"),
        ("ZeroPadding2D", {"padding": (1, 2, 3)}, "padding must be an int, 2 ints or 2 pairs"),
        ("Cropping1D", {"cropping": -1}, "cropping must be an int or 2 ints, each >= 0"),
        ("Dense", {"units": 3, "activaton": "relu"}, "did you mean 'activation'"),
    ],
)
def test_bad_arguments_are_refused(name: str, config: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CLASSES[name](**config)


def test_groups_must_divide_the_channels() -> None:
    with pytest.raises(ShapeError, match="groups=2, which does not divide the 3 channels"):
        CLASSES["Conv2D"](4, 3, groups=2, name="it")(torch.zeros(1, 8, 8, 3))
    with pytest.raises(ShapeError, match="needs the number of channels"):
        CLASSES["Conv2D"](4, 3, name="it")(Input((8, 8, None)))


@pytest.mark.parametrize("name", ["Dense", "Conv2D", "MaxPooling2D"])
def test_from_the_call_to_torch_are_few_python_frames(name: str) -> None:
    layer = CLASSES[name](*{"Dense": (4,), "Conv2D": (4, 3)}.get(name, ()))
    x = torch.zeros(2, 8, 8, 3)
    layer(x)
    depth = deepest = 0

    def profile(frame: Any, event: str, argument: Any) -> None:
        nonlocal depth, deepest
        if event == "call":
            depth += 1
            deepest = max(deepest, depth)
        elif event == "return":
            depth -= 1

    sys.setprofile(profile)
    try:
        layer(x)
    finally:
        sys.setprofile(None)
    assert deepest <= 5, f"{deepest} Python frames between the user's call and the kernel"


def test_state_dict_is_torchs() -> None:
    layer = CLASSES["Conv2D"](8, (5, 3))
    layer(torch.zeros(1, 9, 9, 4))
    assert {k: tuple(v.shape) for k, v in layer.state_dict().items()} == {"weight": (8, 4, 5, 3), "bias": (8,)}
    assert tuple(layer.kernel.shape) == (5, 3, 4, 8)
    plain = torch.nn.Conv2d(4, 8, (5, 3))
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(1, 9, 9, 4)
    close(layer(x), plain(x.movedim(-1, 1)).movedim(1, -1), because="torch's own layer with these weights")
