"""Dougong: neural networks from standard blocks.  Keras's words on native PyTorch."""
