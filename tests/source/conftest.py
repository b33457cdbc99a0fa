from __future__ import annotations

from tests.registries import layout, registry

__all__ = ["layout", "registry"]
