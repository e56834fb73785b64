"""Structured data: columns of different kinds, encoded by layers inside the model, which then takes the raw values.

Numbers are normalised by a layer adapted to the data, ages are cut into classes and crossed with a code for the region,
categories become indicators.  A linear model on the raw numbers is what it has to beat.
"""

import keras
import numpy as np
from keras import layers

REGIONS = 5


def people(count: int, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Columns by name, and whether each person bought."""
    draw = np.random.default_rng(seed)
    age = draw.uniform(18, 80, count)
    income = np.exp(draw.normal(10.3, 0.4, count))
    visits = draw.poisson(3, count).astype(float)
    region, member = draw.integers(0, REGIONS, count), draw.integers(0, 2, count)
    score = 1.5 * np.sin(age / 9) + 1.2 * (np.log(income) - 10.3) + 0.4 * (visits - 3) * member
    score += np.array([1.0, -1.0, 0.5, 0.0, -0.5])[region] + draw.logistic(scale=0.4, size=count)
    columns = {
        "age": age.astype("float32")[:, None],
        "income": income.astype("float32")[:, None],
        "visits": visits.astype("float32")[:, None],
        "region": region.astype("int32")[:, None],
        "member": member.astype("int32")[:, None],
    }
    return columns, (score > 0).astype("float32")[:, None]


def network(columns: dict[str, np.ndarray]) -> keras.Model:
    inputs = {name: keras.Input((1,), name=name, dtype=str(column.dtype)) for name, column in columns.items()}
    encoded = []
    for name in ("age", "income", "visits"):
        normalise = layers.Normalization(axis=None, name=f"normalise_{name}")
        normalise.adapt(columns[name])
        encoded.append(normalise(inputs[name]))
    encoded.append(layers.CategoryEncoding(REGIONS, output_mode="one_hot", name="regions")(inputs["region"]))
    encoded.append(layers.CategoryEncoding(2, output_mode="one_hot", name="members")(inputs["member"]))
    x = layers.Concatenate()(encoded)
    x = layers.Dense(24, activation="relu")(x)
    x = layers.Dense(24, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))


def linear(columns: dict[str, np.ndarray]) -> keras.Model:
    inputs = {name: keras.Input((1,), name=name) for name in columns}
    x = layers.BatchNormalization()(layers.Concatenate()(list(inputs.values())))
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))


def main() -> dict[str, float]:
    keras.utils.set_random_seed(24)
    x, y = people(1500, seed=0)
    x_test, y_test = people(1000, seed=1)
    results = {"share of buyers": float(y_test.mean())}
    for name, build in {"linear": linear, "network": network}.items():
        model = build(x)
        metrics = ["accuracy", keras.metrics.AUC(from_logits=False, name="auc")]
        model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=metrics)
        history = model.fit(x, y, batch_size=75, epochs=8, shuffle=False, verbose=0)
        scores = model.evaluate(x_test, y_test, batch_size=500, verbose=0, return_dict=True)
        results[f"{name}: last loss"] = history.history["loss"][-1]
        results[f"{name}: accuracy"] = scores["accuracy"]
        results[f"{name}: auc"] = scores["auc"]
    normalise = model.get_layer("normalise_age")
    results["mean age in the model"] = float(np.asarray(normalise.mean).ravel()[0])
    one = {"age": [[33.0]], "income": [[41000.0]], "visits": [[5.0]], "region": [[0]], "member": [[1]]}
    person = {name: np.array(value, dtype=x[name].dtype) for name, value in one.items()}
    results["one person buys"] = float(model.predict(person, verbose=0)[0, 0])
    return results


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:26} {value:10.4f}")
