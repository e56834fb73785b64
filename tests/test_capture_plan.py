"""How a captured function is replayed: kernels of every kind, buffers, what is left out, random programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from dougong.training.capture import CaptureError, Scratch, capture
from dougong.training.capture.bindings import Bindings
from dougong.training.capture.placement import placed
from dougong.training.capture.plan import Plan
from dougong.training.capture.recording import Memory, Value
from dougong.training.capture.trace import trace
from dougong.training.capture.verify import verified


def _captured(model: nn.Module, loss: Callable[..., Tensor], x: Tensor, y: Tensor) -> tuple[Any, list[Tensor]]:
    parameters = list(model.parameters())
    gradients = [torch.full_like(parameter, 7.0) for parameter in parameters]
    step = capture(lambda x, y: loss(model(x), y), [x, y], gradients_of=parameters, gradients=gradients)
    return step, gradients


OTHERS: dict[str, tuple[Callable[[Tensor], Any], tuple[int, ...]]] = {
    "several results": (lambda x: x.topk(2), (4, 5)),
    "nested views": (lambda x: torch.tensor_split(x, 3), (7,)),
    "complex": (lambda x: (torch.view_as_complex(x).conj() * 2j).real, (8, 2)),
    "fft": (lambda x: torch.fft.rfft(x).abs(), (8,)),
    "decomposition": (torch.linalg.svd, (3, 3)),
    "permutation drawn": (lambda x: x[torch.randperm(8)], (8,)),
    "integer indices": (lambda x: x[torch.tensor([2, 0])] + x[:, [1]].T, (3, 3)),
    "write by indices": (lambda x: torch.zeros(5).index_put_((torch.tensor([1, 2]),), x[:2]), (5,)),
    "write by mask": (lambda x: x.clone().masked_fill_(x > 0, 1.0), (5,)),
    "masked scatter": (lambda x: torch.zeros(5).masked_scatter_(x > 0, x.abs()), (5,)),
    "vmap": (lambda x: torch.vmap(lambda row: row.sum())(x) + 0, (5, 3)),
    "jacobian": (lambda x: torch.func.jacrev(lambda y: y**2)(x).T, (3,)),
    "padding": (lambda x: functional.pad(x, (1, 2), mode="reflect"), (1, 3, 4)),
    "unfold": (lambda x: functional.unfold(x, 2), (1, 2, 4, 4)),
    "in-place transpose": (lambda x: (x + 1).t_().mul_(2).unsqueeze_(0), (2, 3)),
    "one-hot": (lambda x: functional.one_hot(x.argmax(1), 4) * 2, (3, 4)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_kernels_give_the_same_numbers_to_the_bit(name: str) -> None:
    function, shape = OTHERS[name]
    step = capture(function, [torch.randn(shape)])
    for seed in range(2):
        torch.manual_seed(seed)
        x = torch.randn(shape)
        state = torch.get_rng_state()
        got = step(x)
        torch.set_rng_state(state)
        want = function(x)
        for one, two in zip([got] if isinstance(got, Tensor) else got, [want] if isinstance(want, Tensor) else want):
            assert torch.equal(one, two)


def test_ctc_with_other_lengths() -> None:
    scores, gradient = torch.randn(6, 2, 4, requires_grad=True), torch.zeros(6, 2, 4)

    def loss(targets: Tensor, steps: Tensor, lengths: Tensor) -> Tensor:
        return functional.ctc_loss(scores.log_softmax(2), targets, steps, lengths)

    first = torch.tensor([[1, 2, 1], [2, 1, 2]]), torch.tensor([5, 5]), torch.tensor([3, 2])
    second = torch.tensor([[3, 2, 1], [1, 1, 2]]), torch.tensor([6, 4]), torch.tensor([1, 2])
    step = capture(loss, first, gradients_of=[scores], gradients=[gradient])
    for batch in (first, second, first):
        assert torch.equal(step(*batch), loss(*batch).detach())
        assert torch.equal(gradient, torch.autograd.grad(loss(*batch), [scores])[0])


def test_checks_of_values_are_made_at_each_call() -> None:
    invert = capture(torch.linalg.inv, [torch.eye(3)])
    with pytest.raises(RuntimeError, match="singular"):
        invert(torch.zeros(3, 3))
    encode = capture(lambda y: functional.one_hot(y, 3), [torch.tensor([0, 2])])
    with pytest.raises(RuntimeError, match="index 3"):
        encode(torch.tensor([0, 3]))


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
            x = torch.softmax(x, 0)  # not pointwise: cannot be done in place
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
    assert scratch.block(large.device, 0).numel() == steps[0]._plan.shared_bytes > steps[1]._plan.shared_bytes
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


def test_a_replay_with_other_numbers_is_refused() -> None:
    x, state = torch.ones(3), torch.zeros(3)

    def function(x: Tensor) -> Tensor:
        return state.add_(x) * 2

    recorded = trace(function, [x])

    def other(x: Tensor) -> Tensor:
        return state.add_(x) * 2.1

    def failing(x: Tensor) -> Tensor:
        raise RuntimeError("no kernel")

    verified(recorded, Plan(function, "", 1, 0, 0), [x], [])
    for run, reason in ((other, "output 0 of the replay differs"), (failing, "the replay fails, no kernel")):
        with pytest.raises(CaptureError, match=reason):
            verified(recorded, Plan(run, "", 1, 0, 0), [x], [])
    assert not state.any()


def test_the_trace_sees_every_kernel_once() -> None:
    weight = torch.ones(2, requires_grad=True)
    recorded = trace(lambda x: torch.tanh(x * weight).sum(), [torch.ones(3, 2)], [weight])
    names = [call.name for call in recorded.calls if not call.is_view()]
    assert names == ["mul", "tanh", "sum", "ones_like", "tanh_backward", "mul", "sum"]
