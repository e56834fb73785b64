"""``keras.export``: refused by name."""

from dougong.keras.facade import Facade

__all__, __getattr__, __dir__ = Facade(
    "keras.export",
    refused={"ExportArchive": "it writes TensorFlow's SavedModel; use model.save, or torch.export.export(model, …)"},
).of()
