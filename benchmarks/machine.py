"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["describe", "slug"]

_PACKAGES = ("dougong", "torch", "keras", "jax", "jaxlib", "scikit-learn", "numpy")


def _cpu() -> str:
    """The processor's name, as Linux tells it, or as ``platform`` does elsewhere."""
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        named = re.search(r"^model name\s*:\s*(.+)$", listing.read_text(), re.MULTILINE)
        if named:
            return named[1].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def describe() -> dict[str, Any]:
    """Processor, number of CPUs this process may use, load before the run, system, and versions of all packages."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "cpu": _cpu(),
        "cpus": usable,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {package: _version(package) for package in _PACKAGES},
    }


def slug(machine: dict[str, Any]) -> str:
    """A file name's part for the machine.

    >>> slug({"cpu": "Intel(R) Xeon(R) @ 2.20GHz", "cpus": 4})
    'intel-r-xeon-r-2-20ghz-4cpu'
    """
    return re.sub(r"[^a-z0-9]+", "-", machine["cpu"].lower()).strip("-") + f"-{machine['cpus']}cpu"
