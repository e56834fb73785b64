from dougong.layers.layer import Layer, LayerOptions  # noqa: F401  moved: import from dougong.layers.layer
