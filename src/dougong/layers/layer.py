"""`Layer`: a `torch.nn.Module` with Keras's contract: `__init__`, `build`, `call`, `get_config`."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache, wraps
from typing import Any, ClassVar, NamedTuple, Self, TypedDict
from weakref import ref

import numpy as np
import torch
from torch import Tensor, nn

from dougong.core import device, dtypes
from dougong.core.config import Configurable, constructor_names, serialize
from dougong.core.errors import BuildError, ConfigError, ShapeError, near_names
from dougong.core.layout import IDENTITY, Layout
from dougong.core.names import snake_case, unique_name
from dougong.core.nested import leaves, map_leaves
from dougong.core.policy_map import DTypePolicyMap
from dougong.core.symbol import Node, Shape, Symbol, contains_symbol, infer_outputs, record
from dougong.core.text import STRING, is_text
from dougong.core.variable import without_values
from dougong.core.weights import WeightStore, keras_weights
from dougong.layers.keras_words import KerasWords
from dougong.ops import constraints, initializers, regularizers

__all__ = ["FORWARD_PASS", "REFUSALS", "Layer", "LayerOptions", "layer_losses"]

# What torch raises for an input that does not fit; `Layer.input_problem` then says what is wrong.
REFUSALS = (RuntimeError, IndexError, KeyError, TypeError, ValueError)


class LayerOptions(TypedDict, total=False):
    """The keyword arguments that every layer takes and hands to `Layer`."""

    name: str | None
    trainable: bool
    dtype: Any
    activity_regularizer: Any
    input_shape: Sequence[int | None] | None
    input_dim: int | None
    batch_size: int | None
    batch_input_shape: Sequence[int | None] | None
    autocast: bool


class _CallSignature(NamedTuple):
    names: tuple[str, ...]
    training: bool
    mask: bool


@cache
def _call_signature(call: Callable[..., Any]) -> _CallSignature:
    names = tuple(name for name in inspect.signature(call).parameters if name != "self")
    return _CallSignature(names, "training" in names, "mask" in names)


class Layer(Configurable, KerasWords):
    """A standard block.  Subclasses write `build` (optional) and `call`; everything else is derived.

    A new layer is in inference mode, as in Keras; ``layer(x, training=True)`` or ``layer.train()`` changes that.

    >>> class Scale(Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight(shape=(input_shape[-1],), initializer=torch.ones, name="factor")
    ...     def call(self, inputs):
    ...         return inputs * self.factor
    >>> layer = Scale(name="scale"); layer(torch.full((1, 2), 3.0)).tolist(), layer.count_params()
    ([[3.0, 3.0]], 2)
    """

    keras_module: ClassVar[str] = "keras.layers"
    supports_masking: bool = False
    _direct: ClassVar[bool] = True  # an input without a mask may go straight to `call`; no mask is made

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _completing(cls.build)  # type: ignore[method-assign]
        if "_direct" not in cls.__dict__ and ("call" in cls.__dict__ or "compute_mask" in cls.__dict__):
            cls._direct = not _call_signature(cls.call).training and cls.compute_mask is Layer.compute_mask

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
        activity_regularizer: Any = None,
        input_shape: Sequence[int | None] | None = None,
        input_dim: int | None = None,
        batch_size: int | None = None,
        batch_input_shape: Sequence[int | None] | None = None,
        autocast: bool = True,
        **unknown: Any,
    ) -> None:
        if unknown:
            self._refuse(unknown)
        WeightStore.__init__(self, name or unique_name(snake_case(type(self).__name__)), trainable)
        self.training = False
        self.dtype_policy = dtypes.policy(dtype[self.name] if isinstance(dtype, DTypePolicyMap) else dtype)
        self.autocast = autocast
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._losses: list[Tensor] = []
        self._lossy: list[Layer] = []  # the layers below that added to `losses` in the last run
        self._calls: list[ref[Node]] = []
        self._plain = activity_regularizer is None
        if input_dim is not None:
            input_shape = (input_dim,)
        if input_shape is not None and batch_input_shape is None:
            shape = (input_shape,) if isinstance(input_shape, int) else tuple(input_shape)
            batch_input_shape = (batch_size, *shape)
        self.declared_input: Shape | None = None if batch_input_shape is None else tuple(batch_input_shape)

    def _refuse(self, unknown: Mapping[str, Any]) -> None:
        known = sorted(constructor_names(type(self)) - set(LayerOptions.__annotations__))
        word = next(iter(unknown))
        near = near_names(word, [*known, *LayerOptions.__annotations__])
        hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(known) or 'no arguments of its own'}"
        raise ConfigError(f"{type(self).__name__} takes no argument {word!r}; {hint}")

    # ── Building ────────────────────────────────────────────────────────────────────────────────────────────────────

    def build(self, input_shape: Any) -> None:
        """Make the weights for an input of this shape.  Called once, on first use."""
        self._complete()

    def _build_for(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """`build` for the shapes of the first argument, be it one tensor or a structure of them."""
        first = args[0] if args else next(iter(kwargs.values()), None)
        self._built_for = map_leaves(_shape_of, first)
        self.build(self._built_for)

    def add_weight(
        self,
        shape: Sequence[int] | int = (),
        initializer: Any = "glorot_uniform",
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
        *,
        layout: Layout = IDENTITY,
    ) -> Any:
        """A new weight of Keras's ``shape``, stored as ``layout`` says: a Parameter, or a Buffer when not trainable.

        Assign it to an attribute; what is not assigned by the end of `build` is registered under ``name``.
        ``autocast``, ``aggregation`` and ``overwrite_with_gradient`` are Keras's words without a meaning here.
        """
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        if any(size is None or size < 0 for size in shape):
            raise ShapeError(
                f"{type(self).__name__} {self.name!r} needs weight {name!r} of shape {shape}: the axes it depends on"
                " must be known; give Input a full shape"
            )
        kind = self.dtype_policy.weights if dtype is None else dtypes.torch_dtype(dtype)
        value = self._initial_value(initializers.get(initializer), shape, kind)
        return self.store_weight(
            name,
            value,
            trainable=trainable,
            layout=layout,
            regularizer=regularizers.get(regularizer),
            constraint=constraints.get(constraint),
        )

    add_variable = add_weight

    def _initial_value(self, initializer: Any, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        try:
            value = initializer(shape, dtype=dtype)
        except TypeError:
            value = initializer(shape)
        value = torch.as_tensor(value, dtype=dtype).to(device.default())
        if tuple(value.shape) != shape:
            raise ShapeError(f"the initializer of {self.name!r} gave shape {tuple(value.shape)}, expected {shape}")
        return value

    # ── Calling ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def call(self, inputs: Any) -> Any:
        """The layer's arithmetic."""
        raise ConfigError(f"{type(self).__name__} has no call(self, inputs): write one")

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """`call`, after what Keras promises: symbols are recorded, the first use builds, masks and training pass on."""
        if self._plain and self._direct and self.built and not kwargs and len(args) == 1:
            inputs = args[0]
            if type(inputs) is Tensor and getattr(inputs, "_keras_mask", None) is None:
                try:
                    return self.call(inputs)
                except REFUSALS as error:
                    self._check_input(inputs, error)
                    if not self._may_cast(inputs):
                        raise
                    return self.call(inputs.to(self.dtype_policy.weights))
        if contains_symbol(args, kwargs):
            return self._record(args, kwargs)
        return self._call_fully(args, kwargs)

    def _call_fully(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        args, kwargs = map_leaves(self._as_tensor, args), map_leaves(self._as_tensor, kwargs)
        self._check_spec(args)
        with nullcontext() if self.built else self.scope():  # what is within may build itself as `call` reaches it
            if not self.built:
                self._build_for(args, kwargs)
            if args:
                self._check_input(args[0])
            signature = _call_signature(type(self).call)
            training = kwargs.pop("training", None)
            if training is None:
                return self._call_masked(signature, args, kwargs)
            with FORWARD_PASS.in_mode(bool(training)):
                before = [] if bool(training) == self.training else [(m, m.training) for m in self.modules()]
                if before:
                    self.train(bool(training))
                try:
                    return self._call_masked(signature, args, kwargs)
                finally:
                    for module, mode in before:
                        module.training = mode

    def is_training(self) -> bool:
        """The mode that `call` is told, where the caller says none."""
        return self.training

    def _call_masked(self, signature: _CallSignature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        first = args[0] if args else None
        masks = map_leaves(lambda leaf: getattr(leaf, "_keras_mask", None), first)
        has_mask = any(mask is not None for mask in leaves(masks))
        if signature.training and "training" not in signature.names[: len(args)]:
            kwargs["training"] = self.is_training()
        if signature.mask and has_mask and "mask" not in signature.names[: len(args)] and kwargs.get("mask") is None:
            kwargs["mask"] = masks
        try:
            outputs = self.call(*args, **kwargs)
        except RuntimeError:
            if not isinstance(first, Tensor) or not self._may_cast(first):
                raise
            first = first.to(self.dtype_policy.weights)
            outputs = self.call(first, *map_leaves(self._cast, args[1:]), **map_leaves(self._cast, kwargs))
        mask = kwargs.get("mask", masks if has_mask else None)
        outgoing = self.compute_mask(first, mask) if has_mask or mask is not None or self._makes_mask() else None
        if outgoing is not None:
            for output, one in zip(leaves(outputs), leaves(outgoing)):
                if isinstance(output, Tensor) and one is not None:
                    output._keras_mask = one  # type: ignore[attr-defined]
        if self.activity_regularizer is not None:
            if FORWARD_PASS.root is None:
                self._losses.clear()
            for output in leaves(outputs):
                self.add_loss(self.activity_regularizer(output) / max(output.shape[0], 1))
        return outputs

    def input_problem(self, shape: Any) -> str | None:
        """Why an input of this shape does not fit the built layer, with what to do; None when it fits.

        Asked before a symbol is recorded and after torch refused an input, never on the way to the kernel.
        """
        return None

    def _may_cast(self, inputs: Tensor) -> bool:
        """Whether a refused input only has another dtype than the weights, or is whole.   Keras: casts every input."""
        own, given = self.dtype_policy.weights, inputs.dtype
        if given is own or given.is_complex or torch.is_autocast_enabled(inputs.device.type) or not self.autocast:
            return False
        if given.is_floating_point:
            return any(weight.is_floating_point() for weight in (*self.parameters(), *self.buffers()))
        weights = list(self.parameters(recurse=False))  # what stands within may want whole numbers
        return any(weight.is_floating_point() for weight in weights) or not any(self.children())

    def _cast(self, leaf: Any) -> Any:
        own = self.dtype_policy.weights
        return leaf.to(own) if isinstance(leaf, Tensor) and leaf.is_floating_point() else leaf

    def _check_input(self, inputs: Any, cause: Exception | None = None) -> None:
        problem = self.input_problem(map_leaves(_shape_of, inputs))
        if problem is not None:
            raise ShapeError(f"{type(self).__name__} {self.name!r} {problem}") from cause

    def _makes_mask(self) -> bool:
        return type(self).compute_mask is not Layer.compute_mask

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the output.  Layers that `supports_masking` pass the first one on; others end it."""
        return mask if self.supports_masking else None

    def _as_tensor(self, leaf: Any) -> Any:
        if isinstance(leaf, np.ndarray) and not is_text(leaf):
            leaf = torch.from_numpy(np.ascontiguousarray(leaf))
            wanted = self.dtype_policy.weights
            if leaf.is_floating_point() and leaf.dtype != wanted and self.autocast:
                leaf = leaf.to(wanted)
            first = next(self.parameters(), None)
            return leaf.to(device.default() if first is None else first.device)
        return leaf

    # ── Symbols ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _record(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._check_spec(args)
        if not self.built:
            self._build_for(args, kwargs)
        if args:
            self._check_input(args[0])
        signature = _call_signature(type(self).call)
        first = args[0] if args else None
        masks = map_leaves(lambda leaf: leaf.mask if isinstance(leaf, Symbol) else None, first)
        has_mask = any(mask is not None for mask in leaves(masks))
        if signature.mask and has_mask and kwargs.get("mask") is None and "mask" not in signature.names[: len(args)]:
            kwargs = {**kwargs, "mask": masks}
        with self.scope():
            outputs = self.compute_output_spec(*args, **kwargs)
        record(self, args, kwargs, outputs=outputs, name=self.name)
        self.note_call(next(leaves(outputs)).node)
        mask = kwargs.get("mask", masks if has_mask else None)
        if has_mask or mask is not None or self._makes_mask():
            self._record_mask(first, mask, outputs)
        return outputs

    def note_call(self, node: Node) -> None:
        """Remember, without keeping it alive, that ``node`` applies this layer to symbols."""
        self._calls = [*(call for call in self._calls if call() is not None), ref(node)]

    def _first_call(self) -> Node:
        for call in self._calls:
            node = call()
            if node is not None:
                return node
        raise BuildError(f"layer {self.name!r} has no input or output: it has not been applied to a symbol")

    @property
    def input(self) -> Any:
        """What the layer was first applied to in a graph.   Raises: BuildError if it never was."""
        args = self._first_call().args
        return args[0] if len(args) == 1 else args

    @property
    def output(self) -> Any:
        """What came out there, to make another model of: ``Model(model.inputs, model.get_layer("x").output)``."""
        return self._first_call().outputs

    def _record_mask(self, inputs: Any, mask: Any, outputs: Any) -> None:
        if not self._makes_mask():
            outgoing = self.compute_mask(inputs, mask)  # passes symbols through as they are
        else:
            outgoing = record(self.compute_mask, (inputs, mask), {}, name="mask")
        for output, one in zip(leaves(outputs), leaves(outgoing)):
            if isinstance(output, Symbol) and isinstance(one, Symbol):
                output.mask = one

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The output's shape for an input's shape, with None for unknown axes.  Subclasses may state it outright."""
        symbols = _symbols_of(input_shape)
        return map_leaves(lambda symbol: symbol.shape, self.compute_output_spec(symbols))

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Symbols like the output: from `compute_output_shape` where a subclass states it, else from a trial run."""
        states_shape = type(self).compute_output_shape is not Layer.compute_output_shape
        kinds = [leaf.dtype for leaf in leaves(args) if isinstance(leaf, Symbol)]
        # Numbers of another kind may stay such where no weight is real; text is for the trial run to refuse.
        real = any(one.is_floating_point() for one in self.parameters())
        tried = STRING in kinds or (not real and any(kind is not self.dtype_policy.weights for kind in kinds))
        if states_shape and not tried and not any(isinstance(leaf, Symbol) for leaf in leaves((args[1:], kwargs))):
            shape = self.compute_output_shape(map_leaves(_shape_of, args[0]))
            return _symbols_of(shape, self.dtype_policy.weights)
        parameters = {
            name: without_values(tensor) for name, tensor in (*self.named_parameters(), *self.named_buffers())
        }

        def trial(*a: Any, **k: Any) -> Any:
            return torch.func.functional_call(self, parameters, a, k)

        if all(layer.built for layer in self.modules() if isinstance(layer, Layer)):
            try:
                return infer_outputs(trial, args, kwargs)
            except ShapeError:
                pass  # a layer that holds plain tensors, or an operator without a meta kernel: run it for real
        with torch.random.fork_rng(devices=[]):
            try:
                return infer_outputs(self, args, kwargs, device=str(device.default()))
            except ShapeError as error:
                raise ShapeError(f"layer {self.name!r} ({type(self).__name__}): {error}") from error

    # ── Losses and config ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def dtype(self) -> str:
        return self.variable_dtype

    def add_loss(self, loss: Any) -> None:
        """Add a scalar to the training loss; it counts for the current run of the model."""
        if FORWARD_PASS.root is not None:
            FORWARD_PASS.root._lossy.append(self)
        losses = loss if isinstance(loss, list | tuple) else [loss]
        self._losses.extend(
            one for one in losses if not getattr(one, "is_meta", False)
        )  # but for trial runs on symbols

    @property
    def losses(self) -> list[Tensor]:
        """The scalars that the last forward pass added, then the weights' regularization terms."""
        return layer_losses(self)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        options = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype_policy.name}
        for name in (*LayerOptions.__annotations__, *options):
            config.pop(name, None)
        if self.activity_regularizer is not None:
            options["activity_regularizer"] = serialize(self.activity_regularizer)
        if self.declared_input is not None:
            options["batch_input_shape"] = list(self.declared_input)
        return options | config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Rebuild from `get_config`'s result; a class whose constructor takes no name gets it afterwards.

        A word that the class does not have is left out where it is None: Keras's files name features not used.
        """
        taken, common = constructor_names(cls), LayerOptions.__annotations__
        given = {key: v for key, v in config.items() if key in taken or (key not in common and v is not None)}
        layer = super().from_config(given)
        if "name" in config and "name" not in given:
            layer.name = config["name"]
        return layer

    def extra_repr(self) -> str:
        return f"name={self.name!r}"

    def __getstate__(self) -> dict[str, Any]:
        # The last pass's losses hold its graph, which can be neither copied nor pickled; calls are the original's.
        return self.__dict__ | {"_losses": [], "_lossy": [], "_calls": []}


class ForwardPass(threading.local):
    """The model that is being run, the outermost of nested ones; what its layers add to the loss counts for one run.

    ``training`` is the mode that the caller asked for, None where nobody did.
    """

    root: Layer | None = None
    training: bool | None = None

    @contextmanager
    def in_mode(self, training: bool) -> Iterator[None]:
        """Within the block the caller asks for training, or for inference."""
        before, self.training = self.training, training
        try:
            yield
        finally:
            self.training = before


FORWARD_PASS = ForwardPass()


def _completing(build: Callable[..., None]) -> Callable[..., None]:
    @wraps(build)
    def complete(self: Layer, *args: Any, **kwargs: Any) -> None:
        with self.scope():
            build(self, *args, **kwargs)
            self._complete()
        if len(args) == 1 and not kwargs:
            self._built_for = args[0]

    return complete


def _shape_of(leaf: Any) -> Any:
    return tuple(leaf.shape) if hasattr(leaf, "shape") else None


def _symbols_of(shape: Any, dtype: torch.dtype = torch.float32) -> Any:
    """Symbols for a shape, or for a list or dict of shapes."""
    if isinstance(shape, dict):
        return {key: _symbols_of(item, dtype) for key, item in shape.items()}
    if isinstance(shape, list | tuple) and any(isinstance(item, list | tuple) for item in shape):
        return type(shape)([_symbols_of(item, dtype) for item in shape])
    return Symbol(shape, dtype, name="value")


def layer_losses(module: nn.Module) -> list[Tensor]:
    """The losses added during the last forward pass below ``module``, then its weights' regularization terms."""
    layers: Iterable[Layer] = [layer for layer in module.modules() if isinstance(layer, Layer)]
    added = [loss for layer in layers for loss in layer._losses]
    regularized = (w for w in keras_weights(module) if w.regularizer is not None and w.tensor.requires_grad)
    return added + [weight.regularizer(weight.value()) for weight in regularized if weight.regularizer is not None]
