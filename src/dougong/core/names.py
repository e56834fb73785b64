"""Names as Keras makes them: ``Dense`` gives ``dense``, the next one ``dense_1``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["in_scope", "name_scope", "reset_names", "snake_case", "unique_name"]

_COUNTS: Counter[str] = Counter()
_SCOPE: ContextVar[tuple[str, ...]] = ContextVar("scope", default=())


def snake_case(class_name: str) -> str:
    """Keras's snake case.

    >>> [snake_case(n) for n in ("Conv2D", "LSTM", "GlobalAveragePooling1D", "ConvLSTM1D", "PReLU")]
    ['conv2d', 'lstm', 'global_average_pooling1d', 'conv_lstm1d', 'p_re_lu']
    """
    split = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", class_name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", split).lower()


def unique_name(prefix: str) -> str:
    """``prefix`` the first time, then ``prefix_1``, ``prefix_2`` … until `reset_names`."""
    count = _COUNTS[prefix]
    _COUNTS[prefix] += 1
    return f"{prefix}_{count}" if count else prefix


@contextmanager
def name_scope(name: str, **options: object) -> Iterator[None]:  # noqa: ARG001  Keras has more, for its own use
    """Within the block the paths of variables made by hand begin with ``name/``.   Keras: ``keras.name_scope``."""
    token = _SCOPE.set((*_SCOPE.get(), name))
    try:
        yield
    finally:
        _SCOPE.reset(token)


def in_scope(name: str) -> str:
    """A name behind those of the scopes around it.

    >>> with name_scope("block"):
    ...     in_scope("gain")
    'block/gain'
    """
    return "/".join((*_SCOPE.get(), name))


def reset_names() -> None:
    """Start counting names afresh.   Keras: ``keras.backend.clear_session``."""
    _COUNTS.clear()
