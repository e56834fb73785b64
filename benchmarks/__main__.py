"""``python -m benchmarks [--case NAME ...] [--peer NAME ...] [--threads 1 default] [--quick] [--out FILE.json]``"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console

from benchmarks import machine, tables
from benchmarks.cases import CASES
from benchmarks.peers import PEERS
from benchmarks.probes import probe
from benchmarks.report import markdown, show, write
from benchmarks.runner import Plan, measure, record

__all__ = ["main"]

_RESULTS = Path(__file__).parent / "results"
_TITLES = {"step_ms": "Training, ms a step", "predict_ms": "Predict, ms a call of one batch"}


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Dougong beside its peers.")
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES), metavar="NAME", help=", ".join(CASES))
    parser.add_argument("--peer", nargs="+", choices=PEERS, default=list(PEERS), metavar="NAME", help=", ".join(PEERS))
    parser.add_argument("--threads", nargs="+", choices=("1", "default"), help="thread settings (both; quick: 1)")
    parser.add_argument("--rounds", type=int, help="turns of each worker (5; quick: 2)")
    parser.add_argument("--quick", action="store_true", help="little data, one thread, one process a peer: a minute")
    parser.add_argument("--out", type=Path, help="JSON file to write, with a .md beside it")
    return parser.parse_args(argv)


def _threads(chosen: Sequence[str] | None, quick: bool, cpus: int) -> list[int | None]:
    """Thread settings to run, None for the machine's default; where that is one thread, one setting says all."""
    if chosen is None:
        return [1] if quick or cpus == 1 else [1, None]
    return [None if setting == "default" else int(setting) for setting in chosen]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, show, and write: to ``--out``, or for a complete run to ``benchmarks/results``."""
    arguments = _arguments(argv)
    found, date, begun = machine.describe(), time.strftime("%Y-%m-%d"), time.monotonic()
    plan = Plan(rounds=2, seconds=0.06, small=True, shared=True) if arguments.quick else Plan()
    if arguments.rounds is not None:
        plan = replace(plan, rounds=arguments.rounds)
    cases, peers = [CASES[name] for name in arguments.case], [PEERS[name] for name in arguments.peer]
    console, progress = Console(), Console(stderr=True)
    if not console.is_terminal:
        console.width = 160
    with progress.status("starting") as status:
        threads = _threads(arguments.threads, arguments.quick, found["cpus"])
        tell = status.update if progress.is_terminal else progress.print
        results = measure(cases, peers, threads, plan, tell)
        tell("imports and Python frames")
        probed = probe(peers, rounds=1 if arguments.quick else 3)
    minutes = (time.monotonic() - begun) / 60
    shown = [tables.summary(results, name, f"{title}: Dougong beside the others") for name, title in _TITLES.items()]
    shown += [tables.detail(results, name, title) for name, title in _TITLES.items()]
    shown += [] if plan.shared else [tables.starts(results)]
    shown += [tables.probes(probed), tables.failures(results)]
    shown = [table for table in shown if table.rows]
    complete = len(cases) == len(CASES) and len(peers) == len(PEERS) and not arguments.quick
    path = arguments.out or (_RESULTS / f"{machine.slug(found)}-{date}.json" if complete else None)
    if path is not None:  # before anything is shown: a closed pipe must not lose a long run
        numbers = {"machine": found, "date": date, "minutes": minutes, "plan": asdict(plan)}
        numbers |= {"measurements": record(results), "probes": [asdict(one) for one in probed]}
        write(path, numbers, markdown(shown, found, f"Benchmarks, {date}"))
    show(shown, console)
    console.print(f"{minutes:.1f} minutes. Ratios are of times: below 1 is faster; (least–most of a round).")
    if path is not None:
        console.print(f"written: {path} and {path.with_suffix('.md').name}")


if __name__ == "__main__":
    main()
