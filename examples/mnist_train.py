"""Lesson: train a digit reader so that a crash loses little, and better weights are used than the last ones.

    python examples/mnist_train.py                          the 8×8 digits that come with Dougong
    python examples/mnist_train.py ../shared/data/mnist     a folder with MNIST's idx files
    python examples/mnist_evaluate.py                       afterwards, or from a second terminal during training

A two-layer ReLU network (see mnist_network.py), and what makes its training work well:

  · the learning rate decays: large steps at first, to get near; small ones later, to settle
  · L2 regularisation: small weights, hence smooth answers between the training pictures
  · a moving average of the weights, used for every evaluation: single steps jump about, their average does not
  · a checkpoint after each epoch with everything that training needs.  Stop this program in any way (Ctrl-C, power
    cut) and start it again: it continues, and ends with the numbers that it would have reached undisturbed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mnist_network import CHECKPOINT, DigitNetwork, load, read_data

import dougong as dg

BATCH = 32
SEED = 1


def new_network(largest: float, classes: int, steps_per_epoch: int) -> DigitNetwork:
    """An untrained network, with the way to train it, which its checkpoints keep too."""
    rate = dg.optimizers.schedules.ExponentialDecay(0.5, decay_steps=steps_per_epoch, decay_rate=0.95, staircase=True)
    network = DigitNetwork(largest, classes=classes)
    network.compile(
        # The average forgets with 0.99 a step: it is over the last hundred steps or so.
        optimizer=dg.optimizers.SGD(rate, use_ema=True, ema_momentum=0.99),
        loss=dg.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return network


def show(network: dg.Model) -> dg.callbacks.Callback:
    """A row for each epoch.  Training figures are of the weights on their way, validation figures of their average."""

    def row(epoch: int, logs: dict[str, float]) -> None:
        rate = float(network.optimizer.learning_rate)
        train, val = (logs["loss"], logs["accuracy"]), (logs["val_loss"], logs["val_accuracy"])
        print(f"{epoch + 1:5d}{rate:9.4f}{train[0]:10.4f}{train[1]:9.4f}{val[0]:12.4f}{val[1]:9.4f}", flush=True)

    return dg.callbacks.LambdaCallback(on_epoch_end=row)


def main(data: str = "digits", folder: str = "runs/mnist", epochs: int = 30) -> dg.Model:
    dg.utils.set_random_seed(SEED)
    parts = read_data(data)
    steps_per_epoch = -(-len(parts.train) // BATCH)  # rounded up: the last batch may be smaller
    checkpoint = Path(folder) / CHECKPOINT

    if checkpoint.exists():
        network = load(folder)
        done = network.optimizer.iterations // steps_per_epoch
        print(f"{checkpoint} has {done} epochs: training continues there")
    else:
        _, largest = parts.train.input_range or (0.0, 255.0)
        network = new_network(largest, parts.train.num_classes, steps_per_epoch)
        done = 0
        print(f"{len(parts.train)} pictures to learn, {len(parts.val)} to validate, {steps_per_epoch} steps an epoch")

    # The order of the samples follows from the seed and the number of the epoch.  With the seed set here, just before
    # fit, epoch 7 is the same whether it comes after epoch 6 or after a restart.
    dg.utils.set_random_seed(SEED)
    print("epoch     rate      loss accuracy    val loss accuracy")
    network.fit(
        parts.train.inputs,
        parts.train.targets,
        batch_size=BATCH,
        initial_epoch=done,
        epochs=epochs,
        validation_data=(parts.val.inputs, parts.val.targets),
        # Written beside the old file and then put in its place, so that there is always a whole checkpoint.
        callbacks=[dg.callbacks.ModelCheckpoint(checkpoint), show(network)],
        verbose=0,
    )
    return network


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train a digit reader, or continue its training.")
    parser.add_argument("data", nargs="?", default="digits", help="a sample's name or a folder with idx files")
    parser.add_argument("--folder", default="runs/mnist", help="where the checkpoint lies")
    parser.add_argument("--epochs", type=int, default=30)
    main(**vars(parser.parse_args()))
