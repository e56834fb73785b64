"""Dougong beside its peers, on one machine, in one run: ``python -m benchmarks``; see ``benchmarks/README.md``.

``cases`` says what is run, ``peers`` who runs it; ``sessions_*`` and the two ``*_models`` files are the programs that
are timed; ``worker`` is the child process that times them and ``process`` its handle in the parent; ``runner`` lets
the workers take turns, ``probes`` times imports, ``ratios`` condenses, ``tables`` and ``report`` show.
"""

__all__: list[str] = []
