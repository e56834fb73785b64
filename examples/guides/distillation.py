"""Knowledge distillation: a small network learns from the soft answers of a large one, through ``compute_loss``.

The teacher learns the digits from 1000 pictures.  Then a student with one fifteenth of the weights learns from 200,
once from the labels alone and once from labels and teacher.
"""

import keras
import numpy as np
from keras import layers, ops
from sklearn.datasets import load_digits

TEMPERATURE, SHARE = 3.0, 0.2


class Distiller(keras.Model):
    """The student, whose loss mixes that of the labels with the distance to the teacher's softened answers."""

    def __init__(self, student: keras.Model, teacher: keras.Model) -> None:
        super().__init__()
        self.student, self.teacher = student, teacher
        self.teacher.trainable = False
        self.label_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.distance = keras.losses.KLDivergence()

    def call(self, inputs, training=False):
        return self.student(inputs, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        soft = ops.softmax(self.teacher(x, training=False) / TEMPERATURE, axis=1)
        distance = self.distance(soft, ops.softmax(y_pred / TEMPERATURE, axis=1)) * TEMPERATURE**2
        return SHARE * self.label_loss(y, y_pred) + (1 - SHARE) * distance


def classifier(units: int, name: str) -> keras.Model:
    return keras.Sequential(
        [keras.Input((64,)), layers.Dense(units, activation="relu"), layers.Dense(10)],
        name=name,
    )


def trained(model: keras.Model, x: np.ndarray, y: np.ndarray, epochs: int) -> keras.Model:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss=loss, metrics=["accuracy"])
    model.fit(x, y, batch_size=50, epochs=epochs, shuffle=False, verbose=0)
    return model


def main() -> dict[str, float]:
    keras.utils.set_random_seed(23)
    digits = load_digits()
    x, y = (digits.data / 16.0).astype("float32"), digits.target
    few, test = slice(0, 200), slice(1000, None)
    teacher = trained(classifier(128, "teacher"), x[:1000], y[:1000], epochs=10)

    student = classifier(8, "student")
    start = student.get_weights()
    alone = trained(classifier(8, "alone"), x[:1], y[:1], epochs=0)
    alone.set_weights(start)
    trained(alone, x[few], y[few], epochs=30)

    distiller = Distiller(student, teacher)
    distiller.compile(optimizer=keras.optimizers.Adam(0.01), metrics=["accuracy"])
    before = teacher.get_weights()
    history = distiller.fit(x[few], y[few], batch_size=50, epochs=30, shuffle=False, verbose=0)
    moved = max(float(np.abs(a - b).max()) for a, b in zip(before, teacher.get_weights()))

    def accuracy(model: keras.Model) -> float:
        return float((model.predict(x[test], batch_size=400, verbose=0).argmax(1) == y[test]).mean())

    return {
        "weights: teacher": float(teacher.count_params()),
        "weights: student": float(student.count_params()),
        "first loss": history.history["loss"][0],
        "last loss": history.history["loss"][-1],
        "the teacher moved by": moved,
        "accuracy: teacher": accuracy(teacher),
        "accuracy: student alone": accuracy(alone),
        "accuracy: student, taught": accuracy(student),
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:26} {value:10.4f}")
