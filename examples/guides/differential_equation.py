"""Solving a differential equation: the network is the function, its derivatives come from autograd.

Wanted is u with u'' + u = 0, u(0) = 0, u'(0) = 1 on [0, 3]; the answer is sin t.  The loss is how far the equation is
missed at forty points and how far the start is missed; no value of the solution is ever shown.
"""

import keras
import numpy as np
import torch
from keras import layers, ops


class Solution(keras.Model):
    """u(t), trained to satisfy the equation."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = [layers.Dense(24, activation="tanh") for _ in range(2)]
        self.out = layers.Dense(1)
        self.equation, self.start = keras.metrics.Mean(name="equation"), keras.metrics.Mean(name="start")

    @property
    def metrics(self) -> list:
        return [self.equation, self.start]

    def call(self, t):
        for layer in self.hidden:
            t = layer(t)
        return self.out(t)

    def derivatives(self, t):
        """u, u' and u'' at ``t``."""
        u = self(t)
        (first,) = torch.autograd.grad(u.sum(), t, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), t, create_graph=True)
        return u, first, second

    def train_step(self, data) -> dict:
        self.zero_grad()
        t = data.detach().clone().requires_grad_(True)
        u, _, second = self.derivatives(t)
        equation = ops.mean(ops.square(second + u))
        at_zero = torch.zeros((1, 1), requires_grad=True)
        (u_0,), (slope_0,), _ = self.derivatives(at_zero)
        start = ops.sum(ops.square(u_0) + ops.square(slope_0 - 1.0))
        (equation + 5.0 * start).backward()
        weights = self.trainable_weights
        with torch.no_grad():
            self.optimizer.apply([weight.value.grad for weight in weights], weights)
        self.equation.update_state(equation.detach())
        self.start.update_state(start.detach())
        return {metric.name: metric.result() for metric in self.metrics}


def main() -> dict[str, float]:
    keras.utils.set_random_seed(26)
    t = np.linspace(0, 3, 40, dtype="float32")[:, None]
    model = Solution()
    model(t[:1])
    schedule = keras.optimizers.schedules.PolynomialDecay(0.01, decay_steps=600, end_learning_rate=0.001)
    model.compile(optimizer=keras.optimizers.Adam(schedule))
    before = model.predict(t, batch_size=40, verbose=0)
    history = model.fit(t, batch_size=40, epochs=600, shuffle=False, verbose=0)
    u = model.predict(t, batch_size=40, verbose=0)

    point = torch.full((1, 1), float(np.pi / 2), requires_grad=True)
    _, slope, bend = model.derivatives(point)
    return {
        "equation missed, first": history.history["equation"][0],
        "equation missed, last": history.history["equation"][-1],
        "start missed, last": history.history["start"][-1],
        "error before": float(np.abs(before - np.sin(t)).max()),
        "error after": float(np.abs(u - np.sin(t)).max()),
        "u at pi/2 (1)": float(np.interp(np.pi / 2, t[:, 0], u[:, 0])),
        "u' at pi/2 (0)": float(slope.detach()),
        "u'' at pi/2 (-1)": float(bend.detach()),
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:26} {value:10.4f}")
