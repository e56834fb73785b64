"""The names that ``keras.optimizers.legacy`` had, and what to use in their place; data for the facade."""

from __future__ import annotations

__all__ = ["LEGACY"]

_NAMES = ("Adadelta", "Adagrad", "Adam", "Adamax", "Ftrl", "Nadam", "Optimizer", "RMSprop", "SGD")
LEGACY: dict[str, str] = {
    name: f"keras.optimizers.legacy.{name} is gone, in Keras 3 too: use keras.optimizers.{name}, with learning_rate="
    " for lr= and schedules.InverseTimeDecay(rate, decay_steps=1, decay_rate=decay) for decay="
    for name in _NAMES
}
"""Message by name."""
