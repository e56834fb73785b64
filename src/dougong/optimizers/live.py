"""Numbers that an optimizer keeps as plain Python numbers, in Keras's words: read as arrays, assigned in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import torch

from dougong.core.variable import Variable

__all__ = ["HostVariable", "LiveFloat", "LiveInt", "decimal_rate"]


def decimal_rate(value: Any) -> float:
    """The learning rate a stored number means.

    Keras stores it in float32; the shortest decimal that rounds to it is what was written in the program.

    >>> decimal_rate(np.float32(0.001)), decimal_rate(0.0003)
    (0.001, 0.0003)
    """
    array = np.asarray(value.detach().cpu() if isinstance(value, torch.Tensor) else value)
    return float(str(array[()])) if array.dtype == np.float32 else float(array)


class LiveFloat(float):
    """A float that can also be assigned to, as ``optimizer.learning_rate`` of Keras can.

    >>> seen = []
    >>> LiveFloat.of(0.5, seen.append).assign(0.25), seen
    (None, [0.25])
    """

    _write: Callable[[Any], None]

    @classmethod
    def of(cls, value: float, write: Callable[[Any], None]) -> Self:
        """``value``, with ``write`` as what assigning does."""
        made = cls(value)
        made._write = write
        return made

    @property
    def value(self) -> float:
        """The number itself."""
        return float(self)

    def numpy(self) -> np.float32:
        """The number in the precision that Keras keeps it in."""
        return np.float32(self)

    def assign(self, value: Any) -> None:
        """Set it where it came from."""
        self._write(decimal_rate(value))

    def __reduce__(self) -> Any:
        return float, (float(self),)


class LiveInt(int):
    """An int that can also be assigned to, as ``optimizer.iterations`` of Keras can."""

    _write: Callable[[Any], None]

    @classmethod
    def of(cls, value: int, write: Callable[[Any], None]) -> Self:
        """``value``, with ``write`` as what assigning does."""
        made = cls(value)
        made._write = write
        return made

    @property
    def value(self) -> int:
        """The number itself."""
        return int(self)

    def numpy(self) -> np.int32:
        """The number as NumPy's."""
        return np.int32(self)

    def assign(self, value: Any) -> None:
        """Set it where it came from."""
        self._write(int(value))

    def __reduce__(self) -> Any:
        return int, (int(self),)


class HostVariable(Variable):
    """A scalar of an optimizer's state, as it was when asked for; assigning writes to where it is kept.

    >>> seen = []
    >>> variable = HostVariable.scalar(3, "iteration", "adam/iteration", seen.append)
    >>> variable.path, variable.numpy(), variable.assign(4).numpy(), seen
    ('adam/iteration', array(3), array(4), [4])
    """

    _set: Callable[[Any], None]

    @classmethod
    def scalar(cls, value: float, name: str, path: str, write: Callable[[Any], None]) -> Self:
        """``value`` in full precision, int64 or float64, with ``write`` as what assigning does."""
        kind = torch.int64 if isinstance(value, int) else torch.float64
        made = cls.around(torch.tensor(value, dtype=kind), name, path=path, trainable=False)
        made._set = write
        return made

    def assign(self, value: Any) -> Self:
        """Write a number."""
        number = decimal_rate(value) if self.is_floating_point() else int(value)
        self._set(number)
        with torch.no_grad():
            self.fill_(number)
        return self
