"""What a run shows: rows in columns, a bar on a terminal, never more than ten writes a second."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import dougong as dg
from dougong.core.events import EpochBegan, EpochEnded, Event, StepEnded, TrainBegan, TrainEnded
from dougong.training import progress
from dougong.training.columns import Columns
from dougong.training.progress import Bar

X = np.random.default_rng(0).standard_normal((40, 4)).astype("float32")
T = X.sum(1, keepdims=True)
ESCAPE = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]")


def regressor(metrics: Any = ("mae",)) -> Any:
    model = dg.Sequential([dg.Input((4,)), dg.layers.Dense(1)])
    model.compile(dg.optimizers.SGD(0.01), "mse", metrics=list(metrics))
    return model


class Clock:
    """A clock that stands until it is set forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(progress.time, "perf_counter", lambda: self.now)


class Terminal(io.StringIO):
    """A terminal that notes when it was written to."""

    def __init__(self, clock: Clock, width: int = 80) -> None:
        super().__init__()
        self.clock, self.width = clock, width
        self.times: list[float] = []

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if text.strip("\r\n") and self.times[-1:] != [self.clock.now]:
            self.times.append(self.clock.now)
        return super().write(text)

    def lines(self) -> list[str]:
        """What stands on the screen in the end: what was written over or erased is gone."""
        screen, row = [""], 0
        for part in re.split(r"(\x1b\[[?0-9;]*[A-Za-z]|\r|\n)", self.getvalue()):
            if part == "\n":
                row += 1
                screen += [""] * (row + 1 - len(screen))
            elif part == "\x1b[2K":
                screen[row] = ""
            elif part.endswith("A") and part.startswith("\x1b["):
                row -= int(part[2:-1] or 1)
            elif not part.startswith(("\x1b", "\r")):
                screen[row] += part
        return [line.rstrip() for line in screen if line.strip()]


def on_terminal(monkeypatch: pytest.MonkeyPatch, width: int = 80) -> Terminal:
    """From now on the program writes to a terminal.  Not a fixture: pytest sets its own stdout after those."""
    shown = Terminal(Clock(monkeypatch), width)
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.delenv("NO_COLOR", raising=False)
    return shown


def run(
    epochs: int, steps: int, seconds: float, logs: dict[str, float], clock: Clock, *, every_step: bool = False
) -> Iterator[Event]:
    """The events of a run whose steps take as long as is said."""
    yield TrainBegan(epochs, steps, "")
    for epoch in range(epochs):
        yield EpochBegan(epoch)
        began = reported = clock.now
        for step in range(steps):
            clock.now += seconds
            if every_step or clock.now - reported > 0.1:
                reported = clock.now
                yield StepEnded(epoch, step, steps, lambda: {k: v for k, v in logs.items() if k[:4] != "val_"})
        yield EpochEnded(epoch, logs, clock.now - began, steps)
    yield TrainEnded(logs, "")


LOGS = {"loss": 0.4311, "accuracy": 0.8432, "val_loss": 0.03522, "val_accuracy": 0.876}


def test_rows_and_bar_look_as_they_should(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    bar = Bar.for_verbosity("auto", 2, fitting=True)
    seen: list[list[str]] = []
    with bar:
        for event in run(2, 100, 0.03, LOGS, terminal.clock):
            bar.handle(event)
            seen.append(terminal.lines())
    assert terminal.lines() == [
        "epoch     time  ms/step       loss   accuracy   val_loss  val_accuracy",
        "  1/2    3.0 s     30.0     0.4311     0.8432    0.03522        0.8760",
        "  2/2    3.0 s     30.0     0.4311     0.8432    0.03522        0.8760",
    ]
    assert any(
        lines[-1:] == ["  1/2  ━━━━━━━━╌╌╌╌╌╌╌╌  loss 0.4311  accuracy 0.8432  52/100  0:01 left"] for lines in seen
    )
    assert any(lines[2:] == ["  2/2  ━━━━━━━━╌╌╌╌╌╌╌╌     0.4311     0.8432  52/100  0:01 left"] for lines in seen)
    assert "\x1b[?25h" in terminal.getvalue()  # the cursor is back


@pytest.mark.parametrize("seconds", [0.0001, 0.004, 0.03, 0.5])
def test_at_most_ten_writes_a_second(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    terminal = on_terminal(monkeypatch)
    bar = Bar.for_verbosity(1, 50, fitting=True)
    with bar:
        for event in run(50, 20, seconds, LOGS, terminal.clock, every_step=True):
            bar.handle(event)
    gaps = np.diff(terminal.times)
    assert (gaps[:-1] > 0.0999).all()  # but for the last row, which is always written
    rows = terminal.lines()
    assert rows[-1].startswith("50/50")
    if seconds * 20 >= 0.2:
        assert len(rows) == 51, "every epoch of some length has its row"


@pytest.mark.parametrize("verbose", [1, 2, "auto"])
def test_what_is_no_terminal_gets_one_line_an_epoch(verbose: Any, capsys: pytest.CaptureFixture[str]) -> None:
    slow = dg.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: time.sleep(0.11))
    regressor().fit(X, T, epochs=3, verbose=verbose, validation_data=(X, T), callbacks=[slow])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["epoch", "time", "ms/step", "loss", "mae", "val_loss", "val_mae"]
    assert [line.split()[0] for line in lines[1:]] == ["1/3", "2/3", "3/3"]
    assert len({len(line) for line in lines}) == 1, "columns are aligned"
    assert not ESCAPE.search("".join(lines))


def test_short_epochs_share_lines_and_the_last_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    regressor().fit(X, T, epochs=500, batch_size=40, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 60
    assert lines[-1].split()[0] == "500/500"


def test_verbose_0_shows_nothing_and_loads_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    model = regressor()
    for act in (model.fit, model.evaluate):
        act(X, T, verbose=0)
    model.predict(X, verbose=0)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_rows_only_on_a_terminal_with_verbose_2(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    bar = Bar.for_verbosity(2, 2, fitting=True)
    with bar:
        for event in run(2, 100, 0.03, LOGS, terminal.clock):
            bar.handle(event)
    assert len(terminal.times) == 2
    assert len(terminal.lines()) == 3


def test_an_evaluation_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    model = regressor()
    model.evaluate(X, T, batch_size=8)
    pattern = r"evaluated  \d.* (ms|s)  \d+\.?\d* ms/step  loss \d+\.\d+  mae \d+\.\d+\n"
    assert re.fullmatch(pattern, capsys.readouterr().out)
    model.predict(X)
    assert capsys.readouterr().out == ""


def test_long_evaluations_and_predictions_show_how_far_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    bar = Bar.for_verbosity(1, 1)
    with bar:
        for done in range(50):
            terminal.clock.now += 0.05
            bar.working("predicting", done + 1, 100)
        assert (
            terminal.lines() == ["━━━━━━━━╌╌╌╌╌╌╌╌  predicting 50/100  0:02 left"]
            or "predicting" in terminal.lines()[-1]
        )
    assert terminal.lines() == []


def test_validation_has_its_own_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    bar = Bar.for_verbosity(1, 1, fitting=True)
    with bar:
        bar.handle(TrainBegan(1, 10, ""))
        bar.handle(EpochBegan(0))
        terminal.clock.now += 60.0
        for done in range(1, 41):
            bar.working("validating", done, 80)
            terminal.clock.now += 0.05
        assert terminal.lines() == ["  1/1  ━━━━━━━━╌╌╌╌╌╌╌╌  validating 40/80  0:02 left"]


@pytest.mark.parametrize("width", [30, 40, 60, 80])
def test_no_line_is_wider_than_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch, width)
    logs = dict.fromkeys(("loss", "sparse_categorical_accuracy", "sparse_top_k_categorical_accuracy", "auc"), 0.5)
    logs |= {f"val_{name}": value for name, value in logs.items()}
    bar = Bar.for_verbosity(1, 1000, fitting=True)
    with bar:
        for event in run(3, 100, 0.03, logs, terminal.clock):
            bar.handle(event)
            assert all(len(line) <= width for line in terminal.lines())
    bar.evaluated(logs, 100, 1.0)
    rows = terminal.lines()
    assert len(rows) == 5
    assert all(len(line) <= width for line in rows)
    assert rows[0].endswith(" …"), "what is left out is told"


def test_long_names_are_shortened_in_the_middle() -> None:
    columns = Columns("10/10")
    columns.fit_to(80)
    logs = {"loss": 1.0, "sparse_categorical_accuracy": 0.5, "sparse_categorical_crossentropy": 2.0, "val_loss": 1.0}
    titles, row = columns.rows("1/10", EpochEnded(0, logs, 1.0, 10))
    assert titles.split() == ["epoch", "time", "ms/step", "loss", "sparse…ccuracy", "sparse…entropy", "val_loss"]
    assert len(titles) == len(row) <= 80


def test_names_that_come_later_begin_a_new_head(capsys: pytest.CaptureFixture[str]) -> None:
    slow = dg.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: time.sleep(0.11))
    options = {"validation_data": (X, T), "validation_freq": 2, "callbacks": [slow]}
    regressor().fit(X, T, epochs=3, verbose=2, **options)
    lines = capsys.readouterr().out.splitlines()
    heads = [line.split() for line in lines if "epoch" in line]
    assert heads == [
        ["epoch", "time", "ms/step", "loss", "mae"],
        ["epoch", "time", "ms/step", "loss", "mae", "val_loss", "val_mae"],
    ]
    assert [len(line.split()) for line in lines if "/3" in line.split()[0]] == [6, 8, 6] or len(lines) == 5


def test_why_a_run_ended_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    stop = dg.callbacks.EarlyStopping("loss", min_delta=1e9)
    regressor().fit(X, T, epochs=9, verbose=2, callbacks=[stop])
    assert capsys.readouterr().out.splitlines()[-1] == "stopped by a callback in epoch 2"


def test_the_terminal_is_left_in_order_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)

    def fail(batch: int, logs: Any) -> None:
        terminal.clock.now += 1.0
        if batch == 3:
            raise RuntimeError("the user's own")

    with pytest.raises(RuntimeError, match="the user's own"):
        regressor().fit(X, T, batch_size=4, callbacks=[dg.callbacks.LambdaCallback(on_train_batch_end=fail)])
    shown = terminal.getvalue()
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no pseudo-terminals here")
def test_a_real_terminal_shows_the_bar() -> None:
    program = """
import time, numpy as np, dougong as dg
model = dg.Sequential([dg.Input((4,)), dg.layers.Dense(1)])
model.compile("sgd", "mse")
slow = dg.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: time.sleep(0.02))
model.fit(np.ones((64, 4)), np.ones((64, 1)), batch_size=2, epochs=2, callbacks=[slow])
"""
    ours, its = os.openpty()
    environment = os.environ | {"COLUMNS": "80", "TERM": "xterm-256color", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=its, stdout=its, stderr=its, env=environment
    ) as process:
        os.close(its)
        shown = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    assert process.returncode == 0
    text = ESCAPE.sub("", shown.decode())
    assert re.search(r"1/2  ━+╌+ +loss \d", text)
    assert re.search(r"\r *2/2 +\d\.\d s +\d\d\.\d +\d\.\d+", text)
    assert shown.count(b"\x1b[2K") < 40, "some ten writes a second"


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux tells that the other side is closed
        return b""
