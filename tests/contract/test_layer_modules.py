"""Every layer as a torch module: other weights, torch's containers, frames to the kernel; layers of the user's own."""

from __future__ import annotations

import copy
import pickle
import sys
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import dougong as dg
from closeness import close
from contract.cases import ALL, LayerCase, built, each, outputs_of, refill, same
from dougong.core.nested import leaves

torch.set_num_threads(1)


@each()
def test_torch_calls_it_with_other_weights(case: LayerCase) -> None:
    layer, other, args = built(case), built(case), case.inputs(seed=3)
    refill(other, seed=8)
    state = dict(other.named_parameters()) | dict(other.named_buffers())
    found = torch.func.functional_call(layer, state, args, dict(case.call))
    same([leaf for leaf in leaves(found) if leaf is not None], outputs_of(other, args, **case.call), "functional_call")
    for name, parameter in layer.named_parameters():
        assert layer.get_parameter(name) is parameter


@each([name for name, case in ALL.items() if len(case.on) == 1 and not isinstance(case.on[0], list)])
def test_it_goes_into_torch_s_sequential(case: LayerCase) -> None:
    layer, args = built(case), case.inputs(seed=3)
    chain = torch.nn.Sequential(torch.nn.Identity(), layer).eval()  # picture layers act where nobody says a mode
    same(list(leaves(chain(*args))), outputs_of(layer, args), "within torch.nn.Sequential", 0)
    assert len(list(chain.parameters())) == len(layer.trainable_weights)


# ── The way to the kernel ───────────────────────────────────────────────────────────────────────────────────────────

# Python frames between the user's call and the deepest kernel, where they are more than five, and what they are for.
RECURRENCE = "a layer around a cell, the cell's recurrence and its autograd function"
CONVOLVED = "a layer around a cell, and convolutions padded"
DEEPER = {
    "ActivityRegularization": (6, "the penalty is computed"),
    "AdaptiveMaxPooling1D": (7, "torch's own function for it is three deep"),
    "AdaptiveMaxPooling2D": (7, "torch's own function for it is three deep"),
    "AdaptiveMaxPooling3D": (7, "torch's own function for it is three deep"),
    "Attention-causal scores": (9, "options in the call, several inputs"),
    "CenterCrop": (16, "one road for pictures, dicts and symbols, and what is too small is enlarged"),
    "RandomCrop": (16, "one road for pictures, dicts and symbols, and what is too small is enlarged"),
    "Resizing": (14, "one road for pictures, dicts and symbols, and five ways to fit"),
    "AutoContrast": (11, "one road for pictures, dicts and symbols"),
    "Bidirectional": (9, "a recurrent layer within"),
    "ContrastLimitedAdaptiveHistogramEqualization": (13, "one road for pictures, dicts and symbols, and tiles"),
    "Conv1D-first": (6, "an even kernel needs one zero more at the end than at the beginning"),
    "Conv2D-first": (6, "an even kernel needs one zero more at the end than at the beginning"),
    "Conv3D-first": (6, "an even kernel needs one zero more at the end than at the beginning"),
    "ConvLSTM1D": (8, CONVOLVED),
    "ConvLSTM2D": (8, CONVOLVED),
    "ConvLSTM3D": (8, CONVOLVED),
    "Dense-activity": (6, "the penalty is computed"),
    "Dot-cosine": (7, "torch's own normalize is three deep"),
    "Embedding-masked": (7, "a mask is made"),
    "GRU": (8, RECURRENCE),
    "GRUCell": (10, "two arguments, and one step is a sequence of one"),
    "GroupQueryAttention": (7, "two inputs, heads, and the kernel"),
    "GroupQueryAttention-gated": (12, "an option in the call"),
    "GroupQueryAttention-scores": (11, "an option in the call, and scores without the fused kernel"),
    "LSTM": (7, RECURRENCE),
    "LSTMCell": (8, "two arguments, and one step is a sequence of one"),
    "Masking": (6, "a mask is made"),
    "MultiHeadAttention": (7, "two inputs, heads, and the kernel"),
    "MultiHeadAttention-activity": (13, "the penalty of each projection is computed"),
    "MultiHeadAttention-gated": (8, "the gate has an activation"),
    "MultiHeadAttention-scores": (10, "an option in the call, and scores without the fused kernel"),
    "RMSNormalization": (7, "its autograd function"),
    "RNN": (8, RECURRENCE),
    "RNN-stacked": (12, "nested states of cells upon cells"),
    "ReLU": (7, "torch's arithmetic of a number and a tensor is written in Python"),
    "ReLU-plain": (5, ""),
    "SimpleRNN": (8, RECURRENCE),
    "SimpleRNNCell": (10, "two arguments, and one step is a sequence of one"),
    "ReversibleEmbedding": (6, "which way is asked first"),
    "SpectralNormalization": (9, "the layer within is called as a layer"),
    "StackedRNNCells": (12, "two arguments, nested states, cells within"),
    "TimeDistributed": (10, "the layer within is called as a layer"),
    "TorchModuleWrapper": (7, "the module within is called as a module"),
    "UnitNormalization": (7, "its autograd function"),
}


class FramesToKernels(TorchDispatchMode):
    """Counts the Python frames from `called` to each kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.deepest = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        frame, depth = sys._getframe(1), 0
        while frame is not None and frame.f_code is not called.__code__:
            # The mode itself is called through two frames of torch's, which are not there without it.
            depth += "dynamo" not in frame.f_code.co_qualname and "DisableContext" not in frame.f_code.co_qualname
            frame = frame.f_back
        self.deepest = max(self.deepest, depth)
        return function(*args, **(kwargs or {}))


def called(layer: Any, args: tuple[Any, ...], call: Any) -> int:
    with FramesToKernels() as frames:
        layer(*args, **call)
    return frames.deepest


@each()
def test_few_frames_to_the_kernel(case: LayerCase) -> None:
    found = called(built(case), case.inputs(), case.call)
    allowed, reason = DEEPER.get(case.name) or DEEPER.get(case.kind) or (5, "")
    assert found <= allowed, f"{found} Python frames between the user's call and the kernel; {allowed} allowed {reason}"


# ── Layers of the user's own ────────────────────────────────────────────────────────────────────────────────────────


class Blocks(dg.layers.Layer):
    """Layers and torch modules in attributes, lists and dicts."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.drop = torch.nn.Dropout(0.5)
        self.blocks = [dg.layers.Dense(4), torch.nn.Linear(4, 4)]
        self.named = {"last": [dg.layers.Dense(4), torch.nn.Dropout(0.5)]}

    def call(self, inputs: Tensor) -> Tensor:
        for layer in (*self.blocks, *self.named["last"]):
            inputs = layer(inputs)
        return self.drop(inputs)


def test_modules_within_follow_the_layer_s_mode_and_are_found() -> None:
    layer, x = Blocks(), torch.ones(2, 4)
    close(layer(x), layer(x), because="inference: torch's dropout does nothing", tolerance=0)
    assert (layer(x, training=True) == 0).any()
    layer.blocks.append(torch.nn.Dropout(0.5))
    assert not any(module.training for module in layer.modules())
    names = [name for name, _ in layer.named_parameters()]
    assert names == [
        f"{place}.{kind}" for place in ("blocks.0", "blocks.1", "named.last.0") for kind in ("weight", "bias")
    ]
    assert len(layer.get_weights()) == 6
    found = torch.func.functional_call(layer, dict(layer.named_parameters()), (x,))
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        close(twin(x), found, because="a copy", tolerance=0)
        twin.blocks.pop()
        assert len(list(twin.modules())) == len(list(layer.modules())) - 1


def test_frozen_at_birth_is_frozen_all_the_way_down() -> None:
    layer = Blocks(trainable=False)
    layer(torch.ones(2, 4))
    assert not layer.trainable_weights and len(layer.weights) == 6
