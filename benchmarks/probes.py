"""What is measured once a peer and not once a case: import time and Python frames of a layer call."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from benchmarks.peers import Peer
from benchmarks.process import Worker, WorkerError, environment

__all__ = ["Probe", "probe"]


@dataclass
class Probe:
    """``import_s``: ``python -c "import ..."``, wall clock, the interpreter's own start included.

    ``build_s``: the same with a 4-10-3 network built after it.   ``calls``, ``depth``: see :class:`timing.Frames`.
    Each is None where it failed or does not apply.
    """

    peer: str
    import_s: float | None = None
    build_s: float | None = None
    calls: int | None = None
    depth: int | None = None


def _wall(peer: Peer, code: str) -> float | None:
    """Seconds that a fresh interpreter takes for ``code``; None if it fails."""
    started = perf_counter()
    done = subprocess.run([sys.executable, "-c", code], env=environment(peer, None), capture_output=True, check=False)
    return perf_counter() - started if done.returncode == 0 else None


def _middle(times: Sequence[float | None]) -> float | None:
    good = [time for time in times if time is not None]
    return median(good) if good else None


def probe(peers: Sequence[Peer], rounds: int) -> list[Probe]:
    """Measure every peer in turns, ``rounds`` times; medians. The workers before have warmed the file cache.

    Of peers that import and build the same, only the first is measured.
    """
    peers = list({(peer.imports, peer.builds, *peer.environment.values()): peer for peer in reversed(peers)}.values())
    peers.reverse()
    times: dict[str, list[tuple[float | None, float | None]]] = {peer.name: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            times[peer.name].append((_wall(peer, peer.imports), _wall(peer, f"{peer.imports}; {peer.builds}")))
    probes = []
    for peer in peers:
        imports, builds = zip(*times[peer.name], strict=True)
        found = Probe(peer.name, _middle(imports), _middle(builds))
        if peer.dense is not None:
            with Worker(peer, 1) as worker:
                try:
                    frames = worker.ask("frames")
                except WorkerError:
                    frames = {"calls": None, "depth": None}
            found.calls, found.depth = frames["calls"], frames["depth"]
        probes.append(found)
    return probes
