"""The cases of the golden optimizer runs, for Dougong and for the real Keras alike."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["CASES", "STEPS", "gradients_of", "layers_of", "make"]

STEPS = 10
_DECAY = {"initial_learning_rate": 0.05, "decay_steps": 4, "decay_rate": 0.5, "staircase": True}
_WARM = {"initial_learning_rate": 0.0, "decay_steps": 6, "warmup_target": 0.05, "warmup_steps": 3}

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {}),
    "sgd_nesterov": ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    "sgd_scaled": ("SGD", {"momentum": 0.9, "loss_scale_factor": 8.0, "clipnorm": 0.5}),
    "rmsprop": ("RMSprop", {"rho": 0.8}),
    "rmsprop_centered": ("RMSprop", {"centered": True, "momentum": 0.5, "epsilon": 1e-3}),
    "adagrad": ("Adagrad", {"initial_accumulator_value": 0.2}),
    "adadelta": ("Adadelta", {"rho": 0.75, "epsilon": 0.01}),
    "adam": ("Adam", {}),
    "adam_amsgrad": ("Adam", {"amsgrad": True, "beta_2": 0.75, "epsilon": 0.01, "use_ema": True, "ema_momentum": 0.5}),
    "adam_accumulating": ("Adam", {"gradient_accumulation_steps": 3, "loss_scale_factor": 4.0}),
    "adamw": ("AdamW", {"weight_decay": 0.2, "learning_rate": ("ExponentialDecay", _DECAY)}),
    "adamax": ("Adamax", {"beta_1": 0.75, "epsilon": 0.01}),
    "nadam": ("Nadam", {"beta_1": 0.75, "epsilon": 0.01}),
    "lion": ("Lion", {"beta_1": 0.75, "learning_rate": ("CosineDecay", _WARM)}),
    "ftrl": ("Ftrl", {"l1_regularization_strength": 0.1, "l2_regularization_strength": 0.2}),
    "ftrl_shrinking": (
        "Ftrl",
        {"learning_rate_power": -0.25, "beta": 0.5, "l2_shrinkage_regularization_strength": 0.1},
    ),
    "adafactor": ("Adafactor", {}),
    "adafactor_fast": (
        "Adafactor",
        {"learning_rate": 0.9, "beta_2_decay": -0.5, "clip_threshold": 0.5, "clipvalue": 1},
    ),
    "adafactor_schedule": ("Adafactor", {"learning_rate": ("ExponentialDecay", _DECAY), "epsilon_2": 0.5}),
    "adafactor_accumulating": ("Adafactor", {"gradient_accumulation_steps": 2, "use_ema": True, "weight_decay": 0.1}),
    "lamb": ("Lamb", {}),
    "lamb_decay": ("Lamb", {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.01, "weight_decay": 0.1, "clipvalue": 0.5}),
    "muon": ("Muon", {}),
    "muon_plain": ("Muon", {"nesterov": False, "rms_rate": None, "ns_steps": 3, "exclude_embeddings": False}),
    "muon_excluding": (
        "Muon",
        {
            "exclude_layers": ["squ"],
            "adam_lr_ratio": 0.5,
            "weight_decay": 0.1,
            "adam_weight_decay": None,
            "clipnorm": 1.0,
        },
    ),
    "schedule_free": ("ScheduleFreeAdamW", {}),
    "schedule_free_warm": ("ScheduleFreeAdamW", {"warmup_steps": 4, "beta_1": 0.5, "weight_decay": 0.1}),
    "loss_scale": ("LossScaleOptimizer", {"inner": "adam", "initial_scale": 64.0, "dynamic_growth_steps": 2}),
    "loss_scale_accumulating": ("LossScaleOptimizer", {"inner": "adam_accumulating", "dynamic_growth_steps": 3}),
    "multi": ("MultiOptimizer", {"default": "adam", "map": {"conv/.*": "sgd_nesterov", "square/kernel": "muon"}}),
    "multi_scaled": ("MultiOptimizer", {"default": "lamb", "map": {".*bias": "sgd"}, "loss_scale_factor": 4.0}),
    "own": ("Optimizer", {}),
}
BAD_STEPS = {"loss_scale": (3, 7), "loss_scale_accumulating": (0, 4)}
"""Steps whose gradients are not finite."""


def make(case: str, optimizers: Any) -> Any:
    """The optimizer of a case, from Keras's module or ours."""
    name, options = CASES[case]
    if name == "LossScaleOptimizer":
        rest = {key: value for key, value in options.items() if key != "inner"}
        return optimizers.LossScaleOptimizer(make(options["inner"], optimizers), **rest)
    if name == "MultiOptimizer":
        inner = {key: make(one, optimizers) for key, one in options["map"].items()}
        chosen = optimizers.OptimizerMap(make(options["default"], optimizers), inner)
        return optimizers.MultiOptimizer(chosen, loss_scale_factor=options.get("loss_scale_factor"))
    options = {"learning_rate": 0.05, **options}
    if isinstance(options["learning_rate"], tuple):
        kind, arguments = options["learning_rate"]
        options["learning_rate"] = getattr(optimizers.schedules, kind)(**arguments)
    return (
        own_optimizer(optimizers.Optimizer)(**options) if name == "Optimizer" else getattr(optimizers, name)(**options)
    )


def own_optimizer(base: type) -> type:
    """A user's optimizer, as Keras's documentation has it: momentum, and a count of its own."""

    class Own(base):  # type: ignore[valid-type, misc]
        def __init__(self, learning_rate: float = 0.1, momentum: float = 0.9, **kwargs: Any) -> None:
            super().__init__(learning_rate=learning_rate, **kwargs)
            self.momentum = momentum

        def build(self, variables: Any) -> None:
            if self.built:
                return
            super().build(variables)
            self.momenta, self.sums = self.add_optimizer_variables(variables, ["momentum", "sum"])
            self.total = self.add_variable((2,), initializer="ones", name="total")

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            index = self._get_variable_index(variable)
            momentum, total = self.momenta[index], self.sums[index]
            self.assign(momentum, momentum * self.momentum - gradient * learning_rate)
            self.assign_add(total, gradient)
            self.assign_sub(self.total, self.total * 0.01)
            self.assign_add(variable, momentum - total * 0.01 * learning_rate)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "momentum": self.momentum}

    return Own


def layers_of(layers: Any) -> list[Any]:
    """Built layers of Keras or ours, without values to count on; see `values_of`."""
    made = [
        (layers.Conv2D(4, 3, name="conv"), (None, 5, 5, 2)),
        (layers.Dense(5, name="dense"), (None, 6)),
        (layers.Dense(4, use_bias=False, name="square"), (None, 4)),
        (layers.Embedding(7, 3, name="embedding"), (None, 2)),
        (layers.GRU(2, name="gru"), (None, 4, 3)),
    ]
    for layer, shape in made:
        layer.build(shape)
    return [layer for layer, _ in made]


def values_of(layers: list[Any], seed: int = 0) -> None:
    """Give layers reproducible weights."""
    random = np.random.default_rng(seed)
    for layer in layers:
        layer.set_weights([random.normal(size=value.shape).astype("float32") for value in layer.get_weights()])


def gradients_of(layers: list[Any], case: str, seed: int = 1) -> list[list[np.ndarray]]:
    """Gradients for every step and weight, in Keras's layout."""
    random = np.random.default_rng(seed)
    shapes = [value.shape for layer in layers for value in layer.get_weights()]
    steps = [[random.normal(size=shape).astype("float32") for shape in shapes] for _ in range(STEPS)]
    for step in BAD_STEPS.get(case, ()):
        steps[step][1][0] = np.inf
    return steps
