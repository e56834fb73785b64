"""The captured step: the numbers of the eager run to the bit, refusals with a reason, nothing changed by a capture."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from closeness import close
from dougong.core.errors import ShapeError
from dougong.training.capture import CaptureError, Scratch, capture
from dougong.training.capture.bindings import Bindings
from dougong.training.capture.placement import placed
from dougong.training.capture.recording import Memory, Value
from dougong.training.capture.trace import trace

torch.set_num_threads(1)

Loss = Callable[[Tensor, Tensor], Tensor]


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class HandMadeNorm(nn.Module):
    """Batch normalization written with in-place statistics and a counter."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(features))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("variance", torch.ones(features))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = x.mean(0), x.var(0, unbiased=False)
        self.count.add_(1)
        self.mean.mul_(0.9).add_(mean.detach(), alpha=0.1)
        self.variance.lerp_(variance.detach(), 0.1)
        return (x - mean) * torch.rsqrt(variance + 1e-3) * self.gamma + self.mean


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.heads, self.dropout = heads, dropout

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        split = self.inner(x).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value, dropout_p=self.dropout)
        return self.outer(mixed.transpose(1, 2).reshape(batch, length, width))


class Last(nn.Module):
    """The last step of a recurrent layer."""

    def __init__(self, recurrent: nn.Module) -> None:
        super().__init__()
        self.recurrent = recurrent

    def forward(self, x: Tensor) -> Tensor:
        return self.recurrent(x)[0][:, -1]


class Twice(nn.Module):
    """One layer used twice: its gradients add up."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(torch.tanh(self.layer(x)))


def _nhwc_net() -> nn.Module:
    return nn.Sequential(
        Apply(lambda x: x.permute(0, 3, 1, 2)),
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.ReLU6(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 4, 1),
        nn.AvgPool2d(2),
        Apply(lambda x: x.permute(0, 2, 3, 1).flatten(1)),
        nn.Dropout(0.25),
        nn.Linear(16, 3),
    ).to(memory_format=torch.channels_last)  # fmt: skip


def _classes(*shape: int, num: int = 3) -> tuple[Tensor, Tensor]:
    return torch.randn(shape), torch.randint(0, num, (shape[0],))


def _values(*shape: int, out: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    return torch.randn(shape), torch.randn(out)


def _hinge(pred: Tensor, true: Tensor) -> Tensor:
    return torch.clamp(1.0 - pred * true, min=0.0).pow(2).mean() + 0.01 * pred.abs().sum()


CASES: dict[str, tuple[Callable[[], nn.Module], Callable[[], tuple[Tensor, Tensor]], Loss]] = {
    "binary": (
        lambda: nn.Sequential(nn.Linear(2, 10), nn.ReLU(), nn.Linear(10, 1), nn.Sigmoid()),
        lambda: (torch.randn(4, 2), torch.randint(0, 2, (4, 1)).float()),
        functional.binary_cross_entropy,
    ),
    "dropout and batch norm": (
        lambda: nn.Sequential(nn.Linear(4, 10), nn.BatchNorm1d(10), nn.Tanh(), nn.Dropout(0.3), nn.Linear(10, 3)),
        lambda: _classes(32, 4),
        functional.cross_entropy,
    ),
    "hand-made norm": (
        lambda: nn.Sequential(nn.Linear(4, 6), HandMadeNorm(6), nn.GELU(), nn.Linear(6, 1)),
        lambda: _values(16, 4, out=(16, 1)),
        functional.huber_loss,
    ),
    "channels last": (_nhwc_net, lambda: _classes(5, 8, 8, 3), functional.cross_entropy),
    "layer norm": (
        lambda: nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.SiLU(), nn.Linear(8, 2)),
        lambda: _values(6, 5, 4, out=(6, 5, 2)),
        functional.mse_loss,
    ),
    "group norm, softmax": (
        lambda: nn.Sequential(nn.Conv1d(3, 4, 3), nn.GroupNorm(2, 4), nn.ELU(), nn.Softmax(1)),
        lambda: _values(6, 3, 9, out=(6, 4, 7)),
        functional.smooth_l1_loss,
    ),
    "attention": (lambda: Attention(12, 3), lambda: _values(4, 6, 12, out=(4, 6, 12)), functional.mse_loss),
    "attention with dropout": (
        lambda: Attention(12, 3, dropout=0.4), lambda: _values(4, 6, 12, out=(4, 6, 12)), functional.mse_loss
    ),
    "transformer": (
        lambda: nn.TransformerEncoderLayer(8, 2, 16, 0.1, batch_first=True),
        lambda: _values(3, 5, 8, out=(3, 5, 8)),
        functional.l1_loss,
    ),
    "lstm": (
        lambda: nn.Sequential(Last(nn.LSTM(3, 7, batch_first=True)), nn.Linear(7, 1)),
        lambda: _values(4, 6, 3, out=(4, 1)),
        functional.mse_loss,
    ),
    "bidirectional gru": (
        lambda: nn.Sequential(Last(nn.GRU(3, 5, 2, batch_first=True, bidirectional=True)), nn.Linear(10, 1)),
        lambda: _values(4, 6, 3, out=(4, 1)),
        functional.mse_loss,
    ),
    "embedding of integers": (
        lambda: nn.Sequential(nn.Embedding(20, 6, padding_idx=0), nn.Flatten(), nn.Linear(30, 3)),
        lambda: (torch.randint(0, 20, (8, 5)), torch.randint(0, 3, (8,))),
        functional.cross_entropy,
    ),
    "shared parameters": (
        lambda: nn.Sequential(Twice(nn.Linear(5, 5)), nn.Linear(5, 1)), lambda: _values(7, 5, out=(7, 1)), _hinge
    ),
    "transposed convolution": (
        lambda: nn.Sequential(nn.ConvTranspose2d(2, 3, 3, stride=2), nn.LeakyReLU(0.1), nn.Upsample(scale_factor=2)),
        lambda: _values(2, 2, 4, 4, out=(2, 3, 18, 18)),
        functional.mse_loss,
    ),
    "slices and concatenation": (
        lambda: nn.Sequential(
            nn.Linear(6, 6), Apply(lambda x: torch.cat([x[:, :2] * 2, x[:, 3:].flip(1), x[:, 1:2]], 1).roll(1, 0))
        ),
        lambda: _values(5, 6, out=(5, 6)),
        _hinge,
    ),
}  # fmt: skip


def _captured(model: nn.Module, loss: Loss, x: Tensor, y: Tensor, **options: Any) -> tuple[Any, list[Tensor]]:
    parameters = list(model.parameters())
    gradients = [torch.full_like(parameter, 7.0) for parameter in parameters]
    captured = capture(lambda x, y: loss(model(x), y), [x, y], gradients_of=parameters, gradients=gradients, **options)
    return captured, gradients


def _train(model: nn.Module, loss: Loss, x: Tensor, y: Tensor, *, by_capture: bool, steps: int = 20) -> list[float]:
    """Losses of Adam steps on the batch, whose rows turn by one at each step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    torch.manual_seed(3)
    step = None
    if by_capture:
        step, gradients = _captured(model, loss, x, y)
        for parameter, gradient in zip(model.parameters(), gradients):
            parameter.grad = gradient
    losses = []
    for _ in range(steps):
        if step is not None:
            value = step(x, y)
        else:
            optimizer.zero_grad()
            value = loss(model(x), y)
            value.backward()
        optimizer.step()
        losses.append(value.item())
        x, y = x.roll(1, 0), y.roll(1, 0)
    return losses


@pytest.mark.parametrize("name", CASES)
def test_training_gives_the_same_numbers_to_the_bit(name: str) -> None:
    make, data, loss = CASES[name]
    torch.manual_seed(0)
    model, (x, y) = make(), data()
    twin = copy.deepcopy(model)
    want = _train(model, loss, x, y, by_capture=False)
    got = _train(twin, loss, x, y, by_capture=True)
    assert got == want
    for (key, value), other in zip(model.state_dict().items(), twin.state_dict().values()):
        assert torch.equal(value, other), key


@pytest.mark.parametrize("name", CASES)
def test_prediction_gives_the_same_numbers_to_the_bit(name: str) -> None:
    make, data, _ = CASES[name]
    torch.manual_seed(0)
    model, (x, _) = make().eval(), data()
    twin = copy.deepcopy(model)
    step = capture(model, [x])
    for seed in range(2):
        x = x.flip(0)
        torch.manual_seed(seed)
        got = step(x)
        torch.manual_seed(seed)
        with torch.no_grad():
            want = twin(x)
        if name == "transformer":
            close(got, want, because="torch's own fused layer is for inference only and rounds otherwise")
        else:
            assert torch.equal(got, want)


def test_capture_changes_nothing() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 1))
    generator = torch.Generator().manual_seed(1)
    counter = torch.zeros(3)

    def loss(pred: Tensor, true: Tensor) -> Tensor:
        counter.add_(1)
        counter[1:].mul_(2)
        noise = torch.rand(pred.shape, generator=generator)
        true.mul_(2)
        return ((pred + noise - true) ** 2).mean()

    x, y = torch.randn(8, 4), torch.randn(8, 1)
    before = copy.deepcopy((model.state_dict(), counter, x, y))
    states = torch.get_rng_state(), generator.get_state()
    _captured(model, loss, x, y)
    after = (model.state_dict(), counter, x, y)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert torch.equal(generator.get_state(), states[1])
    assert all(torch.equal(after[0][key], value) for key, value in before[0].items())
    assert all(torch.equal(a, b) for a, b in zip(after[1:], before[1:]))
    assert all(parameter.grad is None and not parameter.is_inference() for parameter in model.parameters())


def test_an_own_generator_draws_anew_at_each_call() -> None:
    generator = torch.Generator().manual_seed(1)
    step = capture(lambda x: x + torch.rand(3, generator=generator), [torch.zeros(3)])
    got = [step(torch.zeros(3)).clone() for _ in range(3)]
    generator.manual_seed(1)
    assert all(torch.equal(a, torch.rand(3, generator=generator)) for a in got)


def test_outputs_of_every_kind() -> None:
    state, weight = torch.zeros(2), torch.randn(3, 2, requires_grad=True)

    def function(x: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        state.add_(1)
        hidden = x @ weight
        kept = torch.where(mask, hidden, 0.0)
        return hidden.sum(), hidden[1:], hidden.T, x, state, torch.arange(4), kept.argmax(1), functional.relu(hidden)

    x, mask = torch.randn(5, 3), torch.rand(5, 1) > 0.5
    step = capture(function, [x, mask])
    got = step(x, mask)
    state.zero_()
    for one, two in zip(got, function(x, mask)):
        assert torch.equal(one, two.detach())
        assert one.dtype is two.dtype
    assert got[3] is x
    assert got[4] is state


def test_outputs_can_be_used_by_autograd() -> None:
    conv, dense = nn.Conv1d(2, 3, 3), nn.Linear(4, 4)
    scale = torch.ones((), requires_grad=True)
    for model, x in ((conv, torch.randn(1, 2, 8)), (dense, torch.randn(3, 4)), (torch.exp, torch.randn(3))):
        output = capture(model, [x])(x)
        assert not output.is_inference()
        (output * scale).square().sum().backward()
    weights = [*conv.parameters(), *dense.parameters()]
    torch.autograd.grad(dense(torch.randn(2, 4)).sum() + conv(torch.randn(1, 2, 8)).sum(), weights)


def test_gradients_lie_in_the_given_tensors() -> None:
    layer = nn.Linear(3, 2)
    flat = torch.full((8,), 5.0)
    views = [flat[:6].view(2, 3), flat[6:]]
    x = torch.randn(4, 3)
    step = capture(lambda x: layer(x).square().mean(), [x], gradients_of=list(layer.parameters()), gradients=views)
    step(x)
    want = torch.autograd.grad(layer(x).square().mean(), list(layer.parameters()))
    assert torch.equal(flat, torch.cat([gradient.reshape(-1) for gradient in want]))
    assert "foreach_copy" not in step.source


def test_gradients_in_another_layout_or_for_none() -> None:
    layer, unused, frozen = nn.Linear(3, 2), nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3), False)
    parameters = [*layer.parameters(), unused, frozen]
    gradients = [torch.ones(3, 2).T, torch.ones(2), torch.ones(2), torch.ones(3)]
    x = torch.randn(4, 3)
    step = capture(lambda x: layer(x * frozen).sum(), [x], gradients_of=parameters, gradients=gradients)
    step(x)
    want = torch.autograd.grad(layer(x).sum(), list(layer.parameters()))
    assert torch.equal(gradients[0], want[0])
    assert torch.equal(gradients[1], want[1])
    assert not gradients[2].any()
    assert not gradients[3].any()


def test_a_loss_that_depends_on_no_parameter() -> None:
    weight, gradient = torch.ones(2, requires_grad=True), torch.ones(2)
    step = capture(lambda x: x.sum(), [torch.ones(3)], gradients_of=[weight], gradients=[gradient])
    assert step(torch.full((3,), 2.0)).item() == 6.0
    assert not gradient.any()


def test_gradient_penalty() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))

    def loss(x: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        return (slope.square().sum(1) - 1).square().mean()

    parameters, x = list(model.parameters()), torch.randn(5, 3)
    gradients = [torch.zeros_like(parameter) for parameter in parameters]
    step = capture(loss, [x], gradients_of=parameters, gradients=gradients)
    assert torch.equal(step(x), loss(x).detach())
    for got, want in zip(gradients, torch.autograd.grad(loss(x), parameters, allow_unused=True)):
        assert torch.equal(got, torch.zeros_like(got) if want is None else want)


def test_mixed_precision() -> None:
    torch.manual_seed(0)
    model, (x, y) = CASES["layer norm"][0](), CASES["layer norm"][1]()

    def loss(pred: Tensor, true: Tensor) -> Tensor:
        return functional.mse_loss(pred.float(), true)

    with torch.autocast("cpu", torch.bfloat16):
        step, gradients = _captured(model, loss, x, y)
        want = loss(model(x), y)
    assert torch.equal(step(x, y), want.detach())
    for got, expected in zip(gradients, torch.autograd.grad(want, list(model.parameters()))):
        assert torch.equal(got, expected)


@pytest.mark.parametrize("batch", [0, 1])
def test_extreme_batches(batch: int) -> None:
    layer = nn.Linear(3, 2)
    step, gradients = _captured(layer, lambda p, t: (p - t).square().sum(), torch.ones(batch, 3), torch.ones(batch, 2))
    x, y = torch.randn(batch, 3), torch.randn(batch, 2)
    assert torch.equal(step(x, y), (layer(x) - y).square().sum().detach())
    assert torch.equal(gradients[1], 2 * (layer(x) - y).sum(0).detach())


def test_numbers_that_are_not_finite() -> None:
    x = torch.tensor([math.nan, math.inf, -math.inf, 0.0])
    step = capture(lambda x: (functional.relu(x), torch.log(x), x.sum()), [x])
    for got, want in zip(step(x), (functional.relu(x), torch.log(x), x.sum())):
        assert torch.equal(torch.nan_to_num(got, 5.0), torch.nan_to_num(want, 5.0))


def _item(x: Tensor) -> Tensor:
    return x * x.sum().item()


def _branch(x: Tensor) -> Tensor:
    return x if x.sum() > 0 else -x


def _numpy(x: Tensor) -> Tensor:
    return x * float(x.detach().numpy().sum())


def _data(x: Tensor) -> Tensor:
    y = x + 1
    y.data = x
    return y


def _seeded(x: Tensor) -> Tensor:
    y = torch.rand(3)
    torch.manual_seed(0)
    return x + y + torch.rand(3)


def _resized(x: Tensor) -> Tensor:
    return (x + 1).resize_(2)


def _swallowed(x: Tensor) -> Tensor:
    try:
        return x * x.sum().item()
    except RuntimeError:
        return x


REFUSED: dict[str, tuple[Callable[..., Any], str]] = {
    "item": (_item, "value of a tensor decides"),
    "branch": (_branch, "value of a tensor decides"),
    "error swallowed": (_swallowed, "value of a tensor decides"),
    "tolist": (lambda x: x * x.tolist()[0], "leave torch"),
    "numpy": (_numpy, "leave torch"),
    "nonzero": (torch.nonzero, "shape of the result of nonzero"),
    "mask": (lambda x: x[x > 0], "shape of the result of index"),
    "unique": (torch.unique, "depends on values|branches"),
    "data": (_data, "assigns to .data"),
    "resize": (_resized, "shape of a tensor in place"),
    "random state": (_seeded, "random state itself"),
    "not a tensor": (lambda x: (x, 3), "not a tensor"),
    "sparse": (lambda x: torch.sparse_coo_tensor(torch.zeros(1, 1, dtype=torch.long), x[:1], (2,)), "layout|sparse"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore:Sparse")
def test_what_cannot_be_captured_is_refused_with_its_cause(name: str) -> None:
    function, reason = REFUSED[name]
    state, x = torch.get_rng_state(), torch.arange(3.0)
    with pytest.raises(CaptureError, match=reason) as caught:
        capture(function, [x])
    assert str(caught.value).startswith("cannot capture: ")
    assert "\n" not in str(caught.value)
    assert torch.equal(torch.get_rng_state(), state)


def test_refusals_that_concern_gradients() -> None:
    weight = torch.ones(3, requires_grad=True)
    outside = weight * 2

    def backward(x: Tensor) -> Tensor:
        (x * weight).sum().backward()
        return x.sum()

    for function, reason in (
        (lambda x: x * weight, "scalar loss"),
        (lambda x: (x * outside).sum(), "gradient graph of its own"),
        (backward, "backward"),
    ):
        with pytest.raises(CaptureError, match=reason):
            capture(function, [torch.ones(3)], gradients_of=[weight], gradients=[torch.ones(3)])
    with pytest.raises(CaptureError, match="layout"):
        table = nn.Embedding(4, 2, sparse=True)
        gradient = torch.zeros(4, 2)
        capture(lambda x: table(x).sum(), [torch.tensor([1])], gradients_of=[table.weight], gradients=[gradient])
    assert weight.grad is None


def test_errors_of_the_function_are_its_own() -> None:
    state = torch.zeros(2)

    def wrong(x: Tensor) -> Tensor:
        state.add_(1)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        capture(wrong, [torch.ones(2)])
    assert not state.any()


def test_shapes_are_checked_and_layouts_fitted() -> None:
    step = capture(lambda x: x.view(6) * 2, [torch.ones(2, 3)])
    other = torch.arange(6.0).view(3, 2).T
    assert torch.equal(step(other), other.reshape(6) * 2)
    for wrong in ([torch.ones(3, 2)], [torch.ones(2, 3, dtype=torch.float64)], []):
        with pytest.raises(ShapeError):
            step(*wrong)
    with pytest.raises(ShapeError, match="gradients"):
        capture(lambda x: x.sum(), [torch.ones(2)], gradients_of=[torch.ones(2)], gradients=[])


def test_a_weight_with_new_memory_is_noticed() -> None:
    layer = nn.Linear(2, 2)
    step = capture(layer, [torch.ones(1, 2)])
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.fill_(0.5)
    assert step.is_current
    assert torch.equal(step(torch.ones(1, 2)), torch.full((1, 2), 2.5))
    layer.weight.data = torch.zeros(2, 2)
    assert not step.is_current


def test_the_source_of_a_small_step() -> None:
    layer, x = nn.Linear(2, 3), torch.ones(4, 2)
    step = capture(lambda x: torch.tanh(layer(x)), [x])
    assert step.source == (
        "def replay(x0):\n    addmm(p0, x0, p1, out=b0)  # 4x3\n    tanh(b0, out=b1)  # 4x3\n    return b1\n"
    )
    assert step.plan.startswith("captured: 2 lines")


def test_what_is_known_beforehand_is_left_out() -> None:
    def function(x: Tensor) -> Tensor:
        scale = torch.full((3,), 2.0).sqrt() + torch.arange(3)
        dead = torch.exp(x)
        del dead
        return (x.detach() * 1.0 + 0) * scale + torch.tanh(x) * torch.tanh(x)

    x = torch.randn(3)
    step = capture(function, [x])
    assert torch.equal(step(x), function(x))
    assert [line.strip().partition("(")[0] for line in step.source.splitlines()[1:-1]] == ["mul", "tanh", "mul", "add"]


def test_what_is_written_between_is_computed_twice() -> None:
    state = torch.ones(2)

    def function(x: Tensor) -> tuple[Tensor, Tensor]:
        first = state * 2
        state.add_(x)
        return first, state * 2

    step = capture(function, [torch.ones(2)])
    first, second = step(torch.ones(2))
    assert (first.tolist(), second.tolist()) == ([2.0, 2.0], [4.0, 4.0])


def test_buffers_are_used_again() -> None:
    def function(x: Tensor) -> Tensor:
        for _ in range(10):
            x = torch.cumsum(x, 0)  # not pointwise: cannot be done in place
        return x.sum()

    x = torch.randn(1 << 18)
    step = capture(function, [x])
    assert torch.equal(step(x), function(x))
    assert step._plan.buffer_bytes == 10 * x.nbytes
    assert step._plan.shared_bytes == 2 * x.nbytes


def test_captures_share_a_scratch() -> None:
    scratch = Scratch()
    layer = nn.Sequential(nn.Linear(3, 50), nn.Tanh(), nn.Linear(50, 50), nn.Tanh(), nn.Linear(50, 1))
    large, small = torch.randn(20, 3), torch.randn(7, 3)
    steps = [capture(layer, [x], scratch=scratch) for x in (large, small)]
    assert len({scratch.block(large.device, 0).data_ptr() for _ in steps}) == 1
    for x, step in [(large, steps[0]), (small, steps[1]), (large, steps[0])]:
        assert torch.equal(step(x), layer(x))


def test_arithmetic_is_counted() -> None:
    x, y = torch.randn(10, 4), torch.randn(10, 3)
    step, _ = _captured(nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)), functional.mse_loss, x, y)
    # Forward, gradients of weights, gradient of the hidden layer.
    assert step.multiply_adds == 10 * (2 * (4 * 5 + 5 * 3) + 5 * 3)
    conv = nn.Conv2d(2, 6, 3, groups=2)
    image = torch.randn(3, 2, 8, 8)
    assert capture(conv, [image]).multiply_adds == 3 * 6 * 6 * 6 * 9
    step, _ = _captured(conv, functional.mse_loss, image, torch.randn(3, 6, 6, 6))
    assert step.multiply_adds == 2 * 3 * 6 * 6 * 6 * 9
    lstm = nn.LSTM(3, 7, batch_first=True)
    assert capture(lambda x: lstm(x)[0], [torch.randn(2, 5, 3)]).multiply_adds == 2 * 5 * 28 * (3 + 7)


def test_the_lstm_keeps_its_fused_kernel() -> None:
    make, data, loss = CASES["lstm"]
    step, _ = _captured(make(), loss, *data())
    assert "mkldnn_rnn_layer_backward" in step.source


def test_a_binding_with_another_default_is_not_used() -> None:
    def value() -> Value:
        return Value(Memory("inner", 16), (4,), (1,), 0, torch.float32, torch.device("cpu"))

    overload = torch.ops.aten.binary_cross_entropy.default
    assert Bindings().find(overload, (value(), value()), {}) is overload._op
    add = torch.ops.aten.add.Tensor
    assert Bindings().find(add, (value(), value()), {}) is torch.add


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 20), st.integers(0, 6)), max_size=30))
def test_buffers_needed_at_one_time_lie_apart(items: list[tuple[int, int, int]]) -> None:
    sizes, firsts = [size for size, _, _ in items], [first for _, first, _ in items]
    lasts = [first + length for _, first, length in items]
    offsets, total = placed(sizes, firsts, lasts)
    for i in range(len(items)):
        assert offsets[i] % 64 == 0
        assert offsets[i] + sizes[i] <= total
        for j in range(i):
            together = firsts[i] <= lasts[j] and firsts[j] <= lasts[i]
            apart = offsets[i] + sizes[i] <= offsets[j] or offsets[j] + sizes[j] <= offsets[i]
            assert apart or not together or not (sizes[i] and sizes[j])


# A random program: each instruction takes two of the tensors made so far and makes or changes one.
_INSTRUCTIONS: list[Callable[[Tensor, Tensor], Tensor]] = [
    lambda a, b: a + b,
    lambda a, b: a * b.T,
    lambda a, b: a @ b * 0.3,
    lambda a, b: torch.tanh(a),
    lambda a, b: a.T,
    lambda a, b: a.clone().mul_(b),
    lambda a, b: torch.relu(a) - b,
    lambda a, b: a[:2].repeat(2, 1),
    lambda a, b: torch.cat([a[:2], b[2:]]),
    lambda a, b: a.sum(1, keepdim=True).expand(4, 4),
    lambda a, b: torch.zeros_like(a).add_(b, alpha=0.5),
    lambda a, b: torch.where(a > b, a, 0.5),
    lambda a, b: functional.dropout(a, 0.5),
    lambda a, b: a.as_strided((2, 4), a.stride(), a.storage_offset()).repeat(2, 1) if a.stride(0) else a,
    lambda a, b: a.contiguous().view(2, 8).view(4, 4),
    lambda a, b: functional.conv2d(a[None, None], b[None, None, :3, :3], padding=1)[0, 0] * 0.2,
]
_IN_PLACE: list[Callable[[Tensor, Tensor], Any]] = [
    lambda a, b: a.mul_(0.5),
    lambda a, b: a.copy_(b),
    lambda a, b: a[1:3].add_(b[:2]),
    lambda a, b: a.T.sigmoid_(),
    lambda a, b: a.bernoulli_(0.3),
    lambda a, b: a.zero_(),
]
_STEP = st.tuples(st.integers(0, len(_INSTRUCTIONS) + len(_IN_PLACE) - 1), st.integers(0, 9), st.integers(0, 9))


def _program(steps: Sequence[tuple[int, int, int]], weight: Tensor, state: Tensor) -> Callable[[Tensor], Any]:
    def function(x: Tensor) -> tuple[Tensor, ...]:
        tensors = [x, weight, state, x * weight]
        for number, first, second in steps:
            a, b = tensors[first % len(tensors)], tensors[second % len(tensors)]
            if number < len(_INSTRUCTIONS):
                tensors.append(_INSTRUCTIONS[number](a, b))
            elif 0 not in a.stride() and (a is state or not torch.is_grad_enabled()):
                with torch.no_grad():
                    _IN_PLACE[number - len(_INSTRUCTIONS)](a, b.clone())
        return sum(tensor.square().mean() for tensor in tensors), tensors[-1], tensors[len(tensors) // 2]

    return function


@settings(max_examples=60, deadline=None)
@given(st.lists(_STEP, max_size=12))
def test_random_programs_give_the_same_numbers(steps: list[tuple[int, int, int]]) -> None:
    torch.manual_seed(0)
    weight = torch.randn(4, 4, requires_grad=True)
    state, twin = torch.zeros(4, 4), torch.zeros(4, 4)
    gradient = torch.zeros(4, 4)
    eager = _program(steps, weight, twin)
    try:
        torch.autograd.grad(eager(torch.ones(4, 4))[0], [weight])
    except RuntimeError:
        assume(False)  # autograd refuses the program: it writes to what a gradient needs
    twin.zero_()
    step = capture(_program(steps, weight, state), [torch.ones(4, 4)], gradients_of=[weight], gradients=[gradient])
    for seed in range(3):
        x = torch.randn(4, 4)
        torch.manual_seed(seed)
        got = step(x)
        torch.manual_seed(seed)
        want = eager(x)
        for one, two in zip([*got, gradient, state], [*want, *torch.autograd.grad(want[0], [weight]), twin]):
            assert torch.equal(one, two.detach())


@settings(max_examples=60, deadline=None)
@given(st.lists(_STEP, max_size=12))
def test_random_programs_that_write_anywhere(steps: list[tuple[int, int, int]]) -> None:
    torch.manual_seed(0)
    weight, state = torch.randn(4, 4), torch.zeros(4, 4)
    weight_twin, state_twin = weight.clone(), state.clone()
    step = capture(_program(steps, weight, state), [torch.ones(4, 4)])
    eager = _program(steps, weight_twin, state_twin)
    for seed in range(3):
        x = torch.randn(4, 4)
        x_twin = x.clone()
        torch.manual_seed(seed)
        got = step(x)
        torch.manual_seed(seed)
        with torch.no_grad():
            want = eager(x_twin)
        for one, two in zip([*got, x, weight, state], [*want, x_twin, weight_twin, state_twin]):
            assert torch.equal(one, two)


def test_the_trace_sees_every_kernel_once() -> None:
    weight = torch.ones(2, requires_grad=True)
    recorded = trace(lambda x: torch.tanh(x * weight).sum(), [torch.ones(3, 2)], [weight])
    names = [call.name for call in recorded.calls if not call.is_view()]
    assert names == ["mul", "tanh", "sum", "ones_like", "tanh_backward", "mul", "sum"]
