"""A convolutional autoencoder that takes the noise out of digits, beside what principal components can do.

The encoder halves the picture twice, the decoder draws it again with transposed convolutions.  It sees noisy pictures
and is asked for the clean ones.  The code in the middle is kept as a model of its own.
"""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

CODE = 6


def networks() -> tuple[keras.Model, keras.Model, keras.Model]:
    """Encoder, decoder, and both in a row."""
    picture = keras.Input((8, 8, 1))
    x = layers.Conv2D(16, 3, strides=2, padding="same", activation="gelu")(picture)
    x = layers.Conv2D(32, 3, strides=2, padding="same", activation="gelu")(x)
    encoder = keras.Model(picture, layers.Dense(CODE)(layers.Flatten()(x)), name="encoder")

    code = keras.Input((CODE,))
    x = layers.Dense(2 * 2 * 32, activation="gelu")(code)
    x = layers.Reshape((2, 2, 32))(x)
    x = layers.Conv2DTranspose(16, 3, strides=2, padding="same", activation="gelu")(x)
    x = layers.UpSampling2D(2)(x)
    x = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x)
    decoder = keras.Model(code, x, name="decoder")

    noisy = keras.Input((8, 8, 1))
    return encoder, decoder, keras.Model(noisy, decoder(encoder(noisy)), name="autoencoder")


def main() -> dict[str, float]:
    keras.utils.set_random_seed(9)
    clean = (load_digits().images / 16.0)[..., None].astype("float32")
    noise = np.random.default_rng(0).normal(scale=0.25, size=clean.shape)
    noisy = np.clip(clean + noise, 0, 1).astype("float32")
    train, test = slice(0, 1400), slice(1400, None)

    encoder, decoder, autoencoder = networks()
    autoencoder.compile(keras.optimizers.Adam(0.006), loss="mse")
    history = autoencoder.fit(noisy[train], clean[train], batch_size=50, epochs=14, shuffle=False, verbose=0)

    restored = autoencoder.predict(noisy[test], batch_size=200, verbose=0)
    codes = encoder.predict(noisy[test], batch_size=200, verbose=0)
    in_two_steps = decoder.predict(codes, batch_size=200, verbose=0)

    components = PCA(CODE, random_state=0).fit(clean[train].reshape(-1, 64))
    flat = noisy[test].reshape(-1, 64)
    by_components = components.inverse_transform(components.transform(flat)).reshape(clean[test].shape)

    def error(pictures: np.ndarray) -> float:
        return float(np.mean((pictures - clean[test]) ** 2))

    return {
        "parameters": float(autoencoder.count_params()),
        "first loss": history.history["loss"][0],
        "last loss": history.history["loss"][-1],
        "error: noisy": error(noisy[test]),
        "error: principal components": error(by_components),
        "error: autoencoder": error(restored),
        "in two steps differs by": float(np.abs(in_two_steps - restored).max()),
        "deviation of the codes": float(codes.std()),
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:28} {value:10.4f}")
