"""An image classifier with the parts of the large ones: rescaling inside, separable convolutions, residuals, BatchNorm.

Pixels arrive as they are stored, 0 to 16; the model divides.  A residual block has a projection where the size changes.
Afterwards the confusion of digits is counted, and the folding of BatchNormalization into its convolution is checked.
"""

import keras
import numpy as np
from keras import layers, ops
from sklearn.datasets import load_digits


def residual(x, filters: int):
    """Two separable convolutions, the size halved; beside them a projection of what came in."""
    beside = layers.Conv2D(filters, 1, strides=2, padding="same")(x)
    for _ in range(2):
        x = layers.Activation("swish")(x)
        x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
    x = layers.AveragePooling2D(2)(x)
    return layers.add([x, beside])


def network() -> keras.Model:
    inputs = keras.Input((8, 8, 1))
    x = layers.Rescaling(1.0 / 16.0)(inputs)
    x = layers.Conv2D(24, 3, padding="same", use_bias=False, name="first")(x)
    x = layers.BatchNormalization(momentum=0.9, name="first_norm")(x)
    x = residual(x, 32)
    x = layers.Activation("gelu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def folded(convolution: layers.Layer, norm: layers.Layer) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias of one convolution that does what both layers do in inference."""
    kernel = convolution.get_weights()[0]
    gamma, beta, mean, variance = norm.get_weights()
    factor = gamma / np.sqrt(variance + norm.epsilon)
    return kernel * factor, beta - mean * factor


def main() -> dict[str, float]:
    keras.utils.set_random_seed(15)
    digits = load_digits()
    x, y = digits.images[..., None].astype("float32"), keras.utils.to_categorical(digits.target, 10)
    model = network()
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.05),
        metrics=["accuracy", keras.metrics.TopKCategoricalAccuracy(k=3, name="top3")],
    )
    history = model.fit(x[:1300], y[:1300], batch_size=65, epochs=10, shuffle=False, verbose=0)
    loss, accuracy, top3 = model.evaluate(x[1300:], y[1300:], batch_size=200, verbose=0)

    read = model.predict(x[1300:], batch_size=200, verbose=0).argmax(1)
    confusion = np.zeros((10, 10), dtype=int)
    np.add.at(confusion, (digits.target[1300:], read), 1)
    worst = (confusion - np.diag(np.diag(confusion))).max()

    convolution, norm = model.get_layer("first"), model.get_layer("first_norm")
    some = x[:20] / 16.0
    kernel, bias = folded(convolution, norm)
    one = ops.convert_to_numpy(ops.conv(some, kernel, padding="same")) + bias
    two = keras.Sequential([keras.Input((8, 8, 1)), convolution, norm]).predict(some, verbose=0)
    return {
        "parameters": float(model.count_params()),
        "first loss": history.history["loss"][0],
        "last loss": history.history["loss"][-1],
        "test loss": loss,
        "accuracy": accuracy,
        "among the first three": top3,
        "most frequent confusion": float(worst),
        "folded differs by": float(np.abs(one - two).max()),
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:28} {value:10.4f}")
