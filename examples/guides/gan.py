"""A generative adversarial network: two networks, two optimizers, one ``train_step``.

The discriminator learns to tell points of a ring from points that the generator made of noise, the generator learns to
be taken for the ring.  Noise comes with the data, so that every run sees the same.
"""

import keras
import numpy as np
import torch
from keras import layers, ops

NOISE = 4


class GAN(keras.Model):
    def __init__(self, discriminator: keras.Model, generator: keras.Model) -> None:
        super().__init__()
        self.discriminator, self.generator = discriminator, generator
        self.d_loss, self.g_loss = keras.metrics.Mean(name="d_loss"), keras.metrics.Mean(name="g_loss")
        self.built = True  # both parts are; there is no `call` to try

    @property
    def metrics(self) -> list:
        return [self.d_loss, self.g_loss]

    def compile(self, d_optimizer, g_optimizer, loss) -> None:
        super().compile()
        self.d_optimizer, self.g_optimizer, self.loss_function = d_optimizer, g_optimizer, loss

    def update(self, part: keras.Model, optimizer, loss) -> None:
        """One step of ``part`` alone down the gradient of ``loss``."""
        self.zero_grad()
        loss.backward()
        weights = part.trainable_weights
        with torch.no_grad():
            optimizer.apply([weight.value.grad for weight in weights], weights)

    def train_step(self, data) -> dict:
        real, noise = data
        count = ops.shape(real)[0]
        points = ops.concatenate([self.generator(noise, training=True).detach(), real], axis=0)
        labels = ops.concatenate([ops.ones((count, 1)), ops.zeros((count, 1))], axis=0)  # 1 says "made"
        d_loss = self.loss_function(labels, self.discriminator(points, training=True))
        self.update(self.discriminator, self.d_optimizer, d_loss)

        verdicts = self.discriminator(self.generator(noise, training=True), training=True)
        g_loss = self.loss_function(ops.zeros((count, 1)), verdicts)
        self.update(self.generator, self.g_optimizer, g_loss)
        self.d_loss.update_state(d_loss.detach())
        self.g_loss.update_state(g_loss.detach())
        return {"d_loss": self.d_loss.result(), "g_loss": self.g_loss.result()}


def network(inputs: int, outputs: int) -> keras.Model:
    hidden = [layers.Dense(32, activation="gelu") for _ in range(2)]
    return keras.Sequential([keras.Input((inputs,)), *hidden, layers.Dense(outputs)])


def ring(count: int, seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    angle, radius = draw.uniform(0, 2 * np.pi, count), draw.normal(1.0, 0.05, count)
    return (radius * np.stack([np.cos(angle), np.sin(angle)])).T.astype("float32")


def main() -> dict[str, float]:
    keras.utils.set_random_seed(10)
    generator, discriminator = network(NOISE, 2), network(2, 1)
    gan = GAN(discriminator, generator)
    gan.compile(
        d_optimizer=keras.optimizers.Adam(0.006, beta_1=0.5),
        g_optimizer=keras.optimizers.Adam(0.006, beta_1=0.5),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
    )
    draw = np.random.default_rng(1)
    noise = draw.normal(size=(4000, NOISE)).astype("float32")
    before = generator.predict(noise[:500], batch_size=500, verbose=0)
    history = gan.fit(ring(4000, seed=0), noise, batch_size=80, epochs=10, shuffle=False, verbose=0)
    made = generator.predict(draw.normal(size=(500, NOISE)).astype("float32"), batch_size=500, verbose=0)
    off, off_before = (np.abs(np.linalg.norm(points, axis=1) - 1.0).mean() for points in (made, before))
    return {
        "discriminator loss": history.history["d_loss"][-1],
        "generator loss": history.history["g_loss"][-1],
        "off the ring before": float(off_before),
        "off the ring after": float(off),
        "mean x": float(made[:, 0].mean()),
        "mean y": float(made[:, 1].mean()),
        "deviation (a ring has 0.71)": float(made.std()),
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:28} {value:10.4f}")
