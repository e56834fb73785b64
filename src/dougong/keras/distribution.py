"""``keras.distribution``: refused by name."""

from dougong.keras.facade import Facade

_WHY = "many machines are torchrun's affair: a Dougong model is an nn.Module, wrap it with DistributedDataParallel"
_NAMES = """
DataParallel DeviceMesh LayoutMap ModelParallel TensorLayout distribute_tensor distribution get_device_count initialize
list_devices set_distribution
""".split()

__all__, __getattr__, __dir__ = Facade("keras.distribution", refused=dict.fromkeys(_NAMES, _WHY)).of()
