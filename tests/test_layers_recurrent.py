"""SimpleRNN, LSTM, GRU, RNN over cells and Bidirectional against Keras: outputs, gradients, masks, states."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closeness import close
from dougong.core.errors import ConfigError, ShapeError
from dougong.core.symbol import Input
from dougong.layers.basic import Masking
from dougong.layers.embedding import Embedding
from dougong.layers.layer import Layer
from dougong.layers.recurrence import gated_recurrence, plain_recurrence
from dougong.layers.recurrent import GRU, LSTM, RNN, SimpleRNN
from dougong.layers.recurrent_cells import GRUCell, LSTMCell, SimpleRNNCell
from dougong.layers.stacked_cells import StackedRNNCells
from dougong.layers.wrappers import Bidirectional
from keras_twins import compare, numbers, randomize, traced_equals_eager

PAIRS = [(SimpleRNN, keras.layers.SimpleRNN), (LSTM, keras.layers.LSTM), (GRU, keras.layers.GRU)]
MASK = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1], [0, 0, 0, 0, 0]], bool)
X = numbers(3, 5, 4)

OPTIONS = [
    {},
    {"return_sequences": True},
    {"return_state": True},
    {"return_sequences": True, "return_state": True, "go_backwards": True},
    {"use_bias": False, "return_sequences": True},
    {"activation": "relu", "return_sequences": True},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_equals_keras(ours, theirs, options):
    compare(ours(6, **options), theirs(6, **options), X)


@pytest.mark.parametrize(
    "options",
    [
        {"reset_after": False},
        {"reset_after": False, "use_bias": False, "return_sequences": True},
        {"recurrent_activation": "hard_sigmoid", "activation": "softsign"},
        {"recurrent_activation": "hard_sigmoid", "reset_after": False},
    ],
)
def test_gru_variants_equal_keras(options):
    compare(GRU(6, **options), keras.layers.GRU(6, **options), X)


def test_lstm_variants_equal_keras():
    options = {"recurrent_activation": "hard_sigmoid", "unit_forget_bias": False, "return_state": True}
    compare(LSTM(6, **options), keras.layers.LSTM(6, **options), X)
    fresh = LSTM(2)
    fresh(torch.zeros(1, 2, 3))
    close(fresh.cell.bias, [0, 0, 1, 1, 0, 0, 0, 0], because="unit_forget_bias")


@settings(max_examples=30, deadline=None)
@given(
    kind=st.integers(0, 2),
    return_sequences=st.booleans(),
    return_state=st.booleans(),
    go_backwards=st.booleans(),
    zero_output_for_mask=st.booleans(),
    with_state=st.booleans(),
    seed=st.integers(0, 99),
)
def test_masks_and_states_equal_keras(kind, with_state, seed, **options):
    ours, theirs = PAIRS[kind][0](3, **options), PAIRS[kind][1](3, **options)
    x, mask = numbers(4, 5, 2, seed=seed), np.random.default_rng(seed).random((4, 5)) < 0.6
    states = [numbers(4, 3, seed=seed + n) for n in range(2 if kind == 1 else 1)] if with_state else None
    ours(torch.tensor(x)), theirs(x)
    randomize(ours, theirs, seed)
    given_states = None if states is None else [torch.tensor(s) for s in states]
    got = ours(torch.tensor(x), initial_state=given_states, mask=torch.tensor(mask))
    want = theirs(torch.tensor(x), initial_state=given_states, mask=torch.tensor(mask))
    got, want = (got, want) if return_state_of(options) else ((got,), (want,))
    for a, b in zip(got, want, strict=True):
        close(a, b, because=f"{type(ours).__name__} {options}")


def return_state_of(options):
    return options["return_state"]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_masked_gradients_equal_keras(ours, theirs):
    compare(ours(3, return_sequences=True), theirs(3, return_sequences=True), X, mask=torch.tensor(MASK), symbols=False)


def test_masks_come_from_masking_and_embedding_and_go_on():
    tokens = torch.tensor([[3, 1, 0, 0], [2, 0, 0, 0]])
    embedding, lstm = Embedding(5, 4, mask_zero=True), LSTM(3, return_sequences=True)
    embedded = embedding(tokens)
    outputs = lstm(embedded)
    assert outputs._keras_mask.tolist() == [[True, True, False, False], [True, False, False, False]]
    close(outputs[1, 1:], outputs[1, :1].expand(3, 3).detach(), because="masked steps repeat the output before them")
    close(lstm(embedded[:1, :2])[0], outputs[0, :2].detach(), because="as if the padding were not there")
    x = torch.tensor(X)
    x[0, 3:] = 0
    assert getattr(GRU(3)(Masking()(x)), "_keras_mask", None) is None


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_stateful_equals_keras(ours, theirs):
    a, b = ours(3, stateful=True), theirs(3, stateful=True)
    a(torch.tensor(X)), b(X)
    randomize(a, b)
    a.reset_state(), b.reset_state()
    for step in range(3):
        x = numbers(3, 2, 4, seed=step)
        close(a(torch.tensor(x)), b(x), because=f"batch {step}")
    a.reset_state()
    assert all(not state.any() for state in a.states)
    a.reset_state([np.ones((3, 3), "float32")] * len(a.states))
    assert all(state.eq(1).all() for state in a.states)
    assert not any("state" in name for name in a.state_dict())


def test_stateful_needs_a_batch_size():
    with pytest.raises(ShapeError, match="fixed batch size"):
        LSTM(3, stateful=True)(Input((5, 2)))


class Minimal(Layer):
    """A cell of the user's own, as in Keras's documentation."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = self.state_size = units

    def build(self, input_shape):
        self.kernel_own = self.add_weight((input_shape[-1], self.units), "ones", name="kernel_own")

    def call(self, inputs, states):
        output = torch.tanh(inputs @ self.kernel_own + states[0])
        return output, [output]


def test_rnn_over_a_cell_of_the_users_own():
    layer = RNN(Minimal(3), return_sequences=True, return_state=True)
    outputs, state = layer(torch.tensor(X))
    h = np.zeros((3, 3))
    for t in range(5):
        h = np.tanh(X[:, t].sum(-1, keepdims=True) + h)
        close(outputs[:, t], h, because=f"step {t}")
    close(state, h, because="last state")
    masked, state = layer(torch.tensor(X), mask=torch.tensor(MASK))
    close(masked[0, 4], masked[0, 3].detach(), because="masked step repeats")
    close(state[0], masked[0, 4].detach(), because="the state waits")


CELLS = [
    (SimpleRNNCell, keras.layers.SimpleRNNCell),
    (LSTMCell, keras.layers.LSTMCell),
    (GRUCell, keras.layers.GRUCell),
]


@pytest.mark.parametrize(("ours", "theirs"), CELLS)
def test_cells_equal_keras(ours, theirs):
    layer, reference = RNN(ours(3), return_state=True), keras.layers.RNN(theirs(3), return_state=True)
    compare(layer, reference, X)
    states = [numbers(3, 3, seed=s) for s in range(2 if ours is LSTMCell else 1)]
    got = layer.cell(torch.tensor(X[:, 0]), [torch.tensor(s) for s in states])
    want = reference.cell(torch.tensor(X[:, 0]), [torch.tensor(s) for s in states])
    close(got[0], want[0].detach(), because="one step")
    for a, b in zip(got[1], want[1], strict=True):
        close(a, b.detach(), because="states of one step")


@pytest.mark.parametrize("mask", [None, MASK])
def test_stacked_cells_equal_keras(mask):
    layer = RNN([LSTMCell(4), GRUCell(3), SimpleRNNCell(2)], return_sequences=True)
    cells = [keras.layers.LSTMCell(4), keras.layers.GRUCell(3), keras.layers.SimpleRNNCell(2)]
    call = {} if mask is None else {"mask": torch.tensor(mask)}
    compare(layer, keras.layers.RNN(cells, return_sequences=True), X, **call)
    assert isinstance(layer.cell, StackedRNNCells)


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "ave", "mul", None])
@pytest.mark.parametrize("options", [{}, {"return_sequences": True}, {"return_sequences": True, "return_state": True}])
def test_bidirectional_equals_keras(merge_mode, options):
    ours = Bidirectional(LSTM(3, **options), merge_mode=merge_mode)
    compare(ours, keras.layers.Bidirectional(keras.layers.LSTM(3, **options), merge_mode=merge_mode), X)


@pytest.mark.parametrize("return_sequences", [False, True])
def test_masked_bidirectional_equals_keras(return_sequences):
    ours = Bidirectional(GRU(3, return_sequences=return_sequences))
    theirs = keras.layers.Bidirectional(keras.layers.GRU(3, return_sequences=return_sequences))
    compare(ours, theirs, X, mask=torch.tensor(MASK), symbols=False)


def test_bidirectional_takes_a_backward_layer_and_states():
    ahead, back = LSTM(3, return_state=True), LSTM(3, activation="relu", go_backwards=True, return_state=True)
    ours = Bidirectional(ahead, backward_layer=back)
    keras_back = keras.layers.LSTM(3, activation="relu", go_backwards=True, return_state=True)
    theirs = keras.layers.Bidirectional(keras.layers.LSTM(3, return_state=True), backward_layer=keras_back)
    states = [torch.tensor(numbers(3, 3, seed=s)) for s in range(4)]
    ours(torch.tensor(X)), theirs(X)
    randomize(ours, theirs)
    got, want = ours(torch.tensor(X), initial_state=states), theirs(torch.tensor(X), initial_state=states)
    for a, b in zip(got, want, strict=True):
        close(a, b.detach(), because="with states")
    with pytest.raises(ConfigError, match="go backwards"):
        Bidirectional(LSTM(3), backward_layer=LSTM(3))
    with pytest.raises(ConfigError, match="merge_mode"):
        Bidirectional(LSTM(3), merge_mode="max")


@pytest.mark.parametrize("kind", [SimpleRNN, LSTM, GRU])
@pytest.mark.parametrize("options", [{"dropout": 0.5}, {"dropout": 0.3, "recurrent_dropout": 0.5}])
def test_dropout_is_for_training_and_seeded(kind, options):
    x = torch.tensor(X)
    layer = kind(6, seed=5, return_sequences=True, **options)
    plain = layer(x)
    close(layer(x), plain.detach(), because="inference draws nothing")
    drawn, again = layer(x, training=True), layer(x, training=True)
    assert not torch.allclose(drawn, plain)
    assert not torch.allclose(drawn, again)
    twin = type(layer).from_config(layer.get_config())
    twin(x)
    twin.set_weights(layer.get_weights())
    close(twin(x, training=True), drawn.detach(), because="the seed fixes the stream")


@pytest.mark.parametrize("kind", [SimpleRNNCell, LSTMCell, GRUCell])
@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_recurrent_masks_reach_every_gate(kind, rate, monkeypatch):
    """With masks of ones the loop is the plain layer; with zeros the state's part is gone."""
    x = torch.tensor(X)
    cell = kind(3, recurrent_dropout=0.5)
    layer = RNN(cell, return_sequences=True)
    plain = layer(x)
    value = 1.0 - rate
    monkeypatch.setattr(type(cell), "keep_mask", lambda self, like, shape, _: torch.full(tuple(shape), value * 0.5))
    got = layer(x, training=True)
    if rate == 0.0:
        close(got, plain.detach(), because="masks of ones")
    else:
        with torch.no_grad():
            cell.weight_hh.zero_()
        close(got, layer(x).detach(), because="masks of zeros")


@pytest.mark.parametrize("options", [{}, {"dropout": 0.5}, {"recurrent_dropout": 0.5, "dropout": 0.2}])
@pytest.mark.parametrize("kind", [SimpleRNN, LSTM, GRU])
def test_traces(kind, options):
    graph = traced_equals_eager(kind(3, return_sequences=True, **options), torch.tensor(X), training=bool(options))
    targets = {str(node.target) for node in graph.graph.nodes}
    if kind is LSTM and options == {}:
        assert "aten.mkldnn_rnn_layer.default" in targets, "the fused kernel"


@pytest.mark.parametrize("outputs", ["all", "last", "both"])
@pytest.mark.parametrize("kind", ["tanh", "relu", "gated", "gated without bias"])
def test_own_gradients_are_right(kind, outputs):
    generator = torch.Generator().manual_seed(0)
    number = 3 if "gated" in kind else 1
    shapes = [(4, 2, 3 * number), (2, 3), (3 * number, 3), (3 * number,)]
    gates, h, weight, bias = (
        torch.randn(s, generator=generator, dtype=torch.float64, requires_grad=True) for s in shapes
    )

    def run(gates, h, weight, bias):
        if "gated" in kind:
            both = gated_recurrence(gates, h, weight, None if "without" in kind else bias)
        else:
            both = plain_recurrence(gates, h, weight, kind == "relu")
        return {"all": both[:1], "last": both[1:], "both": both}[outputs]

    assert torch.autograd.gradcheck(run, (gates, h, weight, bias))


@pytest.mark.parametrize("kind", [SimpleRNN, LSTM, GRU])
def test_own_gradients_equal_the_loops_and_functional_transforms(kind):
    x = torch.tensor(X, requires_grad=True)
    layer = kind(3, return_sequences=True)
    want = layer(x.detach())
    (got,) = torch.autograd.grad(layer(x).square().sum(), x)
    close(torch.func.grad(lambda t: layer(t).square().sum())(x), got, because="torch.func.grad")
    states = [torch.zeros(3, 3)] * layer.cell.num_states
    outputs, _ = layer.cell._looped(x, states, False)
    close(outputs, want.detach(), because="the loop")
    close(torch.autograd.grad(outputs.square().sum(), x)[0], got, because="the loop's gradient")
    with torch.no_grad():
        close(layer(x), want.detach(), because="torch's kernel")


def test_long_batches_use_torch_kernels():
    layer = GRU(64, return_sequences=True)
    layer(torch.zeros(1, 1, 2))
    x = torch.tensor(numbers(2, 3, 2)).repeat(64, 50, 1)
    assert x.shape[0] * x.shape[1] * 64 > 2**20
    close(layer(x)[:2], layer(x[:2]).detach(), because="both ways give one result")


def test_masked_layers_trace():
    class Chain(Layer):
        def __init__(self):
            super().__init__()
            self.masking, self.lstm = Masking(), Bidirectional(LSTM(3, return_sequences=True))

        def call(self, inputs):
            return self.lstm(self.masking(inputs))

    x = X.copy()
    x[:, 3:] = 0
    traced_equals_eager(Chain(), torch.tensor(x), training=True)
    traced_equals_eager(LSTM(3, stateful=True), torch.tensor(x), training=True)


def test_names_dtypes_and_sizes():
    layer = LSTM(3)
    layer(torch.tensor(X))
    assert list(layer.state_dict()) == ["cell.weight_ih", "cell.weight_hh", "cell.bias"]
    assert layer.cell.kernel.shape == (4, 12)
    gru = GRU(2)
    gru(torch.tensor(X))
    assert gru.cell.bias.shape == (2, 6)
    for kind in (SimpleRNN, LSTM, GRU):
        assert kind(3, dtype="float64")(torch.tensor(X).double()).dtype == torch.float64
        assert kind(3, return_sequences=True)(torch.zeros(0, 5, 4)).shape == (0, 5, 3)


def test_refusals_say_what_to_do():
    layer = LSTM(3, name="memory")
    layer(torch.tensor(X))
    with pytest.raises(ShapeError, match=r"was built for 4 features but received shape \(3, 5, 7\); build with 7"):
        layer(torch.zeros(3, 5, 7))
    with pytest.raises(ShapeError, match=r"states of shape \(3, 3\)"):
        layer(torch.tensor(X), initial_state=[torch.zeros(1, 3), torch.zeros(1, 3)])
    with pytest.raises(ShapeError, match="add a time axis"):
        layer(torch.zeros(3, 4))
    with pytest.raises(ConfigError, match="units"):
        GRU(0)
    with pytest.raises(ConfigError, match="state_size"):
        RNN(torch.nn.Linear(2, 3))


def test_initial_states_may_be_symbols():
    x, h, c = Input((None, 4)), Input((3,)), Input((3,))
    assert LSTM(3, return_sequences=True)(x, initial_state=[h, c]).shape == (None, None, 3)


def test_freezing_reaches_the_cell():
    layer = LSTM(3, trainable=False)
    layer(torch.tensor(X))
    assert not any(parameter.requires_grad for parameter in layer.parameters())
    layer.trainable = True
    assert all(parameter.requires_grad for parameter in layer.parameters())
