"""The error tree: every refusal says what came, what was expected, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "BuildError",
    "ConfigError",
    "DataError",
    "DeviceError",
    "DougongError",
    "ModelFormatError",
    "NonFiniteError",
    "NotOfferedError",
    "OutOfMemoryError",
    "SaveError",
    "ShapeError",
    "UnknownNameError",
    "near_names",
    "no_attribute",
]


class DougongError(Exception):
    """Any refusal by Dougong.  Catch this one to catch them all."""


class ShapeError(DougongError, ValueError):
    """A tensor does not fit: names the layer or argument, the shape expected and the shape received."""


class ConfigError(DougongError, ValueError):
    """An argument has a value that cannot be used, or an object cannot be written to a config."""


class BuildError(DougongError, ValueError):
    """A layer or model is used before it knows its input shape."""


class DataError(DougongError, ValueError):
    """The data cannot be used as given: names the file, row or column."""


class ModelFormatError(DougongError, ValueError):
    """A model file is refused: names the file, the place and the reason."""


class SaveError(DougongError, OSError):
    """A file could not be written.  The previous good file, if there was one, is still there."""


class NonFiniteError(DougongError, ArithmeticError):
    """A loss, activation or gradient became NaN or infinite.  The weights are those before the bad step."""


class NotOfferedError(DougongError, ImportError):
    """A name of Keras's that Dougong does not have: says why, and what to use.

    An ImportError, so that ``from dougong.keras.layers import TFSMLayer`` shows this message and not a general one.
    """


class DeviceError(DougongError, RuntimeError):
    """The device cannot do what was asked of it."""


class OutOfMemoryError(DougongError, MemoryError):
    """The device's memory is exhausted: names a batch size that should fit."""


class UnknownNameError(DougongError, ValueError):
    """A name stands for nothing: lists the names near it.

    >>> raise UnknownNameError("optimizer", "adma", ["adam", "sgd"])
    Traceback (most recent call last):
    dougong.core.errors.UnknownNameError: unknown optimizer 'adma'; did you mean 'adam'?
    """

    def __init__(self, kind: str, name: object, known: Iterable[str], advice: str = "") -> None:
        known = sorted(set(known))
        near = near_names(str(name), known)
        if near:
            hint = f"; did you mean {' or '.join(repr(word) for word in near)}?"
        elif len(known) <= 12:
            hint = f"; known: {', '.join(known)}"
        else:
            hint = f"; there are {len(known)}, from {known[0]} to {known[-1]}"
        super().__init__(f"unknown {kind} {name!r}{hint}{' ' + advice if advice else ''}")


def no_attribute(module: str, name: str, known: Iterable[str]) -> AttributeError:
    """What a module's ``__getattr__`` raises for a name that it does not have.

    >>> no_attribute("dg.layers", "Conv2d", ["Conv2D", "Dense"])
    AttributeError("dg.layers has no 'Conv2d'; did you mean 'Conv2D'?")
    """
    near = near_names(name, known)
    return AttributeError(f"{module} has no {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))


def near_names(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """The names nearest in spelling, best first; upper and lower case count alike.

    >>> near_names("rmsprob", ["RMSprop", "SGD"])
    ['RMSprop']
    """
    by_folded = {word.lower(): word for word in known}
    return [by_folded[word] for word in difflib.get_close_matches(name.lower(), by_folded, n=most, cutoff=0.6)]
