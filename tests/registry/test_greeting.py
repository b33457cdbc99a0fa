from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cstore.errors import SourceError
from cstore.model.remote import RemoteName
from tools.registries.proxy import Fault, Proxy
from tools.registries.server import registries_of

if TYPE_CHECKING:
    from tools.registries.server import Registry


def moved(registry: Registry, *faults: Fault) -> str | None:
    """Ask whether a registry has moved through a proxy with faults, whose address is told as HOST."""
    with Proxy(registry.address, *faults) as proxy, registries_of(proxy.address) as registries:
        try:
            return registries.moved_to(RemoteName.parse(f"{proxy.address}/atlas/app"))
        except SourceError as error:
            raise SourceError(str(error).replace(proxy.address, "HOST")) from None
        finally:
            assert [seen for seen in proxy.seen if "Authorization" in seen.headers] == []


def test_a_registry_answers_itself(registry: Registry) -> None:
    assert moved(registry) is None


@pytest.mark.parametrize("scheme", ["Bearer", "Basic", "Negotiate"])
def test_one_that_asks_who_is_there_answers_too(registry: Registry, scheme: str) -> None:
    assert moved(registry, Fault("", status=401, headers={"WWW-Authenticate": f'{scheme} realm="x"'})) is None


def test_one_that_is_busy_is_asked_again(registry: Registry) -> None:
    assert moved(registry, Fault("", status=503)) is None


def test_one_that_leads_elsewhere_has_moved(registry: Registry) -> None:
    assert moved(registry, Fault("", redirect=registry.address)) == registry.address


@pytest.mark.parametrize("status", [403, 404, 204])
def test_what_answers_otherwise_is_none(registry: Registry, status: int) -> None:
    with pytest.raises(SourceError, match=f"^docker://HOST: expected a registry at HOST, found status {status}"):
        moved(registry, Fault("", times=None, status=status))


def test_where_nothing_answers_is_none(registry: Registry) -> None:
    with pytest.raises(SourceError, match=r"^docker://HOST: expected an answer from HOST, found none"):
        moved(registry, Fault("", times=None, drop=True))
