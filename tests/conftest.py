"""The peers are set up here, once: Keras runs on torch, and nothing draws more threads than the machine has."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # small tensors: a second thread only waits, above all on a busy machine
os.environ.setdefault("JAX_PLATFORMS", "cpu")

collect_ignore_glob = ["golden/*"]  # the programs that made the stored arrays; they need peers that tests do not
