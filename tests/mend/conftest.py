from __future__ import annotations

from tests.verify.conftest import sound, target

__all__ = ["sound", "target"]
