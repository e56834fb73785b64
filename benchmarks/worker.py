"""The child process: one peer, warm, that measures when told to: ``python -m benchmarks.worker PEER``.

Commands come as one JSON object a line on stdin, ``{"do": "run", ...}``; each is answered by one on stdout, with
``{"error": ...}`` when it failed. Whatever the framework prints goes to stderr.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from benchmarks.cases import CASES, dataset, quick
from benchmarks.peers import PEERS, Peer, Session
from benchmarks.timing import chosen_steps, count_frames, time_calls, time_steps

__all__ = ["Bench", "main"]

_MEMORY_STEPS, _MEMORY_SECONDS = 100, 1.0


class Bench:
    """What the commands act on: the peer and its present session."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.session: Session | None = None
        self.most: int | None = None
        self.steps = 1

    def answer(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Obey one command. ``do`` is ``start``, ``settle``, ``run`` or ``frames``."""
        actions = {"start": self.start, "settle": self.settle, "run": self.run, "frames": self.frames}
        arguments = {key: value for key, value in command.items() if key != "do"}
        return actions[command["do"]](**arguments)

    def start(self, *, case: str, small: bool, spawned: float) -> dict[str, Any]:
        """Import, build, make the first step. ``spawned``: when the parent started this process, Unix seconds."""
        chosen = quick(CASES[case]) if small else CASES[case]
        before = time.time()
        x, y = dataset(chosen)
        data = time.time() - before
        exec(self.peer.imports, {})  # our own table's text
        imported = time.time()
        self.session = self.peer.open(chosen, x, y)
        self.session.train(1)
        stepped = time.time()
        self.most = None if chosen.unit == "epoch" else chosen.batches
        return {
            "first_step_s": stepped - imported,
            "first_step_with_imports_s": stepped - spawned - data,
            "parameters": self.session.parameters(),
            "threads_used": self.session.threads(),
        }

    def settle(self, *, seconds: float, memory: bool) -> dict[str, Any]:
        """Find how many steps a timed pass has; for ``memory``, first train 100 steps or one second, tell the peak."""
        session = self._open()
        facts: dict[str, Any] = self._memory(session) if memory else {"peak_mb": None}
        session.predict()
        self.steps = chosen_steps(session.train, self.most, seconds)
        return facts | {"steps": self.steps}

    def _memory(self, session: Session) -> dict[str, Any]:
        begun, made, chunk = time.perf_counter(), 1, min(10, self.most or 10)
        while made < _MEMORY_STEPS and time.perf_counter() - begun < _MEMORY_SECONDS:
            session.train(chunk)
            made += chunk
        return {"peak_mb": peak_mb(), "peak_after_steps": made}

    def run(self, *, seconds: float) -> dict[str, Any]:
        """Time steps for about ``seconds``, predict calls for half of it."""
        session = self._open()
        steps = time_steps(session.train, self.steps, seconds)
        predict_ms = time_calls(session.predict, seconds / 2)
        return {**asdict(steps), "predict_ms": predict_ms, "loss": session.train(1)}

    def frames(self) -> dict[str, Any]:
        """Count the Python frames of one call of a dense layer with ReLU."""
        if self.peer.dense is None:
            raise ValueError(f"{self.peer.title} has no layer that can be called.")
        call = self.peer.dense()
        call()
        return asdict(count_frames(call))

    def _open(self) -> Session:
        if self.session is None:
            raise ValueError("No session is open; send the command 'start' first.")
        return self.session


def peak_mb() -> float:
    """Largest resident size of this process so far, in MB (10^6 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def main() -> None:
    """Answer commands until stdin ends."""
    bench = Bench(PEERS[sys.argv[1]])
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        try:
            reply = bench.answer(json.loads(line))
        except Exception as error:  # noqa: BLE001  whatever a peer raises is a result to be shown
            reply = {"error": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(reply) + "\n")


if __name__ == "__main__":
    main()
