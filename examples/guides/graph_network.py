"""A graph network: nodes learn from their neighbours, by gathering along the edges and summing over segments.

A village of four clubs: most acquaintances are within a club, and each person's own marks say little.  The club of 24
people is known; the network has to tell that of the other 216.  A network without the edges shows what they add.
"""

import keras
import numpy as np
from keras import layers, ops

NODES, CLUBS, MARKS = 240, 4, 8


class GraphConvolution(layers.Layer):
    """What a node says of itself, and the mean of what its neighbours say."""

    def __init__(self, units: int, edges: np.ndarray, activation: str = "relu", **kwargs) -> None:
        super().__init__(**kwargs)
        self.own, self.others = layers.Dense(units), layers.Dense(units, use_bias=False)
        self.activation = keras.activations.get(activation)
        self.source, self.target = ops.convert_to_tensor(edges[:, 0]), ops.convert_to_tensor(edges[:, 1])
        ones = ops.ones((len(edges), 1))
        self.degree = ops.maximum(ops.segment_sum(ones, self.target, num_segments=NODES), 1.0)

    def build(self, input_shape) -> None:
        self.own.build(input_shape)
        self.others.build(input_shape)

    def call(self, nodes):
        sent = ops.take(self.others(nodes), self.source, axis=0)
        received = ops.segment_sum(sent, self.target, num_segments=NODES) / self.degree
        return self.activation(self.own(nodes) + received)


class GraphClassifier(keras.Model):
    def __init__(self, edges: np.ndarray, **kwargs) -> None:
        super().__init__(**kwargs)
        self.first, self.second = GraphConvolution(16, edges), GraphConvolution(16, edges)
        self.head = layers.Dense(CLUBS)

    def call(self, nodes):
        return self.head(self.second(self.first(nodes)))


def village() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Marks, edges in both directions, clubs."""
    draw = np.random.default_rng(6)
    club = np.arange(NODES) % CLUBS
    marks = draw.normal(size=(NODES, MARKS)) + 0.7 * np.eye(CLUBS, MARKS)[club]
    chance = np.where(club[:, None] == club, 0.12, 0.01)
    first, second = np.nonzero(np.triu(draw.random((NODES, NODES)) < chance, k=1))
    edges = np.stack([np.concatenate([first, second]), np.concatenate([second, first])], axis=1)
    return marks.astype("float32"), edges.astype("int32"), club


def main() -> dict[str, float]:
    keras.utils.set_random_seed(25)
    marks, edges, club = village()
    known = np.arange(NODES) < 24
    weights = known.astype("float32")  # the loss counts the known ones; all take part in the calculation
    models = {
        "without edges": keras.Sequential(
            [keras.Input((MARKS,)), layers.Dense(16, activation="relu"), layers.Dense(CLUBS)]
        ),
        "with edges": GraphClassifier(edges),
    }
    results = {"edges": float(len(edges))}
    for name, model in models.items():
        model.compile(
            optimizer=keras.optimizers.Adam(0.01, weight_decay=0.05),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        fit = {"batch_size": NODES, "epochs": 40, "shuffle": False, "verbose": 0}
        history = model.fit(marks, club, sample_weight=weights, **fit)
        answers = model.predict(marks, batch_size=NODES, verbose=0).argmax(1)
        results[f"{name}: first loss"] = history.history["loss"][0]
        results[f"{name}: last loss"] = history.history["loss"][-1]
        results[f"{name}: accuracy"] = float((answers == club)[~known].mean())
    return results


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:28} {value:10.4f}")
