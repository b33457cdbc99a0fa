"""cstore writes, changes and checks podman's additional image stores.

The few public names; they are loaded when they are first used, so that importing cstore costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cstore.comparison import Differences, compare
    from cstore.delta import Delta
    from cstore.errors import ContentError, FormatError, NotFoundError, PublishError, SourceError, StoreError
    from cstore.planning import plan
    from cstore.publish.adopt import Adopted, adopt
    from cstore.publish.batch import Batch, Receipt, publishing
    from cstore.publish.directory import apply
    from cstore.publish.prune import prune
    from cstore.publish.repair import repair
    from cstore.publish.views import View, create_view, list_views, remove_view
    from cstore.publish.within import within
    from cstore.store import Store
    from cstore.verification.problem import Problem, Reach
    from cstore.verification.store import verify

__all__ = [
    "Adopted",
    "Batch",
    "ContentError",
    "Delta",
    "Differences",
    "FormatError",
    "NotFoundError",
    "Problem",
    "PublishError",
    "Reach",
    "Receipt",
    "SourceError",
    "Store",
    "StoreError",
    "View",
    "adopt",
    "apply",
    "compare",
    "create_view",
    "list_views",
    "plan",
    "prune",
    "publishing",
    "remove_view",
    "repair",
    "verify",
    "within",
]

__version__ = "0.1.0"

_ERRORS = "cstore.errors"
_VIEWS = "cstore.publish.views"
_HOMES = {
    "Adopted": "cstore.publish.adopt",
    "Batch": "cstore.publish.batch",
    "ContentError": _ERRORS,
    "Delta": "cstore.delta",
    "Differences": "cstore.comparison",
    "FormatError": _ERRORS,
    "NotFoundError": _ERRORS,
    "Problem": "cstore.verification.problem",
    "PublishError": _ERRORS,
    "Reach": "cstore.verification.problem",
    "Receipt": "cstore.publish.batch",
    "SourceError": _ERRORS,
    "Store": "cstore.store",
    "StoreError": _ERRORS,
    "View": _VIEWS,
    "adopt": "cstore.publish.adopt",
    "apply": "cstore.publish.directory",
    "compare": "cstore.comparison",
    "create_view": _VIEWS,
    "list_views": _VIEWS,
    "plan": "cstore.planning",
    "prune": "cstore.publish.prune",
    "publishing": "cstore.publish.batch",
    "remove_view": _VIEWS,
    "repair": "cstore.publish.repair",
    "verify": "cstore.verification.store",
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
