"""The Keras facade: Keras's own module names for what stands elsewhere.  Names only, no logic."""
