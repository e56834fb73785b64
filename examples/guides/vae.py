"""A variational autoencoder: a layer that draws, a divergence added by that layer, and digits made from noise.

The encoder gives a mean and a log variance for each picture; `Sampling` draws a code around them and adds to the loss
what keeps the codes normal.  After training, decoded normal noise should look like digits: their mean picture and
deviation are compared with those of real ones.
"""

import keras
import numpy as np
import torch
from keras import layers, ops
from sklearn.datasets import load_digits

CODE = 4


class Sampling(layers.Layer):
    """Draws from the normal distribution of ``[mean, log variance]``; adds its divergence from the standard normal."""

    def __init__(self, weight: float, seed: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.weight = weight
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs):
        mean, log_variance = inputs
        divergence = -0.5 * (1 + log_variance - ops.square(mean) - ops.exp(log_variance))
        self.add_loss(self.weight * ops.mean(ops.sum(divergence, axis=1)))
        noise = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_variance) * noise


class VAE(keras.Model):
    def __init__(self, encoder: keras.Model, decoder: keras.Model) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.total = keras.metrics.Mean(name="loss")
        self.reconstruction = keras.metrics.Mean(name="reconstruction")

    @property
    def metrics(self) -> list:
        return [self.total, self.reconstruction]

    def call(self, inputs):
        return self.decoder(self.encoder(inputs)[2])

    def train_step(self, data) -> dict:
        self.zero_grad()
        restored = self(data, training=True)
        crossentropy = keras.losses.binary_crossentropy(data, restored)
        reconstruction = ops.mean(ops.sum(crossentropy, axis=(1, 2)))
        loss = reconstruction + sum(self.losses)
        loss.backward()
        weights = self.trainable_weights
        with torch.no_grad():
            self.optimizer.apply([weight.value.grad for weight in weights], weights)
        self.total.update_state(loss.detach())
        self.reconstruction.update_state(reconstruction.detach())
        return {"loss": self.total.result(), "reconstruction": self.reconstruction.result()}


def main() -> dict[str, float]:
    keras.utils.set_random_seed(11)
    pictures = (load_digits().images / 16.0)[..., None].astype("float32")
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(16, 3, strides=2, padding="same", activation="gelu")(inputs)
    x = layers.Dense(32, activation="gelu")(layers.Flatten()(x))
    mean, log_variance = layers.Dense(CODE)(x), layers.Dense(CODE)(x)
    code = Sampling(weight=1.0, seed=12)([mean, log_variance])
    encoder = keras.Model(inputs, [mean, log_variance, code], name="encoder")
    code_in = keras.Input((CODE,))
    x = layers.Reshape((4, 4, 16))(layers.Dense(4 * 4 * 16, activation="gelu")(code_in))
    x = layers.Conv2DTranspose(1, 3, strides=2, padding="same", activation="sigmoid")(x)
    decoder = keras.Model(code_in, x, name="decoder")
    vae = VAE(encoder, decoder)
    vae.compile(optimizer=keras.optimizers.Adam(0.01))
    history = vae.fit(pictures, batch_size=60, epochs=12, shuffle=False, verbose=0)
    noise = np.random.default_rng(0).normal(size=(1000, CODE)).astype("float32")
    made = decoder.predict(noise, batch_size=500, verbose=0)
    means = encoder.predict(pictures, batch_size=600, verbose=0)[0]
    return {
        "first loss": history.history["loss"][0],
        "last loss": history.history["loss"][-1],
        "last reconstruction": history.history["reconstruction"][-1],
        "deviation of the code means": float(means.std()),
        "mean pixel: made": float(made.mean()),
        "mean pixel: real": float(pictures.mean()),
        "mean pictures correlate": float(np.corrcoef(made.mean(0).ravel(), pictures.mean(0).ravel())[0, 1]),
        "deviation: made": float(made.std(0).mean()),
        "deviation: real": float(pictures.std(0).mean()),
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:28} {value:10.4f}")
