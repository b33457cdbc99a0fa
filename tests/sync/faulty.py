"""A registry that is asked through a proxy: names are the registry's own, and each request is the proxy's to answer or to spoil."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cstore.registry.configuration import Configuration
from cstore.registry.patience import Patience
from cstore.registry.rule import Rule
from tools.registries.server import registries_of

if TYPE_CHECKING:
    from cstore.registry.registries import Registries
    from cstore.sync.report import RoundReport
    from tools.registries.proxy import Proxy
    from tools.registries.server import Registry


OTHER = "other.example.org"


def through(proxy: Proxy, registry: Registry, **options: Any) -> Registries:  # noqa: ANN401 - those of Registries
    """Return Registries that ask a proxy in the place of a registry, and of another one; they try everything three times."""
    rules = (Rule(prefix=prefix, location=proxy.address, is_insecure=True) for prefix in (registry.address, OTHER))
    return registries_of(**{"configuration": Configuration(tuple(rules)), "patience": Patience(tries=3), **options})


def outcomes(report: RoundReport) -> dict[str, str]:
    """Return what became of each image, by its name without the registry, and its architecture where that is not the usual one."""
    return {
        image.name.partition("/")[2] + ("" if image.platform == "linux/amd64" else f" {image.platform.split('/')[1]}"): image.outcome.value
        for image in report.images
    }
