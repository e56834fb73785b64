"""A training loop written from nothing: PyTorch's DataLoader and backward, Keras's model, loss, optimizer and metrics.

`fit` is convenient; now and then a loop of one's own is clearer.  This one reads digits, adds the weights' penalty by
hand, lets the learning rate fall by the cosine of the step, and keeps the best weights it has seen.
"""

import keras
import torch
from keras import layers
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

EPOCHS, BATCH = 8, 60


def loaders() -> tuple[DataLoader, DataLoader]:
    digits = load_digits()
    x = torch.tensor(digits.images / 16.0, dtype=torch.float32)[..., None]
    y = torch.tensor(digits.target)
    return (
        DataLoader(TensorDataset(x[:1200], y[:1200]), batch_size=BATCH),
        DataLoader(TensorDataset(x[1200:], y[1200:]), batch_size=200),
    )


def network() -> keras.Model:
    penalty = keras.regularizers.L2(1e-4)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, activation="tanh", kernel_regularizer=penalty),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(32, activation="tanh", kernel_regularizer=penalty),
            layers.Dense(10),
        ]
    )


def main() -> dict[str, float]:
    keras.utils.set_random_seed(4)
    train, test = loaders()
    model = network()
    schedule = keras.optimizers.schedules.CosineDecay(0.005, decay_steps=EPOCHS * len(train))
    optimizer = keras.optimizers.AdamW(learning_rate=schedule, weight_decay=1e-3)
    loss_function = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    train_loss, train_accuracy = keras.metrics.Mean(), keras.metrics.SparseCategoricalAccuracy()
    test_accuracy = keras.metrics.SparseCategoricalAccuracy()

    losses, best, best_weights = [], 0.0, model.get_weights()
    for _ in range(EPOCHS):
        for x, y in train:
            logits = model(x, training=True)
            loss = loss_function(y, logits) + sum(model.losses)
            model.zero_grad()
            loss.backward()
            weights = model.trainable_weights
            with torch.no_grad():
                optimizer.apply([weight.value.grad for weight in weights], weights)
            train_loss.update_state(loss.detach())
            train_accuracy.update_state(y, logits.detach())
        with torch.no_grad():
            for x, y in test:
                test_accuracy.update_state(y, model(x, training=False))
        losses.append(float(train_loss.result()))
        accuracy, trained = float(test_accuracy.result()), float(train_accuracy.result())
        if accuracy > best:
            best, best_weights = accuracy, model.get_weights()
        for metric in (train_loss, train_accuracy, test_accuracy):
            metric.reset_state()

    model.set_weights(best_weights)
    return {
        "first loss": losses[0],
        "last loss": losses[-1],
        "train accuracy": trained,
        "best test accuracy": best,
        "steps": float(optimizer.iterations.numpy()),
        "learning rate at the end": float(optimizer.learning_rate),
        "size of the weights": float(sum((weight**2).sum() for weight in best_weights)) ** 0.5,
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:26} {value:10.4f}")
