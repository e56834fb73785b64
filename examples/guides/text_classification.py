"""Text classification: words to numbers, padded sentences, a convolution that reads short phrases.

Reviews of meals and films are made from a small grammar in which "not" and "never" turn a verdict around.  A bag of
words cannot see which word "not" belongs to; a convolution over neighbouring words can.
"""

import keras
import numpy as np
from keras import layers

SUBJECTS = "the soup,the pasta,our waiter,the plot,the music,this film,the ending,the bread".split(",")
GOOD = "good,fresh,delightful,clever,warm,charming".split(",")
BAD = "bad,stale,boring,clumsy,cold,dreadful".split(",")
LINKS = {"was": 1, "seemed": 1, "was really": 1, "was not": -1, "never seemed": -1, "was hardly": -1}


def reviews(count: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Sentences with two or three clauses that agree in their verdict, and 1 where it is good."""
    draw = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(count):
        verdict = 1 if draw.random() < 0.5 else -1
        clauses = []
        for _ in range(draw.integers(2, 4)):
            link = draw.choice(list(LINKS))
            words = GOOD if verdict * LINKS[link] > 0 else BAD
            clauses.append(f"{draw.choice(SUBJECTS)} {link} {draw.choice(words)}")
        texts.append(" and ".join(clauses))
        labels.append((verdict + 1) / 2)
    return texts, np.array(labels, dtype="float32")


def numbered(texts: list[str], vocabulary: dict[str, int]) -> np.ndarray:
    """Word numbers, 0 for padding and 1 for a word that is not in the vocabulary."""
    rows = [[vocabulary.get(word, 1) for word in text.split()] for text in texts]
    return keras.utils.pad_sequences(rows, maxlen=24, padding="post", truncating="post")


def bag_of_words(size: int) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((24,), dtype="int32"),
            layers.Embedding(size, 16, mask_zero=True),
            layers.GlobalAveragePooling1D(),
            layers.Dense(16, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def convolution(size: int) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((24,), dtype="int32"),
            layers.Embedding(size, 16),
            layers.SpatialDropout1D(0.0),  # worth raising on real text; at 0 two frameworks give the same numbers
            layers.Conv1D(24, 3, activation="relu"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def main() -> dict[str, float]:
    keras.utils.set_random_seed(8)
    texts, labels = reviews(800, seed=0)
    words = sorted({word for text in texts for word in text.split()})
    vocabulary = {word: number for number, word in enumerate(words, start=2)}
    x = numbered(texts, vocabulary)
    unseen, y_test = reviews(400, seed=1)
    x_test = numbered(unseen, vocabulary)
    results = {"words": float(len(vocabulary))}
    for name, build in {"bag of words": bag_of_words, "convolution": convolution}.items():
        model = build(len(vocabulary) + 2)
        model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
        history = model.fit(x, labels, batch_size=40, epochs=6, shuffle=False, verbose=0)
        loss, accuracy = model.evaluate(x_test, y_test, batch_size=200, verbose=0)
        results[f"{name}: last loss"] = history.history["loss"][-1]
        results[f"{name}: test loss"] = loss
        results[f"{name}: accuracy"] = accuracy
    phrases = ["the zebra was good and the soup was not bad", "the plot was not good and the zebra was hardly fresh"]
    probabilities = model.predict(numbered(phrases, vocabulary), verbose=0)[:, 0]
    return {**results, "phrase: good": float(probabilities[0]), "phrase: not good": float(probabilities[1])}


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:28} {value:10.4f}")
