"""The constructor is the config: `get_config` is derived from the signature, and names become objects at one door.

A serialized object is Keras's: ``{"module", "class_name", "config", "registered_name"}``.  Only classes in an explicit
table, or registered by the user, are ever built from a file.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import FunctionType
from typing import Any, ClassVar, Self

import numpy as np
import torch

from dougong.core.errors import BuildError, ConfigError, UnknownNameError
from dougong.core.torch_functions import keras_name

__all__ = [
    "Configurable",
    "constructor_names",
    "custom_object_scope",
    "custom_objects",
    "deserialize",
    "find_custom",
    "register_serializable",
    "resolve",
    "serialize",
]

_CUSTOM: dict[str, Any] = {}
_PLAIN = (bool, int, float, str, type(None))


class Configurable:
    """An object that can be rebuilt from its constructor's arguments.

    Store each constructor argument under its own name; `get_config` then needs no code.  An attribute that holds plain
    data wins over the argument it came from, since it may have been changed; anything else is taken as it was given.

    >>> class Scale(Configurable):
    ...     def __init__(self, factor: float = 2.0) -> None:
    ...         self.factor = factor
    >>> Scale(3.0).get_config(), Scale.from_config({"factor": 4.0}).factor
    ({'factor': 3.0}, 4.0)
    """

    keras_module: ClassVar[str] = "dougong"
    keras_class_name: str | None = None  # the class's name in files, where it is not its own
    _arguments: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        self = super().__new__(cls)
        object.__setattr__(self, "_arguments", (args, kwargs))
        return self

    def __init__(self) -> None:
        super().__init__()  # without this one, `object` would swallow the arguments of a class that takes none

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as JSON-able values; ``type(self).from_config`` rebuilds the object."""
        return {name: serialize(value) for name, value in self.constructor_arguments().items()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Rebuild from `get_config`'s result.   Raises: ConfigError if the constructor does not take the arguments."""
        try:
            return cls(**config)
        except TypeError as error:
            raise ConfigError(f"{cls.__name__} cannot be built from its config: {error}") from error

    def constructor_arguments(self) -> dict[str, Any]:
        """Every constructor argument by name: as given, as changed since, or its default."""
        given_positional, given = self._arguments
        values: dict[str, Any] = {}
        names = []
        for name, parameter in _constructor_parameters(type(self)):
            values[name] = None if parameter.default is parameter.empty else parameter.default
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                names.append(name)
        values.update(zip(names, given_positional))
        values.update(given)
        return {name: _current(self, name, value) for name, value in values.items()}


@cache
def _constructor_parameters(cls: type) -> list[tuple[str, inspect.Parameter]]:
    """The parameters of ``__init__``, followed by those of the next class's where ``**kwargs`` passes them on."""
    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base) or base in (object, torch.nn.Module):
            continue
        parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        for parameter in named:
            # Positional arguments go to the outermost constructor only.
            kind = parameter.kind if not found or base is cls else parameter.KEYWORD_ONLY
            found.setdefault(parameter.name, parameter.replace(kind=kind))
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return list(found.items())


def constructor_names(cls: type) -> set[str]:
    """The names of the arguments that a class's constructor takes."""
    return {name for name, _ in _constructor_parameters(cls)}


def _current(owner: object, name: str, given: Any) -> Any:
    try:
        value = getattr(owner, name)
    except (AttributeError, BuildError):
        return given
    return value if _is_plain(value) and (given is None or _is_plain(given)) else given


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in value)
    return isinstance(value, _PLAIN)


def serialize(value: Any) -> Any:
    """A JSON-able form of a config value.   Raises: ConfigError for a function or object that nobody registered.

    >>> serialize((1, "a", np.float32(2.0)))
    [1, 'a', 2.0]
    """
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, list | tuple):
        return [serialize(item) for item in value]
    if isinstance(value, Configurable):  # before Mapping: an OptimizerMap is both
        return _serialize_object(value)
    if isinstance(value, Mapping):
        return {str(key): serialize(item) for key, item in value.items()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if isinstance(value, torch.Size):
        return list(value)
    if isinstance(value, np.ndarray | torch.Tensor):
        return {"class_name": "__numpy__", "config": {"value": value.tolist(), "dtype": str(np.asarray(value).dtype)}}
    if callable(value):
        return _serialize_function(value)
    raise ConfigError(f"{value!r} cannot be written to a config; give plain data or an object with get_config()")


def _serialize_object(value: Configurable) -> dict[str, Any]:
    cls = type(value)
    registered = _registered_name(cls)
    own = cls.__module__.startswith("dougong.")
    return {
        "module": value.keras_module if own else None,
        "class_name": value.keras_class_name if own and value.keras_class_name else cls.__name__,
        "config": value.get_config(),
        "registered_name": None if own else registered or cls.__name__,
    }


def _serialize_function(value: Callable[..., Any]) -> str | dict[str, Any]:
    registered = _registered_name(value)
    if registered:
        return {"module": "builtins", "class_name": "function", "config": registered, "registered_name": "function"}
    known = keras_name(value)
    if known:
        return known
    name = getattr(value, "__name__", type(value).__name__)
    if name != "<lambda>" and getattr(value, "__module__", "").startswith("dougong."):
        return name
    raise ConfigError(
        f"the function {name!r} cannot be saved by name; decorate it with @dg.saving.register_keras_serializable()"
    )


def _registered_name(value: Any) -> str | None:
    return next((name for name, known in _CUSTOM.items() if known is value), None)


def register_serializable(package: str = "Custom", name: str | None = None) -> Callable[[Any], Any]:
    """Decorator: let files and configs refer to a class or function of yours as ``package>name``.

    Keras: equals ``keras.saving.register_keras_serializable``.
    """

    def register(target: Any) -> Any:
        _CUSTOM[f"{package}>{name or target.__name__}"] = target
        return target

    return register


@contextmanager
def custom_object_scope(objects: Mapping[str, Any] | None) -> Iterator[None]:
    """Within the block, configs may refer to ``objects`` by name.   Keras: ``keras.saving.custom_object_scope``."""
    before = dict(_CUSTOM)
    _CUSTOM.update(objects or {})
    try:
        yield
    finally:
        _CUSTOM.clear()
        _CUSTOM.update(before)


def custom_objects() -> Mapping[str, Any]:
    """What the user registered, by registered name."""
    return _CUSTOM


def find_custom(config: Mapping[str, Any] | str) -> Any | None:
    """The registered class or function that a config or a name refers to, or None."""
    if isinstance(config, str):
        candidates = [config, f"Custom>{config}"]
    else:
        candidates = [config.get("registered_name"), config.get("class_name"), f"Custom>{config.get('class_name')}"]
    return next((_CUSTOM[name] for name in candidates if name in _CUSTOM), None)


def deserialize(config: Mapping[str, Any], table: Mapping[str, Any], kind: str) -> Any:
    """Build an object from its serialized form, from ``table`` or what the user registered; nothing is imported.

    Raises: UnknownNameError for a class in neither, ConfigError for a config that is not one.
    """
    name = config.get("class_name")
    if name == "function" and isinstance(config.get("config"), str):
        return resolve(config["config"], table, kind)
    if not isinstance(name, str) or not isinstance(config.get("config", {}), Mapping):
        raise ConfigError(f"a serialized {kind} needs 'class_name' and 'config', got {sorted(map(str, config))}")
    found = find_custom(config)
    if found is None:
        found = table.get(name.rpartition(">")[2])
    if found is None:
        advice = "Pass your own classes in custom_objects={...} or register them."
        raise UnknownNameError(kind, name, [key for key in table if key[:1].isupper()], advice)
    if isinstance(found, FunctionType):
        return found
    return found.from_config(dict(config.get("config", {})))


def resolve(identifier: Any, table: Mapping[str, Any], kind: str) -> Any:
    """The object that an argument means: None, a name in ``table``, a serialized object, or the object itself.

    Classes are called without arguments, functions are returned as they are.
    Raises: UnknownNameError listing near names; ConfigError for anything that is none of these.

    >>> resolve("relu", {"relu": torch.relu}, "activation") is torch.relu
    True
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        found = find_custom(identifier)
        if found is None:
            found = table.get(identifier)
        if found is None:
            raise UnknownNameError(kind, identifier, table)
        return _made(found, kind) if isinstance(found, type) else found
    if isinstance(identifier, Mapping):
        return deserialize(identifier, table, kind)
    if isinstance(identifier, type):
        return _made(identifier, kind)
    if callable(identifier) or isinstance(identifier, Configurable):
        return identifier
    raise ConfigError(f"{identifier!r} is no {kind}: give a name, a {kind} object, a function or None")


def _made(cls: type, kind: str) -> Any:
    """An object of a class made without arguments.   Raises: ConfigError where it needs some."""
    parameters = inspect.signature(cls).parameters.values()
    plain = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if plain:
        given = ", ".join(f"{name}=…" for name in plain)
        raise ConfigError(
            f"the {kind} {cls.__name__} needs arguments, so a name is not enough: give {cls.__name__}({given})"
        )
    return cls()
