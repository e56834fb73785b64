"""The results as tables of text, which ``report`` then shows on a terminal or writes as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.cases import CASES
from benchmarks.peers import BASELINES, PEERS
from benchmarks.probes import Probe
from benchmarks.ratios import Spread
from benchmarks.runner import Measurement

__all__ = ["Table", "detail", "failures", "number", "probes", "spread", "starts", "summary"]

_ABSENT = "–"


@dataclass(frozen=True)
class Table:
    """A title, the heads of the columns and the cells; ``text_columns`` of them hold words, the rest numbers."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    text_columns: int = 1


def number(value: float | None, digits: int = 3) -> str:
    """So many significant digits, without an exponent; a dash for None.

    >>> [number(value) for value in (0.012345, 1.5, 123.4, 12345.6, None)]
    ['0.0123', '1.50', '123', '12346', '–']
    """
    if value is None:
        return _ABSENT
    if value == 0:
        return "0"
    before = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    decimals = digits - before
    scaled = abs(value)
    while 0 < scaled < 0.1:
        scaled, decimals = scaled * 10, decimals + 1
    return f"{value:.{max(0, decimals)}f}"


def spread(value: Spread | None) -> str:
    """
    >>> spread(Spread(0.5, 0.0123, 0.62)), spread(Spread(31.25, 9.5, 120.4)), spread(None)
    ('0.50 (0.012–0.62)', '31.2 (9.50–120)', '–')
    """
    if value is None:
        return _ABSENT
    return f"{_ratio(value.median)} ({_ratio(value.low)}–{_ratio(value.high)})"


def _ratio(value: float) -> str:
    if value < 0.1:
        return number(value, digits=2)
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def _index(results: Sequence[Measurement]) -> dict[tuple[str, str, int | None], Measurement]:
    return {(m.case, m.peer, m.threads): m for m in results}


def _threads(setting: int | None) -> str:
    return "default" if setting is None else str(setting)


def _settings(results: Sequence[Measurement]) -> list[tuple[str, int | None]]:
    """The (case, threads) pairs in the order they were measured."""
    return list(dict.fromkeys((m.case, m.threads) for m in results))


def summary(results: Sequence[Measurement], measure: str, title: str, subject: str = "dougong") -> Table:
    """One row a case: the subject's time, and its ratio to every other peer."""
    found = _index(results)
    others = [name for name in PEERS if name != subject and any(m.peer == name for m in results)]
    rows = []
    for case, threads in _settings(results):
        mine = found.get((case, subject, threads))
        if mine is None:
            continue
        time = "failed" if mine.failure else number(mine.median(measure))
        ratios = [spread(mine.against(found.get((case, name, threads)), measure)) for name in others]
        rows.append((CASES[case].title, _threads(threads), time, *ratios))
    heads = (f"÷ {PEERS[name].title}" for name in others)
    return Table(title, ("case", "threads", f"{PEERS[subject].title} ms", *heads), rows, text_columns=2)


def detail(results: Sequence[Measurement], measure: str, title: str) -> Table:
    """One row a measurement: the time, and its ratio to the baselines with the same threads."""
    found = _index(results)
    rows = []
    for m in results:
        head = (CASES[m.case].title, PEERS[m.peer].title, _threads(m.threads))
        if m.failure:
            rows.append((*head, "failed", _ABSENT, _ABSENT))
            continue
        ratios = (spread(m.against(found.get((m.case, base, m.threads)), measure)) for base in BASELINES)
        rows.append((*head, number(m.median(measure)), *ratios))
    heads = (f"÷ {PEERS[base].title}" for base in BASELINES)
    return Table(title, ("case", "peer", "threads", "ms", *heads), rows, text_columns=3)


def starts(results: Sequence[Measurement]) -> Table:
    """One row a measurement: first step, cost of a call to ``fit``, peak memory, size of the model."""
    rows = []
    for m in results:
        if m.failure:
            continue
        facts = m.facts
        overhead = max(0.0, m.median("call_ms") - m.median("step_ms"))
        rows.append(
            (
                CASES[m.case].title,
                PEERS[m.peer].title,
                _threads(m.threads),
                number(facts["first_step_s"]),
                number(facts["first_step_with_imports_s"]),
                number(overhead),
                number(facts["peak_mb"]),
                str(facts["parameters"]),
                _ABSENT if facts["threads_used"] is None else str(facts["threads_used"]),
                number(m.rounds[-1]["loss"]),
            )
        )
    told = ("first step s", "with imports s", "call of fit ms", "peak MB", "parameters", "threads used", "last loss")
    return Table("Start and memory", ("case", "peer", "threads", *told), rows, text_columns=3)


def probes(found: Sequence[Probe]) -> Table:
    """One row a peer: import time and Python frames."""
    rows = [
        (
            PEERS[p.peer].title,
            number(p.import_s),
            number(p.build_s),
            _ABSENT if p.depth is None else str(p.depth),
            _ABSENT if p.calls is None else str(p.calls),
        )
        for p in found
    ]
    columns = ("peer", "import s", "import and build s", "frames deep", "frames entered")
    return Table("Import, and Python frames of one dense layer's call", columns, rows)


def failures(results: Sequence[Measurement]) -> Table:
    """One row a measurement that failed, with the peer's own words."""
    rows = [(CASES[m.case].title, PEERS[m.peer].title, _threads(m.threads), m.failure) for m in results if m.failure]
    return Table("Failures", ("case", "peer", "threads", "what it said"), rows, text_columns=4)
