"""The benchmark runner: its statistics and tables, its stopwatch on an invented clock, and that every case builds."""

from __future__ import annotations

import doctest
import itertools
import json
import math
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import cases, machine, ratios, tables, timing
from benchmarks.__main__ import main
from benchmarks.cases import CASES, dataset, quick
from benchmarks.keras_models import compiled
from benchmarks.peers import PEERS
from benchmarks.probes import Probe
from benchmarks.process import Worker, WorkerError, environment
from benchmarks.ratios import Spread, ratio
from benchmarks.report import markdown, write
from benchmarks.runner import Measurement, record
from benchmarks.sessions_torch import TorchSession
from benchmarks.timing import Frames, chosen_steps, count_frames, time_calls, time_steps
from closeness import close

PARAMETERS = {  # by hand: sums of (inputs + 1) * outputs, and so on
    "xor": 3 * 10 + 11,
    "mlp-small": 5 * 10 + 11 * 3,
    "mlp-epoch": 5 * 10 + 11 * 3,
    "mlp-large": 785 * 256 + 257 * 128 + 129 * 10,
    "lenet5": 26 * 6 + 151 * 16 + 401 * 120 + 121 * 84 + 85 * 10,
    "lstm": 4 * 64 * (16 + 64 + 1) + 65 * 10,
    "mobile": 27 * 16 + 2 * 16
    + sum(9 * a + 2 * a + a * b + 2 * b for a, b in [(16, 32), (32, 64), (64, 64), (64, 128), (128, 128)])
    + 129 * 10,
    "transformer": 2 * (4 * 129 * 128 + 129 * 256 + 257 * 128 + 4 * 128) + 129 * 10,
}  # fmt: skip
SECOND_LSTM_BIAS = 4 * 64  # torch keeps two biases where Keras keeps their sum

times = st.floats(1e-6, 1e6)


def measurement(peer: str, *step_ms: float, threads: int | None = 1, case: str = "xor") -> Measurement:
    """A finished measurement with these times."""
    facts = {"first_step_s": 1.0, "first_step_with_imports_s": 2.0, "peak_mb": 300.0, "parameters": 41}
    rounds = [{"step_ms": t, "predict_ms": t / 2, "call_ms": 3 * t, "loss": 0.5} for t in step_ms]
    return Measurement(case, peer, threads, facts | {"threads_used": None}, rounds)


@pytest.mark.parametrize("module", [cases, machine, ratios, tables, timing], ids=lambda module: module.__name__)
def test_the_examples_in_docstrings_hold(module: ModuleType) -> None:
    done = doctest.testmod(module)
    assert done.attempted > 0
    assert done.failed == 0


class TestRatio:
    def test_divides_within_rounds_so_a_slow_round_cancels(self) -> None:
        close(ratio([1.0, 100.0, 1.0], [2.0, 200.0, 2.0]).high, 0.5, because="the second round was slow for both")

    @given(st.lists(times, min_size=1, max_size=9), st.floats(0.01, 100))
    def test_of_a_multiple_is_that_multiple(self, rounds: list[float], factor: float) -> None:
        got = ratio([factor * t for t in rounds], rounds)
        close([got.median, got.low, got.high], [factor] * 3, because="every round has the same ratio")

    @given(st.lists(times, min_size=1, max_size=9))
    def test_the_median_lies_within_the_spread(self, values: list[float]) -> None:
        got = Spread.of(values)
        assert got.low <= got.median <= got.high

    def test_refuses_no_rounds_and_unequal_rounds(self) -> None:
        with pytest.raises(ValueError, match="no round was measured"):
            ratio([], [])
        with pytest.raises(ValueError, match=r"shorter|longer"):
            ratio([1.0], [1.0, 2.0])


class TestNumber:
    @given(times)
    def test_keeps_three_digits(self, value: float) -> None:
        text = tables.number(value)
        assert "e" not in text
        assert math.isclose(float(text), value, rel_tol=0.005)

    def test_shows_what_is_not_known_and_zero(self) -> None:
        assert [tables.number(value) for value in (None, 0.0)] == ["–", "0"]


class TestTables:
    results = (measurement("dougong", 1.0, 2.0, 3.0), measurement("torch", 2.0, 4.0, 12.0))

    def test_summary_divides_by_each_other_peer(self) -> None:
        table = tables.summary(self.results, "step_ms", "Training")
        assert table.columns == ("case", "threads", "Dougong ms", "÷ PyTorch")
        assert table.rows == [("XOR 2-10-1", "1", "2.00", "0.50 (0.25–0.50)")]

    def test_detail_compares_equal_threads_only(self) -> None:
        rows = tables.detail([*self.results, measurement("dougong", 1.0, threads=None)], "predict_ms", "Predict").rows
        assert [row[3:] for row in rows] == [
            ("1.00", "0.50 (0.25–0.50)", "–"),
            ("2.00", "1.00 (1.00–1.00)", "–"),
            ("0.500", "–", "–"),
        ]

    def test_starts_subtracts_the_step_from_the_call(self) -> None:
        row = tables.starts(self.results[:1]).rows[0]
        assert row[3:] == ("1.00", "2.00", "4.00", "300", "41", "–", "0.500")

    def test_a_failure_is_named_and_divides_nothing(self) -> None:
        failed = Measurement("xor", "dougong", 1, failure="ValueError: no")
        results = [failed, self.results[1]]
        assert tables.summary(results, "step_ms", "Training").rows == [("XOR 2-10-1", "1", "failed", "–")]
        assert tables.detail(results, "step_ms", "Training").rows[0][3:] == ("failed", "–", "–")
        assert tables.failures(results).rows == [("XOR 2-10-1", "Dougong", "1", "ValueError: no")]
        assert [row[1] for row in tables.starts(results).rows] == ["PyTorch"]

    def test_probes_show_absent_values(self) -> None:
        assert tables.probes([Probe("sklearn", import_s=1.0)]).rows == [("scikit-learn", "1.00", "–", "–", "–")]


class TestReport:
    def test_markdown_has_a_row_for_every_row_and_escapes_bars(self) -> None:
        table = tables.Table("T", ("a", "b"), [("x|y", "1"), ("z", "2")])
        page = markdown([table], machine.describe(), "Benchmarks")
        assert page.splitlines()[-5:] == ["", "| a | b |", "| --- | ---: |", "| x\\|y | 1 |", "| z | 2 |"]

    def test_json_keeps_rounds_medians_and_ratios(self, tmp_path) -> None:
        write(tmp_path / "new" / "run.json", {"measurements": record(TestTables.results)}, "page")
        rows = json.loads((tmp_path / "new" / "run.json").read_text())["measurements"]
        assert rows[0]["median"] == {"step_ms": 2.0, "predict_ms": 1.0, "call_ms": 6.0}
        assert rows[0]["step_ms_ratio"] == {"torch": {"median": 0.5, "low": 0.25, "high": 0.5}}
        assert [turn["step_ms"] for turn in rows[1]["rounds"]] == [2.0, 4.0, 12.0]
        assert (tmp_path / "new" / "run.md").read_text() == "page"

    def test_the_machine_names_itself_and_what_is_absent(self) -> None:
        found = machine.describe()
        assert found["cpus"] >= 1
        assert found["versions"]["torch"]
        assert machine._version("no-such-package-is-installed") is None


class _Clock:
    """A clock that only work moves on: a call costs 5 ms and each step 2 ms."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.asked: list[int] = []
        monkeypatch.setattr(timing, "perf_counter", lambda: self.now)

    def train(self, steps: int) -> None:
        self.asked.append(steps)
        self.now += 0.005 + 0.002 * steps


class TestStopwatch:
    def test_a_step_is_free_of_what_a_call_costs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        got = time_steps(_Clock(monkeypatch).train, steps=21, seconds=9.0)
        close([got.step_ms, got.call_ms], [2.0, 7.0], because="T(n) = 5 + 2n ms")

    def test_one_slow_repeat_does_not_count(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = _Clock(monkeypatch)
        delays = itertools.chain([1.0], itertools.repeat(0.0))

        def train(steps: int) -> None:
            clock.train(steps)
            clock.now += next(delays)

        close(time_steps(train, 11, 9.0).step_ms, 2.0, because="the least of the repeats counts")

    def test_a_single_step_cannot_be_told_from_its_call(self, monkeypatch: pytest.MonkeyPatch) -> None:
        got = time_steps(_Clock(monkeypatch).train, 1, 9.0)
        close([got.step_ms, got.call_ms], [7.0, 7.0], because="a call of one step is all there is")

    @given(st.one_of(st.none(), st.integers(1, 3000)), st.floats(0.01, 5.0))
    def test_chosen_steps_stay_within_the_data(self, most: int | None, seconds: float) -> None:
        with pytest.MonkeyPatch.context() as patch:
            clock = _Clock(patch)
            chosen = chosen_steps(clock.train, most, seconds)
        limit = most or 5000
        assert min(3, limit) <= chosen <= limit
        assert max(clock.asked) <= limit

    def test_calls_are_counted_even_when_one_is_too_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = _Clock(monkeypatch)
        close(time_calls(lambda: clock.train(1), 0.001), 7.0, because="three calls of 7 ms each")
        assert len(clock.asked) == 4

    def test_frames_of_a_builtin_and_of_a_nested_call(self) -> None:
        def outer() -> int:
            return inner() + inner()

        def inner() -> int:
            return 1

        assert count_frames(list) == Frames(0, 0)
        assert count_frames(outer) == Frames(3, 2)


class TestCases:
    @pytest.mark.parametrize("name", CASES)
    def test_data_fit_the_case(self, name: str) -> None:
        case = quick(CASES[name])
        x, y = dataset(case)
        assert x.shape == (case.rows, *case.shape)
        assert x.dtype == np.float32
        assert len(y) == case.rows
        assert y.min() >= 0
        assert y.max() <= max(1, case.outputs - 1)

    @pytest.mark.parametrize("tuned", [False, True], ids=["default", "tuned"])
    @pytest.mark.parametrize("name", CASES)
    def test_torch_trains_every_case_and_has_the_parameters_counted_by_hand(self, name: str, tuned: bool) -> None:
        case = quick(CASES[name])
        session = TorchSession(case, *dataset(case), tuned=tuned)
        assert np.isfinite(session.train(2))
        assert session.predict().shape == (case.batch, case.outputs)
        assert session.parameters() == PARAMETERS[name] + (SECOND_LSTM_BIAS if name == "lstm" else 0)

    def test_both_torch_forms_compute_the_same_network(self) -> None:
        case = quick(CASES["mobile"])
        data = dataset(case)
        plain, tuned = TorchSession(case, *data, tuned=False), TorchSession(case, *data, tuned=True)
        tuned.model.load_state_dict(plain.model.state_dict())
        close(tuned.predict(), plain.predict(), because="memory layout changes no result", tolerance=1e-4)

    @pytest.mark.slow
    @pytest.mark.parametrize("module", ["keras", "dougong"])
    @pytest.mark.parametrize("name", CASES)
    def test_the_networks_in_keras_words_have_the_same_parameters(self, name: str, module: str) -> None:
        k = pytest.importorskip(module)
        model = compiled(CASES[name], k)
        assert sum(math.prod(weight.shape) for weight in model.trainable_weights) == PARAMETERS[name]


class TestWorkers:
    def test_threads_reach_every_pool_and_the_default_sets_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OMP_NUM_THREADS", "7")
        one, free = environment(PEERS["keras-jax"], 1), environment(PEERS["torch"], None)
        assert one["OMP_NUM_THREADS"] == one["OPENBLAS_NUM_THREADS"] == one["NPROC"] == "1"
        assert one["KERAS_BACKEND"] == "jax"
        assert "OMP_NUM_THREADS" not in free

    @pytest.mark.slow
    @pytest.mark.parametrize("peer", ["torch", "dougong", "sklearn"])
    def test_a_worker_answers_and_tells_its_errors(self, peer: str) -> None:
        with Worker(PEERS[peer], 1) as worker:
            facts = worker.ask("start", case="xor", small=True, spawned=worker.spawned)
            assert facts["parameters"] == 41
            assert 0 < facts["first_step_s"] < facts["first_step_with_imports_s"]
            assert worker.ask("settle", seconds=0.03, memory=True)["peak_mb"] > 20
            turn = worker.ask("run", seconds=0.03)
            assert min(turn["step_ms"], turn["predict_ms"], turn["loss"]) > 0
            with pytest.raises(WorkerError, match="no-such-command"):
                worker.ask("no-such-command")

    @pytest.mark.slow
    def test_a_dead_worker_is_an_error_with_its_last_words(self) -> None:
        with Worker(PEERS["sklearn"], 1) as worker:
            worker._process.kill()
            with pytest.raises(WorkerError, match="ended"):
                worker.ask("frames")


@pytest.mark.slow
def test_a_quick_run_from_the_command_line_writes_both_files(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--quick", "--case", "xor", "--peer", "torch", "sklearn", "--out", str(tmp_path / "run.json")])
    numbers = json.loads((tmp_path / "run.json").read_text())
    assert [(row["peer"], row["failure"]) for row in numbers["measurements"]] == [("torch", None), ("sklearn", None)]
    assert "XOR 2-10-1" in (tmp_path / "run.md").read_text()
    assert "XOR 2-10-1" in capsys.readouterr().out
