"""Whether a registry is where it is said to be: what answers at `/v2/`, where each registry must answer (spec Q13)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cstore.errors import SourceError
from cstore.registry.client import Request
from cstore.registry.connections import origin
from cstore.registry.refusal import refusal

if TYPE_CHECKING:
    from cstore.registry.client import Client
    from cstore.registry.endpoint import Endpoint

__all__ = ["moved_to"]

_PATH = "/v2/"
_A_REGISTRY = (200, 401)
"""It is one, and perhaps wants to know who asks."""


def moved_to(client: Client, endpoint: Endpoint) -> str | None:
    """Return the host to which a registry leads whoever asks it; None where it answers itself. Nobody is named who asks.

    Raises:
        SourceError: nothing answers there, or no registry.
    """
    at = f"docker://{endpoint.registry}"
    request = Request(endpoint=endpoint, path=_PATH, at=at, wanted="a registry", is_anonymous=True)
    with client.open(request, client.tries(f"{endpoint.registry} {_PATH}")) as answer:
        if answer.status not in _A_REGISTRY:
            raise SourceError(f"{at}: expected a registry at {endpoint.host}, found {refusal(answer)}")
        scheme, host, port = origin(answer.url, at)
        asked = origin(f"{scheme}://{endpoint.host}", at)
        # Whoever is led from http:// to https:// is where he was.
        return None if host == asked[1] and (port == asked[2] or ":" not in endpoint.host) else f"{host}:{port}"
