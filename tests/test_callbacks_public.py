"""CallbackList, ProgbarLogger, Progbar, SwapEMAWeights and RemoteMonitor against the real Keras."""

from __future__ import annotations

import http.server
import inspect
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import dougong as dg
from callback_cases import X, Y, network
from closeness import close
from dougong.core.errors import ConfigError
from dougong.training.progbar import Progbar


@pytest.mark.parametrize("name", [name for name in dir(keras.callbacks) if name[0].isupper()])
def test_every_callback_has_keras_arguments_and_defaults(name: str) -> None:
    if name == "OrbaxCheckpoint":
        pytest.skip("refused by the facade")
    ours, theirs = (inspect.signature(getattr(k.callbacks, name)).parameters for k in (dg, keras))
    kinds = (inspect.Parameter.VAR_KEYWORD,)
    found, wanted = (
        [(p.name, p.default) for p in parameters.values() if p.kind not in kinds] for parameters in (ours, theirs)
    )
    assert found == wanted


# ── CallbackList ────────────────────────────────────────────────────────────────────────────────────────────────────


def calls_of(k: Any) -> list[Any]:
    seen: list[Any] = []

    def method(name: str) -> Any:
        return lambda self, *args, **kwargs: seen.append((name, args, kwargs.get("logs")))

    hooks = [name for name in dir(k.callbacks.Callback) if name.startswith("on_")]
    spy = type("Spy", (k.callbacks.Callback,), {name: method(name) for name in hooks})()
    some = k.callbacks.CallbackList([spy], add_history=True, model=network(k), epochs=2, steps=3)
    some.on_train_begin()
    for epoch in range(2):
        some.on_epoch_begin(epoch)
        for batch in range(2):
            some.on_train_batch_begin(batch)
            some.on_train_batch_end(batch, {"loss": np.float32(0.5), "nested": {"b": 1, "a": "text"}})
        some.on_test_begin()
        some.on_test_end({"loss": 1})
        some.on_epoch_end(epoch, {"val_loss": np.array(2.0), "loss": 1})
    some.on_train_end({"loss": 3})
    history = next(callback for callback in some.callbacks if type(callback).__name__ == "History")
    assert some.model.history is history
    assert spy.params == {"epochs": 2, "steps": 3}
    found = [(name, *(tuple(_plain(v) for v in args)), _plain(logs)) for name, args, logs in seen]
    return [*found, history.history, history.epoch]


def _plain(value: Any) -> Any:
    return list(value.items()) if isinstance(value, dict) else value


def test_a_callback_list_passes_on_what_keras_passes_on() -> None:
    def joined(calls: list[Any]) -> list[Any]:
        """Keras hands logs to batches by keyword, to epochs by position: no difference to a method."""
        return [tuple(v for v in call if v is not None) if isinstance(call, tuple) else call for call in calls]

    found = [joined(calls_of(k)) for k in (keras, dg)]
    empty = [[tuple(v for v in call if v != []) if isinstance(call, tuple) else call for call in one] for one in found]
    assert empty[1] == empty[0]


def test_a_callback_list_adds_what_is_wanted_once() -> None:
    bar, history = dg.callbacks.ProgbarLogger(), dg.callbacks.History()
    some = dg.callbacks.CallbackList([bar, [history]], add_history=True, add_progbar=True)
    assert some.callbacks == [bar, history]
    assert len(dg.callbacks.CallbackList(add_history=True, add_progbar=True).callbacks) == 2


# ── The bar ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def shown(
    bar: Any, run: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **options: Any
) -> str:
    clock = [100.0]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    run(bar(**options), clock)
    return capsys.readouterr().out


def in_steps(bar: Any, clock: list[float]) -> None:
    for step in range(1, 13):
        clock[0] += 0.02 * step
        bar.update(step, [("loss", 1.0 / step), ("small", 1e-5 * step), ("vector", np.arange(3.0))])


def by_adding(bar: Any, clock: list[float]) -> None:
    for step in range(4):
        clock[0] += 45.0
        bar.add(3, [("loss", float(step)), ("negative", -2.0)])
    bar.update(12, [("loss", 9.0)], finalize=True)


@pytest.mark.parametrize("run", [in_steps, by_adding])
@pytest.mark.parametrize(
    "options",
    [
        {"target": 12},
        {"target": None},
        {"target": 12, "width": 7, "interval": 0.2},
        {"target": 12, "verbose": 2},
        {"target": 12, "verbose": 0},
        {"target": 12, "stateful_metrics": ["loss"]},
        {"target": 12, "stateless_metrics": ["loss"], "unit_name": "sample"},
        {"target": 100000},
    ],
    ids=str,
)
def test_the_bar_writes_what_keras_writes(
    run: Any, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if options.get("verbose") == 2 and run is by_adding:
        pytest.skip("Keras writes negative values in another form on this line only")
    ours = shown(Progbar, run, monkeypatch, capsys, **options)
    assert ours == shown(keras.utils.Progbar, run, monkeypatch, capsys, **options)


def test_the_bar_takes_one_list_of_names() -> None:
    with pytest.raises(ConfigError, match="not both"):
        Progbar(3, stateful_metrics=["a"], stateless_metrics=["b"])


def test_the_logger_stands_in_the_place_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    lines = []
    for k in (keras, dg):
        model = network(k)
        bar = k.callbacks.ProgbarLogger()
        model.fit(X, Y, batch_size=8, epochs=2, callbacks=[bar], validation_data=(X, Y))
        model.evaluate(X, Y, batch_size=8, callbacks=[k.callbacks.ProgbarLogger()])
        model.predict(X, batch_size=8, callbacks=[k.callbacks.ProgbarLogger()])
        text = capsys.readouterr().out
        lines.append([_without_numbers(line) for line in text.split("\n")])
    assert lines[1] == lines[0]


def _without_numbers(line: str) -> Any:
    """What stands at the end of the line, names of values sorted."""
    last = line.rpartition("\r")[2]
    head, *values = last.split(" - ")
    return head.partition("\x1b[0m")[0], sorted(value.partition(":")[0] for value in values)


# ── Averages ────────────────────────────────────────────────────────────────────────────────────────────────────────


def averaging(k: Any) -> Any:
    model = k.Sequential([k.Input((4,)), k.layers.Dense(3)])
    optimizer = k.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8)
    model.compile(optimizer, k.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.set_weights([np.linspace(-1, 1, 12).reshape(4, 3).astype("float32"), np.zeros(3, "float32")])
    return model


@pytest.mark.parametrize("swap_on_epoch", [False, True])
@pytest.mark.parametrize("validation", [None, (X, Y)])
def test_averages_are_shown_where_keras_shows_them(swap_on_epoch: bool, validation: Any) -> None:
    found = []
    for k in (keras, dg):
        model, seen = averaging(k), []
        note = k.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(model.get_weights()[0]))  # noqa: B023
        swap = k.callbacks.SwapEMAWeights(swap_on_epoch=swap_on_epoch)
        history = model.fit(
            X, Y, batch_size=8, epochs=3, shuffle=False, verbose=0, validation_data=validation, callbacks=[swap, note]
        )
        loss = model.evaluate(X, Y, verbose=0, callbacks=[k.callbacks.SwapEMAWeights()])
        found.append((seen, history.history["loss"], history.history.get("val_loss", []), loss, model.get_weights()[0]))
    for ours, theirs, what in zip(found[1], found[0], ("at epoch ends", "loss", "val_loss", "evaluated", "at the end")):
        close(np.array(ours), np.array(theirs), because=what)


def test_checkpoints_after_the_swap_hold_the_averages(tmp_path: Path) -> None:
    model, seen = averaging(dg), []
    model.fit(
        X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0,
        callbacks=[
            dg.callbacks.SwapEMAWeights(swap_on_epoch=True),
            dg.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(model.get_weights()[0])),
            dg.callbacks.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True),
        ],
    )  # fmt: skip
    other = averaging(dg)
    for epoch in (1, 2):
        other.load_weights(tmp_path / f"{epoch}.weights.h5")
        close(other.get_weights()[0], seen[epoch - 1], because=f"epoch {epoch}", tolerance=0)


def test_a_run_without_averages_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="use_ema=True"):
        network(dg).fit(X, Y, verbose=0, callbacks=[dg.callbacks.SwapEMAWeights()])


# ── The server ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def server() -> Iterator[Any]:
    received: list[tuple[str, dict[str, str], str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            received.append((self.path, dict(self.headers.items()), body))
            self.send_response(200 if "ok" in self.path or "publish" in self.path else 500)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    found = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    found.received = received  # type: ignore[attr-defined]
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


def test_logs_are_posted_as_form_and_as_json(server: Any) -> None:
    root = f"http://127.0.0.1:{server.server_port}"
    history = network(dg).fit(
        X, Y, epochs=2, verbose=0,
        callbacks=[
            dg.callbacks.RemoteMonitor(root),
            dg.callbacks.RemoteMonitor(root, "/ok", headers={"X-Run": "7"}, send_as_json=True),
        ],
    ).history  # fmt: skip
    wanted = [{"epoch": e, "loss": history["loss"][e], "accuracy": history["accuracy"][e]} for e in range(2)]
    forms = [urllib.parse.parse_qs(body) for path, _, body in server.received if path == "/publish/epoch/end/"]
    assert [json.loads(form["data"][0]) for form in forms] == wanted
    bodies = [(headers, json.loads(body)) for path, headers, body in server.received if path == "/ok"]
    assert [body for _, body in bodies] == wanted
    assert all(h["X-Run"] == "7" and h["Content-Type"] == "application/json" for h, _ in bodies)


def test_a_server_that_is_not_there_is_a_warning(server: Any) -> None:
    with pytest.warns(UserWarning, match="could not reach .*refused/: HTTP Error 500"):
        monitor = dg.callbacks.RemoteMonitor(f"http://127.0.0.1:{server.server_port}", "/refused/")
        monitor.on_epoch_end(0, {"loss": np.float32(1.5), "list": np.arange(2)})
    assert json.loads(urllib.parse.parse_qs(server.received[-1][2])["data"][0]) == {
        "epoch": 0,
        "loss": 1.5,
        "list": [0, 1],
    }
    with pytest.warns(UserWarning, match="could not reach http://127.0.0.1:9/"):
        dg.callbacks.RemoteMonitor("http://127.0.0.1:9").on_epoch_end(0, {})
    with pytest.raises(ConfigError, match="http"):
        dg.callbacks.RemoteMonitor("file:///etc")
