"""Data, a model, and a scripted run: its logs are made up, so that the decisions of callbacks can be compared."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["SEQUENCES", "Script", "X", "Y", "network"]

X = np.random.default_rng(0).standard_normal((20, 4)).astype("float32")
Y = np.random.default_rng(1).integers(0, 3, 20)


def network(k: Any) -> Any:
    model = k.Sequential([k.Input((4,)), k.layers.Dense(3, activation="softmax")])
    model.compile(k.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class Script:
    """A model whose epochs do nothing but number its one weight; logs come from a script."""

    def __init__(self, k: Any) -> None:
        self.inner = k.Sequential([k.Input((1,)), k.layers.Dense(1, use_bias=False)])
        self.inner.compile(k.optimizers.SGD(1.0), "mse", metrics=["mae"])
        self.inner.evaluate(np.ones((2, 1), "float32"), np.ones((2, 1), "float32"), verbose=0)  # binds the metrics

    def run(self, callback: Any, name: str, values: list[float]) -> dict[str, Any]:
        model = self.inner
        callback.set_params({"epochs": len(values), "verbose": 0, "steps": 1})
        callback.set_model(model)
        model.stop_training = False
        callback.on_train_begin({})
        rates, epoch = [], -1
        for epoch, value in enumerate(values):
            callback.on_epoch_begin(epoch, {})
            model.set_weights([np.full((1, 1), float(epoch), "float32")])
            callback.on_epoch_end(epoch, {"loss": 1.0, name: value})
            rates.append(float(model.optimizer.learning_rate))
            if model.stop_training:
                break
        callback.on_train_end({})
        names = ("stopped_epoch", "best_epoch", "wait", "best", "cooldown_counter")
        state = {n: getattr(callback, n) for n in names if hasattr(callback, n)}
        best = state.pop("best", None)
        return state | {
            "best": None if best is None else float(best),
            "last": epoch,
            "weight": float(model.get_weights()[0][0, 0]),
            "rates": np.round(rates, 8).tolist(),
        }


SEQUENCES = {
    "falls": [5.0, 4.0, 3.0, 2.0, 1.0],
    "rises": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    "turns": [5.0, 3.0, 2.0, 2.5, 2.4, 2.2, 1.9, 3.0, 3.0, 3.0],
    "creeps": [1.0, 0.99, 0.98, 0.97, 0.96, 0.95, 0.94, 0.5, 0.5, 0.5],
    "flat": [1.0] * 7,
    "jumps": [9.0, 1.0, 9.0, 9.0, 0.9, 9.0, 9.0, 9.0, 9.0, 0.1],
}
