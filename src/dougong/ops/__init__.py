"""Functions on tensors with Keras's semantics, and the small objects that a layer takes by name."""
