"""The parent's handle of a worker process, and the environment it runs in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import Any

from benchmarks.peers import Peer

__all__ = ["Worker", "WorkerError", "environment"]

_TIMEOUT = 180.0  # seconds that one answer may take
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class WorkerError(RuntimeError):
    """A worker failed, died or did not answer in time."""


def environment(peer: Peer, threads: int | None) -> dict[str, str]:
    """The worker's environment: ``threads`` for every thread pool the peers know, or none set for the default.

    JAX reads no OMP variable: XLA takes the size of its pool from ``NPROC`` and a flag.
    """
    chosen = {key: value for key, value in os.environ.items() if key not in (*_THREAD_VARIABLES, "NPROC", "XLA_FLAGS")}
    if threads is not None:
        chosen |= dict.fromkeys((*_THREAD_VARIABLES, "NPROC"), str(threads))
        if threads == 1:
            chosen["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return chosen | dict(peer.environment) | {"TF_CPP_MIN_LOG_LEVEL": "3"}


class Worker:
    """One running worker; use it in a ``with`` block or call :meth:`close`."""

    def __init__(self, peer: Peer, threads: int | None) -> None:
        self.peer, self.threads = peer, threads
        self._stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed by close()
        self.spawned = time.time()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", peer.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            bufsize=1,
            env=environment(peer, threads),
            cwd=Path(__file__).parents[1],
        )

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Send one command and wait for its answer. Raises: WorkerError with the worker's own words."""
        process = self._process
        if process.stdin is None or process.stdout is None:
            raise WorkerError(f"{self.peer.title}: the worker has no pipes.")
        timer = Timer(_TIMEOUT, process.kill)
        timer.start()
        try:
            process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            timer.cancel()
        if not line:
            raise WorkerError(f"the process ended (code {process.wait()}): {self._last_words()}")
        reply = json.loads(line)
        if "error" in reply:
            raise WorkerError(reply["error"])
        return reply

    def _last_words(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            if stream is not None:
                with suppress(BrokenPipeError):  # a command may lie unsent in the buffer of a worker that died
                    stream.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
