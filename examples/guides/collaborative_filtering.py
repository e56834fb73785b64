"""Collaborative filtering: what people will like, from what they and others liked, by embeddings and their product.

People and films have hidden tastes, two numbers each, which made the ratings; a few ratings are known.  A subclassed
model learns a vector and a bias for each person and film.  Its error is compared with that of simple averages.
"""

import keras
import numpy as np
from keras import layers, ops

PEOPLE, FILMS, TASTES = 80, 60, 2


class Recommender(keras.Model):
    """sigmoid(person · film + bias of the person + bias of the film), on the scale of the ratings."""

    def __init__(self, width: int, **kwargs) -> None:
        super().__init__(**kwargs)
        small = keras.regularizers.L2(2e-5)
        self.people = layers.Embedding(
            PEOPLE, width, embeddings_initializer="he_normal", embeddings_regularizer=small, name="people"
        )
        self.films = layers.Embedding(
            FILMS, width, embeddings_initializer="he_normal", embeddings_regularizer=small, name="films"
        )
        self.people_bias = layers.Embedding(PEOPLE, 1, embeddings_initializer="zeros")
        self.films_bias = layers.Embedding(FILMS, 1, embeddings_initializer="zeros")

    def call(self, inputs):
        person, film = inputs[:, 0], inputs[:, 1]
        match = ops.sum(self.people(person) * self.films(film), axis=-1, keepdims=True)
        return ops.sigmoid(match + self.people_bias(person) + self.films_bias(film))


def ratings() -> tuple[np.ndarray, np.ndarray]:
    """Pairs of person and film, in mixed order, and a rating between 0 and 1."""
    draw = np.random.default_rng(5)
    people, films = draw.normal(size=(PEOPLE, TASTES)), draw.normal(size=(FILMS, TASTES))
    general = draw.normal(scale=0.5, size=FILMS)
    known = draw.permutation(PEOPLE * FILMS)[:2400]
    pairs = np.stack(np.divmod(known, FILMS), axis=1)
    strength = (people[pairs[:, 0]] * films[pairs[:, 1]]).sum(1) + general[pairs[:, 1]]
    noisy = strength + draw.normal(scale=0.2, size=len(pairs))
    return pairs.astype("int32"), (1 / (1 + np.exp(-noisy))).astype("float32")[:, None]


def main() -> dict[str, float]:
    keras.utils.set_random_seed(20)
    pairs, rating = ratings()
    train, test = slice(0, 2000), slice(2000, None)
    model = Recommender(width=4)
    model.compile(
        keras.optimizers.Adam(0.02),
        loss=keras.losses.BinaryCrossentropy(),
        metrics=[keras.metrics.RootMeanSquaredError(name="rmse")],
    )
    history = model.fit(pairs[train], rating[train], batch_size=100, epochs=20, shuffle=False, verbose=0)
    scores = model.evaluate(pairs[test], rating[test], batch_size=400, verbose=0, return_dict=True)

    overall = rating[train].mean()
    by_film = np.array([rating[train][pairs[train][:, 1] == film].mean() for film in range(FILMS)])
    errors = {"overall": overall - rating[test], "film": by_film[pairs[test][:, 1], None] - rating[test]}

    everything = np.stack([np.full(FILMS, 7), np.arange(FILMS)], axis=1).astype("int32")
    wishes = ops.convert_to_numpy(ops.top_k(ops.convert_to_tensor(model.predict(everything, verbose=0)[:, 0]), 3)[0])
    return {
        "parameters": float(model.count_params()),
        "first loss": history.history["loss"][0],
        "last loss": history.history["loss"][-1],
        "rmse: overall mean": float(np.sqrt((errors["overall"] ** 2).mean())),
        "rmse: mean of the film": float(np.sqrt((errors["film"] ** 2).mean())),
        "rmse: model, train": history.history["rmse"][-1],
        "rmse: model, test": scores["rmse"],
        "person 7, best three films": float(wishes.mean()),
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:28} {value:10.4f}")
