from __future__ import annotations

from tests.verification.conftest import sound, target

__all__ = ["sound", "target"]
