"""Properties that hold for every configuration: random ones, new in each run, compared with the real Keras."""
