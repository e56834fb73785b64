"""What a capture promises: nothing is changed by it, outputs can be used, and refusals name their cause."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from dougong.core.errors import ShapeError
from dougong.training.capture import CaptureError, capture


def _captured(model: nn.Module, loss: Callable[..., Tensor], x: Tensor, y: Tensor) -> tuple[Any, list[Tensor]]:
    parameters = list(model.parameters())
    gradients = [torch.full_like(parameter, 7.0) for parameter in parameters]
    step = capture(lambda x, y: loss(model(x), y), [x, y], gradients_of=parameters, gradients=gradients)
    return step, gradients


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
