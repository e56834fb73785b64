"""The functional API: two inputs, two outputs, a shared trunk with a residual connection, another model cut from it.

The tumour cells of 569 patients are described by the means of ten measurements and by their standard errors.  One
network tells malignant from benign and, from the same hidden layer, estimates how large the largest cells are.
"""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_breast_cancer


def data() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The inputs and outputs by name, in a fixed mixed order, every column with mean 0 and deviation 1."""
    sample = load_breast_cancer()
    order = np.random.default_rng(0).permutation(len(sample.data))
    columns = ((sample.data - sample.data.mean(0)) / sample.data.std(0)).astype("float32")[order]
    malignant = (sample.target[order] == 0).astype("float32")[:, None]
    return (
        {"means": columns[:, :10], "errors": columns[:, 10:20]},
        {"malignant": malignant, "worst_area": columns[:, 23:24]},
    )


def network() -> keras.Model:
    means = keras.Input(shape=(10,), name="means")
    errors = keras.Input(shape=(10,), name="errors")
    x = layers.concatenate([means, errors])
    x = layers.Dense(24, activation="relu", name="enter")(x)
    inner = layers.Dense(24, activation="relu")(x)
    x = layers.add([x, inner], name="trunk")
    malignant = layers.Dense(1, activation="sigmoid", name="malignant")(x)
    worst_area = layers.Dense(1, name="worst_area")(x)
    return keras.Model(
        inputs={"means": means, "errors": errors}, outputs={"malignant": malignant, "worst_area": worst_area}
    )


def main() -> dict[str, float]:
    keras.utils.set_random_seed(1)
    x, y = data()
    train = slice(0, 400), slice(400, None)
    (x_train, x_test), (y_train, y_test) = (
        [{name: column[rows] for name, column in table.items()} for rows in train] for table in (x, y)
    )
    model = network()
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=0.01),
        loss={"malignant": "binary_crossentropy", "worst_area": "mse"},
        loss_weights={"malignant": 1.0, "worst_area": 0.5},
        metrics={"malignant": ["accuracy", keras.metrics.AUC(name="auc")], "worst_area": ["mae"]},
    )
    history = model.fit(
        x_train, y_train, validation_data=(x_test, y_test), batch_size=50, epochs=15, shuffle=False, verbose=0
    )
    scores = model.evaluate(x_test, y_test, verbose=0, return_dict=True)

    # Any tensor of the graph can be the output of another model, which shares the trained weights.
    trunk = keras.Model(model.inputs, model.get_layer("trunk").output)
    features = trunk.predict(x_test, verbose=0)
    return {
        "parameters": float(model.count_params()),
        "first loss": history.history["loss"][0],
        "last loss": history.history["loss"][-1],
        "last validation loss": history.history["val_loss"][-1],
        "accuracy": scores["malignant_accuracy"],
        "auc": scores["malignant_auc"],
        "area mae": scores["worst_area_mae"],
        "mean trunk feature": float(features.mean()),
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:24} {value:10.4f}")
