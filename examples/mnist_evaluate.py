"""Lesson: evaluate the digit reader's newest checkpoint on pictures that training never saw.

    python examples/mnist_evaluate.py                          after, or during, examples/mnist_train.py
    python examples/mnist_evaluate.py ../shared/data/mnist     with the data that it was trained on

A program of its own, so that it can run beside the training and on another machine, and cannot disturb it.  It shares
the network and its forward pass with the training program through mnist_network.py.

The checkpoint holds the weights twice: as they were after the last step, and as the moving average of the last steps.
`fit` validates, and ends, with the averages; here they are put in place by `finalize_variable_values`.  Both are shown:
after a long and quiet training they differ little; in the middle of one the last step depends on the last few pictures,
and the average does not.
"""

from __future__ import annotations

import argparse

import numpy as np
from mnist_network import load, read_data

import dougong as dg


def confusion(wanted: np.ndarray, read: np.ndarray, classes: int) -> np.ndarray:
    """How often each digit (row) was read as each digit (column)."""
    counts = np.zeros((classes, classes), dtype=int)
    np.add.at(counts, (wanted, read), 1)
    return counts


def main(data: str = "digits", folder: str = "runs/mnist") -> dict[str, float]:
    test = read_data(data).test
    averaged = load(folder)
    averaged.optimizer.finalize_variable_values()  # the averages become the weights
    print(f"checkpoint after {averaged.optimizer.iterations} steps, {len(test)} test pictures\n")

    # Without its optimizer the checkpoint is just the weights of the last step.
    last = load(folder, compile=False)
    last.compile(loss=dg.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])

    results = {}
    print("weights                  loss   accuracy")
    for name, network in (("last step", last), ("moving average", averaged)):
        loss, accuracy = network.evaluate(test.inputs, test.targets, verbose=0)
        results[name] = accuracy
        print(f"{name:20}{loss:9.4f}{accuracy:11.4f}")

    read = averaged.predict(test.inputs, verbose=0).argmax(axis=1)
    counts = confusion(test.targets, read, test.num_classes)
    print(
        "\nEach row: a digit, how often it was read as which\n     "
        + "".join(f"{name:>5}" for name in test.class_names)
    )
    for name, row in zip(test.class_names, counts):
        print(f"{name:>5}" + "".join(f"{count or '.':>5}" for count in row))
    results["predicted"] = float(np.trace(counts) / len(test))
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Evaluate the newest checkpoint of mnist_train.py.")
    parser.add_argument("data", nargs="?", default="digits", help="a sample's name or a folder with idx files")
    parser.add_argument("--folder", default="runs/mnist", help="where the checkpoint lies")
    main(**vars(parser.parse_args()))
