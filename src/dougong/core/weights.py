"""What a module stores: weights in torch's layout under torch's names, seen by Keras in Keras's layout and order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from dougong.core.errors import BuildError, ShapeError
from dougong.core.layout import IDENTITY, Layout
from dougong.core.names import in_scope, name_scope
from dougong.core.tracking import Holder, tracked
from dougong.core.variable import Variable, VariableKeeper, as_variable, is_trainable, view_of

__all__ = ["KerasWeight", "WeightStore", "keras_weights", "named_weights"]


class KerasWeight(NamedTuple):
    """A stored tensor and how Keras sees it; ``tensor`` is the live parameter or buffer."""

    name: str
    tensor: Tensor
    layout: Layout
    regularizer: Callable[[Tensor], Tensor] | None = None
    constraint: Callable[[Tensor], Tensor] | None = None
    owner: str = ""

    @property
    def trainable(self) -> bool:
        """Whether it is one that training may change; freezing a layer does not alter that."""
        return is_trainable(self.tensor)

    def variable(self) -> Any:
        """The weight in Keras's words."""
        seen = view_of(self.tensor, self.layout, self.name, f"{self.owner}/{self.name}" if self.owner else self.name)
        seen.regularizer, seen.constraint = self.regularizer, self.constraint
        return seen

    def value(self) -> Tensor:
        """The weight in Keras's layout: a view where the layout only permutes axes."""
        return self.layout.to_keras(self.tensor)

    def assign(self, value: Tensor) -> None:
        """Write a value given in Keras's layout."""
        with torch.no_grad():
            self.tensor.copy_(self.layout.from_keras(value))


class _Spec(NamedTuple):
    name: str
    tensor: Tensor
    layout: Layout
    regularizer: Callable[[Tensor], Tensor] | None
    constraint: Callable[[Tensor], Tensor] | None


class WeightStore(VariableKeeper):
    """A module that knows how Keras sees its weights.  Lists and dicts of modules in its attributes are found."""

    def __init__(self, name: str, trainable: bool) -> None:
        super().__init__()
        self.name = name
        self.built = False
        self._trainable = trainable
        self._pending: list[_Spec] = []
        self._specs: dict[str, _Spec] = {}
        self._path: str | None = None
        self._in_scope = False

    @property
    def path(self) -> str:
        """The layer's name behind those of the layers that it was built in; its weights' paths begin with it."""
        return self._path or self.name

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Within the block the paths of weights that layers make begin with this one's path."""
        if self._in_scope:
            yield
            return
        if not self.built:
            self._path = in_scope(self.name)
        self._in_scope = True
        try:
            with name_scope(self.name):
                yield
        finally:
            self._in_scope = False

    def store_weight(
        self,
        name: str | None,
        value: Tensor,
        *,
        trainable: bool = True,
        layout: Layout = IDENTITY,
        regularizer: Callable[[Tensor], Tensor] | None = None,
        constraint: Callable[[Tensor], Tensor] | None = None,
    ) -> Any:
        """A Parameter (Buffer when not trainable) from ``value`` in Keras's layout; to be assigned to an attribute.

        In a class of the user's own it is a `Variable`, so that ``self.total.assign_add(…)`` works.
        """
        name = name or f"weight_{len(self._specs) + len(self._pending)}"
        with torch.no_grad():
            stored = layout.from_keras(value)
            stored = stored.clone() if layout is IDENTITY else stored.contiguous()
        if layout is IDENTITY and not type(self).__module__.startswith("dougong."):
            tensor: Tensor = Variable.around(stored, name, path=f"{self.path}/{name}", trainable=trainable)
            tensor.regularizer, tensor.constraint = regularizer, constraint
            tensor.requires_grad_(tensor.requires_grad and self._trainable)
        else:  # a plain one: torch takes it on its fastest way, and Keras's name gives a view
            tensor = nn.Parameter(stored, requires_grad=self._trainable) if trainable else nn.Buffer(stored)
        self._pending.append(_Spec(name, tensor, layout, regularizer, constraint))
        return tensor

    def _complete(self) -> None:
        """Register the weights that `build` made, under the attribute that holds them or under their own name."""
        for pending in self._pending:
            attribute = self._attribute_of(pending.tensor)
            if attribute is None:
                attribute = pending.name.replace(".", "_")
                setattr(self, attribute, pending.tensor)
            self._specs[attribute] = pending._replace(tensor=torch.empty(0))
            if attribute == pending.name and pending.layout is IDENTITY:
                as_variable(pending.tensor, pending.name, f"{self.path}/{pending.name}")
        self._pending.clear()
        self.built = True
        if not self._trainable:
            self.trainable = False  # what is held within, too

    def _attribute_of(self, tensor: Tensor) -> str | None:
        for prefix, module in self.named_modules():
            if module is not self and isinstance(module, WeightStore):
                continue
            for name, held in (*module._parameters.items(), *module._buffers.items()):
                if held is tensor:
                    return f"{prefix}.{name}" if prefix else name
        return None

    def __setattr__(self, name: str, value: Any) -> None:
        if type(value) in (list, dict) and not name.startswith("_"):
            value = tracked(value)
            if isinstance(value, Holder):
                value.train(self.training)
                self._modules[name] = value
                self.__dict__[name] = value  # found without a search
                return
        if type(value) is Variable and not value.trainable:
            self._parameters.pop(name, None)
            self._buffers[name] = value
            return
        if type(value) is Tensor and self.__dict__.get("_pending") and any(p.tensor is value for p in self._pending):
            self.register_buffer(name, value)
            return
        if isinstance(value, nn.Module) and value.training != self.training:
            value.train(self.training)  # torch's own modules begin in training mode, layers in inference
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        parameters = self.__dict__.get("_parameters", ())
        if name in parameters:  # the way to the kernel: one step, as in torch
            return parameters[name]
        specs = self.__dict__.get("_specs")
        if specs:
            for attribute, spec in specs.items():
                if spec.name == name:
                    tensor = self.get_parameter_or_buffer(attribute)
                    return KerasWeight(*spec._replace(tensor=tensor), owner=self.path).variable()
        return super().__getattr__(name)

    def get_parameter_or_buffer(self, path: str) -> Tensor:
        """The parameter or buffer at a dotted path below this layer."""
        owner, _, name = path.rpartition(".")
        module = self.get_submodule(owner)
        found = module._parameters.get(name)
        found = module._buffers.get(name) if found is None else found
        if found is None:
            raise BuildError(f"layer {self.name!r} holds no weight {path!r}")
        return found

    def keras_weights(self) -> Iterator[KerasWeight]:
        """This layer's own weights as Keras orders them: trainable ones, then the others, each in creation order."""
        own = [spec._replace(tensor=self.get_parameter_or_buffer(path)) for path, spec in self._specs.items()]
        known = {id(spec.tensor) for spec in own}
        variables = [(n, t) for n, t in self._buffers.items() if type(t) is Variable]
        extra = [(n, t) for n, t in (*self._parameters.items(), *variables) if t is not None and id(t) not in known]
        own += [_Spec(n, t, IDENTITY, None, None) for n, t in extra]
        for wanted in (True, False):
            yield from (KerasWeight(*spec, owner=self.path) for spec in own if is_trainable(spec.tensor) is wanted)

    @property
    def weights(self) -> list[Any]:
        """All weights below this layer as Variables, in Keras's order and layout; `parameters` gives torch's."""
        return [weight.variable() for weight in keras_weights(self)]

    variables = weights

    @property
    def trainable_weights(self) -> list[Any]:
        return [weight.variable() for weight in keras_weights(self) if weight.tensor.requires_grad]

    @property
    def non_trainable_weights(self) -> list[Any]:
        return [weight.variable() for weight in keras_weights(self) if not weight.tensor.requires_grad]

    trainable_variables = trainable_weights
    non_trainable_variables = non_trainable_weights

    def get_weights(self) -> list[np.ndarray]:
        """Copies of all weights as NumPy arrays in Keras's layout and order."""
        return [w.value().detach().cpu().contiguous().numpy().copy() for w in keras_weights(self)]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set all weights from arrays as `get_weights` gives them.   Raises: ShapeError before anything is changed."""
        own = list(keras_weights(self))
        if len(own) != len(weights):
            hint = "" if self.built else "; the layer is not built yet: call it once or give it an input shape"
            raise ShapeError(f"{self.name!r} has {len(own)} weights but received {len(weights)}{hint}")
        values = [torch.as_tensor(np.asarray(value)) for value in weights]
        for weight, value in zip(own, values):
            if tuple(weight.value().shape) != tuple(value.shape):
                want, got = tuple(weight.value().shape), tuple(value.shape)
                raise ShapeError(f"weight {weight.name!r} of {self.name!r} has shape {want} but received {got}")
        for weight, value in zip(own, values):
            weight.assign(value)

    def count_params(self) -> int:
        """How many numbers the weights hold, trainable or not."""
        return sum(weight.tensor.numel() for weight in keras_weights(self))

    @property
    def trainable(self) -> bool:
        """Whether training changes this layer; setting it sets every layer and module below."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for module in self.modules():
            if isinstance(module, WeightStore):
                module._trainable = bool(value)
        for parameter in self.parameters():
            parameter.requires_grad_(bool(value))


def named_weights(module: nn.Module) -> Iterator[tuple[str, KerasWeight]]:
    """Every weight below a module once, with Keras's path (``dense/kernel``): its own, then its children's.

    Modules with ``counts_as_weights = False``, such as metrics, hold state but no weights.
    """
    seen: set[int] = set()

    def walk(current: nn.Module, owner: str) -> Iterator[tuple[str, KerasWeight]]:
        if not getattr(current, "counts_as_weights", True):
            return
        if isinstance(current, WeightStore):
            owner = current.path
            own: Iterable[KerasWeight] = current.keras_weights()
        else:
            tensors = (*current.named_parameters(recurse=False), *current.named_buffers(recurse=False))
            own = (KerasWeight(name, tensor, IDENTITY, owner=owner) for name, tensor in tensors)
        yield from ((f"{owner}/{weight.name}", weight) for weight in own)
        for name, child in current.named_children():
            yield from walk(child, f"{owner}/{name}" if owner else name)

    for path, weight in walk(module, ""):
        if id(weight.tensor) not in seen:
            seen.add(id(weight.tensor))
            yield path, weight


def keras_weights(module: nn.Module) -> Iterator[KerasWeight]:
    """Every weight below a module once, in Keras's order."""
    return (weight for _, weight in named_weights(module))
