"""Training: the loop, steps captured and eager, callbacks."""
