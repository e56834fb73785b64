"""``python -m dougong`` is the program ``dougong``."""

from __future__ import annotations

from dougong.cli import main

if __name__ == "__main__":
    main()
