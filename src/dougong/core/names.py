"""Names as Keras makes them: ``Dense`` gives ``dense``, the next one ``dense_1``."""

from __future__ import annotations

import re
from collections import Counter

__all__ = ["reset_names", "snake_case", "unique_name"]

_COUNTS: Counter[str] = Counter()


def snake_case(class_name: str) -> str:
    """Keras's snake case.

    >>> [snake_case(n) for n in ("Conv2D", "LSTM", "GlobalAveragePooling1D", "PReLU")]
    ['conv2d', 'lstm', 'global_average_pooling1d', 'p_re_lu']
    """
    split = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", re.sub(r"\W+", "", class_name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", split).lower()


def unique_name(prefix: str) -> str:
    """``prefix`` the first time, then ``prefix_1``, ``prefix_2`` … until `reset_names`."""
    count = _COUNTS[prefix]
    _COUNTS[prefix] += 1
    return f"{prefix}_{count}" if count else prefix


def reset_names() -> None:
    """Start counting names afresh.   Keras: ``keras.backend.clear_session``."""
    _COUNTS.clear()
