"""Recurrent layers, cells, stacks, wrappers and ConvLSTM: states, directions, masks, modes."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from properties.case import Block, Case, Draw, examples
from properties.comparison import check
from properties.strategies import BATCHES, FORMATS, SEEDS, SIZES, either, mostly, options

FLOATS = mostly("float32", "float64")
SMOOTH = mostly("tanh", "sigmoid", "relu", "linear", "elu", "softsign")
KINDS = st.sampled_from(["SimpleRNN", "LSTM", "GRU"])
WEIGHTS = ("kernel", "recurrent", "bias")
# What Keras cannot do: a mask, unrolled and backwards; gradients of a stateful layer, which writes to what they need.
LIMITS = ("'tuple' object has no attribute 'shape'", "modified by an inplace operation")
STATES = {"SimpleRNN": 1, "GRU": 1, "LSTM": 2}


@st.composite
def cells(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    """What a layer and its cell have in common."""
    config: dict[str, Any] = {"units": draw(st.integers(1, 4)), "use_bias": draw(mostly(True, False))}
    if draw(st.booleans()):
        config["activation"] = draw(SMOOTH)
        if kind != "SimpleRNN":
            config["recurrent_activation"] = draw(mostly("sigmoid", "hard_sigmoid", "tanh"))
    if kind == "GRU":
        config["reset_after"] = draw(st.booleans())
    if kind == "LSTM":
        config["unit_forget_bias"] = draw(st.booleans())
    return config


@st.composite
def sequences(draw: st.DrawFn, *, batch: int = 0) -> Draw:
    shape = (batch or draw(BATCHES), draw(SIZES), draw(st.integers(1, 4)))
    return Draw(shape, masked=draw(mostly(0, 2)))


def unmasked(on: Draw) -> tuple[Draw, Draw | None]:
    """The mask as an argument of its own: Keras forgets the inputs' mask where it is given a state, too."""
    return Draw(on.shape), Draw(on.shape[:2], "bool") if on.masked else None


@st.composite
def modes(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "return_sequences": draw(st.booleans()),
        "return_state": draw(st.booleans()),
        "go_backwards": draw(st.booleans()),
        "stateful": draw(mostly(False, True)),
        "unroll": draw(mostly(False, True)),
    }


@st.composite
def layer_cases(draw: st.DrawFn) -> Case:
    kind = draw(KINDS)
    config = draw(cells(kind)) | draw(modes()) | draw(options(*WEIGHTS))
    if kind == "SimpleRNN":
        config.pop("activity_regularizer", None)  # which Keras forgets
    on = draw(sequences())
    call: dict[str, Any] = {}
    if draw(st.integers(0, 3)) == 0:
        states = [Draw((on.shape[0], config["units"])) for _ in range(STATES[kind])]
        call["initial_state"] = states if len(states) > 1 or draw(st.booleans()) else states[0]
        on, call["mask"] = unmasked(on)
    twice = config["stateful"] and draw(st.booleans())
    free = (1,) if not config["unroll"] and not call and draw(st.booleans()) else ()
    training = draw(either(None, True))
    return Case(kind, config, (on,), draw(SEEDS), draw(FLOATS), training, call, free, twice)


@examples(125)
@given(layer_cases())
def test_recurrent_layers(case: Case) -> None:
    check(case, *LIMITS)


@st.composite
def stacked_cases(draw: st.DrawFn) -> Case:
    """RNN around one cell or several."""
    blocks = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(KINDS)
        blocks.append(Block(f"{kind}Cell", draw(cells(kind))))
    cell = blocks[0] if len(blocks) == 1 and draw(st.booleans()) else Block("StackedRNNCells", {"cells": blocks})
    if cell.kind == "StackedRNNCells" and draw(st.booleans()):
        cell = blocks  # type: ignore[assignment]
    config = {"cell": cell} | draw(modes()) | {"zero_output_for_mask": draw(st.booleans())}
    if cell is not blocks[0]:
        config["stateful"] = False  # Keras cannot reset the states of several cells
    twice = config["stateful"] and draw(st.booleans())
    return Case("RNN", config, (draw(sequences()),), draw(SEEDS), draw(FLOATS), twice=twice)


@examples(100)
@given(stacked_cases())
def test_layers_around_cells(case: Case) -> None:
    check(case, *LIMITS, "list index out of range")  # a mask and a stack of one cell


@st.composite
def cell_cases(draw: st.DrawFn) -> Case:
    kind = draw(KINDS)
    config = draw(cells(kind)) | draw(options(*WEIGHTS))
    config.pop("activity_regularizer", None)
    batch = draw(BATCHES)
    states = [Draw((batch, config["units"])) for _ in range(STATES[kind])]
    states_given: Any = states if len(states) > 1 or draw(st.booleans()) else states[0]
    on = (Draw((batch, draw(SIZES))), states_given)
    return Case(f"{kind}Cell", config, on, draw(SEEDS), draw(FLOATS))


@examples(60)
@given(cell_cases())
def test_cells(case: Case) -> None:
    check(case)


@st.composite
def bidirectional_cases(draw: st.DrawFn) -> Case:
    kind = draw(KINDS)
    inner = draw(cells(kind)) | draw(modes()) | {"stateful": False, "go_backwards": draw(mostly(False, True))}
    config: dict[str, Any] = {
        "layer": Block(kind, inner),
        "merge_mode": draw(mostly("concat", "sum", "mul", "ave", None)),
    }
    if draw(st.integers(0, 3)) == 0:
        other = draw(cells(kind)) | {"units": inner["units"]}
        same = {name: inner[name] for name in ("return_sequences", "return_state", "stateful")}
        config["backward_layer"] = Block(kind, other | same | {"go_backwards": not inner["go_backwards"]})
    on = draw(sequences())
    call: dict[str, Any] = {}
    if draw(st.integers(0, 4)) == 0:
        call["initial_state"] = [Draw((on.shape[0], inner["units"])) for _ in range(2 * STATES[kind])]
        on, call["mask"] = unmasked(on)
    return Case("Bidirectional", config, (on,), draw(SEEDS), draw(FLOATS), draw(either(None, True)), call)


@examples(100)
@given(bidirectional_cases())
def test_bidirectional(case: Case) -> None:
    check(case, *LIMITS)


@st.composite
def distributed_cases(draw: st.DrawFn) -> Case:
    inner, sides = draw(
        st.sampled_from(
            [
                (Block("Dense", {"units": 3}), (2,)),
                (Block("Conv1D", {"filters": 2, "kernel_size": 2}), (3, 2)),
                (Block("LSTM", {"units": 2}), (3, 2)),
                (Block("BatchNormalization", {}), (3,)),
                (Block("Flatten", {}), (2, 3)),
                (Block("LayerNormalization", {}), (3,)),
            ]
        )
    )
    on = Draw((draw(BATCHES), draw(SIZES), *sides), masked=draw(mostly(0, 2)))
    training = draw(st.sampled_from([None, True, False]))
    free = (1,) if draw(st.booleans()) else ()
    return Case("TimeDistributed", {"layer": inner}, (on,), draw(SEEDS), draw(FLOATS), training, free=free)


@examples(40)
@given(distributed_cases())
def test_time_distributed(case: Case) -> None:
    check(case, "list assignment index out of range")  # a mask over fewer samples than steps


@st.composite
def convolved_cases(draw: st.DrawFn) -> Case:
    rank = draw(st.sampled_from([1, 2, 1, 2, 3]))
    dilation = draw(mostly(1, 2))
    config: dict[str, Any] = {
        "filters": draw(st.integers(1, 3)),
        "kernel_size": draw(st.integers(1, 3)),
        "strides": 1 if dilation > 1 else draw(mostly(1, 2)),
        "padding": draw(either("valid", "same")),
        "data_format": draw(FORMATS),
        "dilation_rate": dilation,
        "use_bias": draw(mostly(True, False)),
        "recurrent_activation": draw(mostly("sigmoid", "hard_sigmoid")),
        "return_sequences": draw(st.booleans()),
        "return_state": draw(st.booleans()),
        "go_backwards": draw(st.booleans()),
        "stateful": draw(mostly(False, True)),
    }
    batch, steps, channels = draw(BATCHES), draw(st.integers(1, 3)), draw(st.integers(1, 2))
    space = draw(st.tuples(*[st.integers(2, 6 if rank < 3 else 4)] * rank))
    sides = (*space, channels) if config["data_format"] == "channels_last" else (channels, *space)
    on = Draw((batch, steps, *sides), masked=draw(mostly(0, 2)))
    twice = config["stateful"] and draw(st.booleans())
    return Case(f"ConvLSTM{rank}D", config, (on,), draw(SEEDS), draw(FLOATS), twice=twice)


@examples(50)
@given(convolved_cases())
def test_convolutional_lstm(case: Case) -> None:
    check(case, *LIMITS)
