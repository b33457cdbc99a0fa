"""cstore writes, changes and checks podman's additional image stores.

The few public names; they are loaded when they are first used, so that importing cstore costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cstore.delta import Delta
    from cstore.errors import ContentError, FormatError, NotFoundError, PublishError, SourceError, StoreError
    from cstore.planning import plan
    from cstore.publish.batch import Batch, Receipt, publishing
    from cstore.publish.directory import apply
    from cstore.publish.prune import prune
    from cstore.publish.within import within
    from cstore.store import Store

__all__ = [
    "Batch",
    "ContentError",
    "Delta",
    "FormatError",
    "NotFoundError",
    "PublishError",
    "Receipt",
    "SourceError",
    "Store",
    "StoreError",
    "apply",
    "plan",
    "prune",
    "publishing",
    "within",
]

__version__ = "0.1.0"

_ERRORS = "cstore.errors"
_HOMES = {
    "Batch": "cstore.publish.batch",
    "ContentError": _ERRORS,
    "Delta": "cstore.delta",
    "FormatError": _ERRORS,
    "NotFoundError": _ERRORS,
    "PublishError": _ERRORS,
    "Receipt": "cstore.publish.batch",
    "SourceError": _ERRORS,
    "Store": "cstore.store",
    "StoreError": _ERRORS,
    "apply": "cstore.publish.directory",
    "plan": "cstore.planning",
    "prune": "cstore.publish.prune",
    "publishing": "cstore.publish.batch",
    "within": "cstore.publish.within",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of the public names
    if name not in _HOMES:
        raise AttributeError(f"module 'cstore' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - this is what defers the imports

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
