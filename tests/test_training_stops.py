"""What ends a run early: Ctrl-C, and numbers that are not finite, which change nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from typing import Any

import numpy as np
import pytest
import torch

import dougong as dg
from dougong.core.errors import NonFiniteError
from training_cases import T, X, regressor, same


def state_of(model: Any) -> list[Any]:
    """Everything that training changes: weights, running means, metrics, optimizer."""
    metrics = [tensor.clone() for metric in model.metrics for tensor in metric.variables if metric.name != "loss"]
    return [*model.get_weights(), *metrics, *model.optimizer.state().values()]


# ── Ctrl-C ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def interrupted(body: str, *, presses: int = 1, pause: float = 0.3) -> subprocess.CompletedProcess[str]:
    """Run a program, and press Ctrl-C once it says 'now'."""
    if sys.platform == "win32":
        pytest.skip("Windows sends Ctrl-C to whole consoles only")
    program = textwrap.dedent(
        """
        import sys, numpy as np, dougong as dg
        x = np.random.default_rng(0).standard_normal((64, 4)).astype("float32")
        y = x.sum(1, keepdims=True)
        model = dg.Sequential([dg.Input((4,)), dg.layers.Dense(1)])
        model.compile(dg.optimizers.SGD(0.001), "mse")
        ready = dg.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: epoch == 3 and print("now", flush=True))
        """
    ) + textwrap.dedent(body)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        for _ in range(presses):
            time.sleep(pause)
            process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
        return subprocess.CompletedProcess([], process.returncode, first + out, errors)


def test_ctrl_c_ends_fit_with_the_best_weights() -> None:
    done = interrupted(
        """
        best = []
        watch = dg.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: best.append((logs.get("val_loss", np.inf), model.get_weights())),
            on_train_end=lambda logs: print("end", flush=True),
        )
        history = model.fit(x, y, epochs=10**7, verbose=0, validation_data=(x, -y), callbacks=[ready, watch])
        kept = min(best, key=lambda pair: pair[0])[1]
        print(history.stopped, all((a == b).all() for a, b in zip(model.get_weights(), kept)), len(history.epoch) > 3)
        print(model.training, abs(model.evaluate(x, -y, verbose=0) - min(best)[0] if len(best) == 1 else 0) < 1)
        """
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[:2] == ["now", "end"]
    assert lines[2].startswith("stopped by Ctrl-C in epoch ")
    assert "; kept the weights of epoch 1 (val_loss " in lines[2]
    assert lines[2].endswith("True True")
    assert lines[3].startswith("False")


def test_ctrl_c_within_a_long_epoch_ends_it_after_the_step() -> None:
    done = interrupted(
        """
        def batches():
            print("now", flush=True)
            while True:
                yield x, y
        history = model.fit(batches(), steps_per_epoch=10**9, epochs=2, verbose=2)
        print(len(history.epoch), history.stopped)
        """
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "1 stopped by Ctrl-C in epoch 1"
    assert "stopped by Ctrl-C in epoch 1" in done.stdout.splitlines()[-2]


def test_ctrl_c_during_validation_ends_it() -> None:
    done = interrupted(
        """
        def batches():
            print("now", flush=True)
            while True:
                yield x, y
        history = model.fit(x, y, validation_data=batches(), validation_steps=10**9, epochs=2, verbose=0)
        print(sorted(history.history), history.stopped)
        """
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "['loss'] stopped by Ctrl-C in epoch 1"


def test_a_second_ctrl_c_interrupts_at_once() -> None:
    done = interrupted(
        """
        import time
        class Slow(dg.layers.Layer):
            def call(self, inputs):
                if self.training:
                    print("now", flush=True)
                    time.sleep(30)
                return inputs
        model = dg.Sequential([dg.Input((4,)), Slow(), dg.layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=True)
        try:
            model.fit(x, y, epochs=2, verbose=0)
        except KeyboardInterrupt:
            print("interrupted", model.training)
        """,
        presses=2,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "interrupted False"


# ── Numbers that are not finite ─────────────────────────────────────────────────────────────────────────────────────


def run_into(model: Any, x: Any, y: Any, *, epochs: int, **options: Any) -> str:
    """Train until it fails; nothing may have changed by the bad step.   Returns the message."""
    seen: list[Any] = []
    note = dg.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: seen.append(state_of(model)))
    with pytest.raises(NonFiniteError) as caught:
        model.fit(x, y, verbose=0, epochs=epochs, callbacks=[note], **options)
    same(state_of(model), seen[-1], "the state before the bad step")
    return str(caught.value)


@pytest.mark.parametrize("eagerly", [False, True])
def test_a_bad_loss_names_the_first_layer_and_changes_nothing(eagerly: bool) -> None:
    class Reciprocal(dg.layers.Layer):
        def call(self, inputs: torch.Tensor) -> torch.Tensor:
            return 1.0 / inputs

    norm = dg.layers.BatchNormalization(center=False)
    model = regressor(norm, Reciprocal(name="over"), optimizer="adam", metrics=["mae"], run_eagerly=eagerly)
    x = X[:32].copy()
    model.fit(x, T[:32], batch_size=8, epochs=20, verbose=0)
    assert model.history.plan.startswith("eager: run_eagerly" if eagerly else "captured")
    x[24:] = 0.0  # the mean is subtracted, so 0 stays 0: the last batch fails
    message = run_into(model, x, T[:32], batch_size=8, epochs=20, shuffle=False)
    assert message.startswith("epoch 1, step 4: the loss is ")
    assert "layer 'over' (Reciprocal) is the first to give NaN or Inf" in message
    assert "The weights are those before this step." in message


@pytest.mark.parametrize("eagerly", [False, True])
def test_a_bad_gradient_names_weight_and_function(eagerly: bool) -> None:
    class Root(dg.layers.Layer):
        def call(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.sqrt(inputs.abs())

    model = regressor(dg.layers.Dense(3, name="first", use_bias=False), Root(), optimizer="adam", run_eagerly=eagerly)
    x = np.abs(X[:32])
    model.set_weights([np.ones((4, 3)), np.ones((3, 1)), np.zeros(1)])
    model.fit(x, T[:32] * 0, batch_size=8, epochs=1, verbose=0)
    x[16] = 0.0
    message = run_into(model, x, T[:32], batch_size=8, epochs=30, shuffle=False)
    assert "step 3: a gradient is not finite" in message
    assert "weight 'first.weight'" in message
    assert "sqrt has no finite derivative there" in message


def test_bad_data_are_named_by_their_row_in_the_data() -> None:
    x, t = X.copy(), T.copy()
    x[33, 2] = np.nan
    assert "x[33, 2] is nan (row 33, column 2)" in run_into(regressor(), x, T, batch_size=8, epochs=2)
    t[7] = np.inf
    assert "y[7, 0] is inf (row 7, column 0)" in run_into(regressor(), X, t, batch_size=8, epochs=2)
    w = np.ones(40, "float32")
    w[5] = np.nan
    assert "sample_weight[5] is nan (row 5)" in run_into(regressor(), X, T, sample_weight=w, batch_size=8, epochs=2)


def test_bad_data_from_a_generator_are_named_by_their_row_in_the_batch() -> None:
    def batches() -> Any:
        for start in range(0, 40, 8):
            x = X[start : start + 8].copy()
            x[3, 1] = np.nan if start == 16 else 1.0
            yield x, T[start : start + 8]

    with pytest.raises(NonFiniteError, match=r"epoch 1, step 3: .*x\[3, 1\] is nan \(row 3, column 1\).*of the batch"):
        regressor().fit(batches(), verbose=0)


def test_a_layer_may_mend_bad_data() -> None:
    class Mend(dg.layers.Layer):
        def call(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.nan_to_num(inputs)

    x = X.copy()
    x[3, 1] = np.nan
    history = regressor(Mend()).fit(x, T, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_a_bad_weight_is_named() -> None:
    model = regressor(dg.layers.Dense(3, name="first"))
    model.set_weights([np.full_like(w, np.nan) for w in model.get_weights()])
    with pytest.raises(NonFiniteError, match=r"weight 'first\.weight' was not finite before the step"):
        model.fit(X, T, verbose=0)
