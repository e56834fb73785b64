"""The run: workers of one case take turns, round after round."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from statistics import median
from time import sleep
from typing import Any

from benchmarks.cases import Case
from benchmarks.peers import BASELINES, Peer
from benchmarks.process import Worker, WorkerError
from benchmarks.ratios import Spread, ratio

__all__ = ["MEASURES", "Measurement", "Plan", "measure", "record"]

MEASURES = ("step_ms", "predict_ms")
_PAUSE = 0.02  # seconds between turns: the last worker's OpenMP threads spin a moment before they sleep


@dataclass(frozen=True)
class Plan:
    """How long everything takes.

    ``rounds``: turns of each worker.   ``seconds``: of training in one turn.   ``small``: data of :func:`cases.quick`.
    ``shared``: one process a peer for all cases, which saves starts; peak memory and first steps are then not told.
    """

    rounds: int = 5
    seconds: float = 0.12
    small: bool = False
    shared: bool = False


@dataclass
class Measurement:
    """What is known of one peer on one case with one thread setting (None: the machine's default)."""

    case: str
    peer: str
    threads: int | None
    facts: dict[str, Any] = field(default_factory=dict)
    rounds: list[dict[str, float]] = field(default_factory=list)
    failure: str | None = None

    def times(self, measure: str) -> list[float]:
        """One value a round: ``step_ms``, ``call_ms`` or ``predict_ms``."""
        return [turn[measure] for turn in self.rounds]

    def median(self, measure: str) -> float:
        """The median over rounds."""
        return median(self.times(measure))

    def against(self, baseline: Measurement | None, measure: str) -> Spread | None:
        """Ratio of times to the baseline's, or None where one of the two failed."""
        if baseline is None or self.failure or baseline.failure:
            return None
        return ratio(self.times(measure), baseline.times(measure))


class _Pool:
    """Starts workers, and in a shared plan keeps one a peer."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._kept: dict[tuple[str, int | None], Worker] = {}

    def __enter__(self) -> _Pool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._kept.values():
            worker.close()

    @contextmanager
    def workers(self) -> Iterator[Callable[[Peer, int | None], Worker]]:
        """A function that gives workers for the length of one case."""
        with ExitStack() as stack:

            def give(peer: Peer, threads: int | None) -> Worker:
                if not self.plan.shared:
                    return stack.enter_context(Worker(peer, threads))
                key = (peer.name, threads)
                if key not in self._kept:
                    self._kept[key] = Worker(peer, threads)
                return self._kept[key]

            yield give


def measure(
    cases: Sequence[Case],
    peers: Sequence[Peer],
    threads: Sequence[int | None],
    plan: Plan,
    tell: Callable[[str], None],
) -> list[Measurement]:
    """Run every peer on every case with every thread setting; a failure becomes part of the result."""
    results: list[Measurement] = []
    with _Pool(plan) as pool:
        for case in cases:
            runs = [(peer, setting) for setting in threads for peer in peers if peer.applies(case)]
            with pool.workers() as give:
                results += _take_turns(case, runs, plan, give, tell)
    return results


def _take_turns(
    case: Case,
    runs: Sequence[tuple[Peer, int | None]],
    plan: Plan,
    give: Callable[[Peer, int | None], Worker],
    tell: Callable[[str], None],
) -> list[Measurement]:
    """Start the case's workers one after the other, then let each have its turn in every round."""
    pairs = []
    for peer, setting in runs:
        tell(f"{case.title}: starting {peer.title}, threads {setting or 'default'}")
        measurement, worker = Measurement(case.name, peer.name, setting), give(peer, setting)
        pairs.append((measurement, worker))
        _guarded(measurement, _begin, measurement, worker, plan)
    for turn in range(plan.rounds):
        tell(f"{case.title}: round {turn + 1} of {plan.rounds}")
        for measurement, worker in pairs:
            if not measurement.failure:
                _guarded(measurement, _turn, measurement, worker, plan)
    return [measurement for measurement, _ in pairs]


def _guarded(measurement: Measurement, action: Callable[..., None], *arguments: Any) -> None:
    try:
        action(*arguments)
    except WorkerError as error:
        measurement.failure = str(error)


def _begin(measurement: Measurement, worker: Worker, plan: Plan) -> None:
    facts = worker.ask("start", case=measurement.case, small=plan.small, spawned=worker.spawned)
    facts |= worker.ask("settle", seconds=plan.seconds, memory=not plan.shared)
    if plan.shared:
        facts |= {"first_step_s": None, "first_step_with_imports_s": None}
    measurement.facts = facts


def _turn(measurement: Measurement, worker: Worker, plan: Plan) -> None:
    sleep(_PAUSE)
    measurement.rounds.append(worker.ask("run", seconds=plan.seconds))


def record(results: Sequence[Measurement]) -> list[dict[str, Any]]:
    """The results as JSON holds them: raw rounds, medians, and ratios to the baselines with the same threads."""
    found = {(m.case, m.peer, m.threads): m for m in results}
    rows = []
    for measurement in results:
        row = asdict(measurement)
        if not measurement.failure:
            row["median"] = {name: measurement.median(name) for name in (*MEASURES, "call_ms")}
            for name in MEASURES:
                spreads = {
                    base: measurement.against(found.get((measurement.case, base, measurement.threads)), name)
                    for base in BASELINES
                }
                row[f"{name}_ratio"] = {base: asdict(spread) for base, spread in spreads.items() if spread}
        rows.append(row)
    return rows
