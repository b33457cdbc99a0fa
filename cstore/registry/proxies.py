"""Proxies between this machine and registries, as HTTPS_PROXY, HTTP_PROXY and NO_PROXY name them for podman (spec Q15)."""

from __future__ import annotations

import ipaddress
from base64 import b64encode
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit

from attrs import field, frozen

from cstore.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Proxies", "Proxy"]

_PORTS = {"http": 80, "https": 443}
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@frozen
class Proxy:
    """A proxy."""

    scheme: str
    """How it is spoken to: `http`, or `https`."""
    host: str
    port: int
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    """What shows it who is asking; for nobody else."""

    @classmethod
    def parse(cls, text: str, at: str) -> Self:
        """Read `[http://|https://][USER[:PASSWORD]@]HOST[:PORT]`.

        Args:
            text: the address.
            at: what errors call it; they do not repeat it, since it may have a password.

        Raises:
            SourceError: it is another one.
        """
        try:
            parts = urlsplit(text if "://" in text else f"http://{text}")
            host, port = parts.hostname, parts.port
        except ValueError:
            parts, host, port = urlsplit(""), None, None
        if parts.scheme not in _PORTS or not host or not text.isprintable() or " " in text:
            raise SourceError(f"{at}: expected an address of a proxy such as http://proxy.example.org:3128, found another one")
        headers = {}
        if parts.username is not None:
            shown = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Proxy-Authorization"] = f"Basic {b64encode(shown.encode()).decode()}"
        return cls(parts.scheme, host, _PORTS[parts.scheme] if port is None else port, headers)

    @property
    def url(self) -> str:
        """Where it is, without what shows who is asking."""
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


@frozen
class _Exclusion:
    """Hosts that are asked directly: an address, a network of them, a domain and what is below it, or only what is below."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None
    domain: str = ""
    """With a dot before it; empty for an address."""
    below_only: bool = False
    port: str = ""
    """Empty for all."""

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read an entry of NO_PROXY, None for one that says nothing."""
        network = _network(text) if "/" in text else None
        if network is not None:
            return cls(network=network)
        host, port = _split(text)
        network = _network(host)
        if network is not None or not host:
            return cls(network=network, port=port) if host else None
        host = host.removeprefix("*") if host.startswith("*.") else host
        return cls(domain=f".{host.removeprefix('.')}", below_only=host.startswith("."), port=port)

    def takes(self, host: str, port: int, address: _Address | None) -> bool:
        if self.port not in ("", str(port)):
            return False
        if self.network is not None:
            return address is not None and address in self.network
        return host.endswith(self.domain) or (not self.below_only and host == self.domain[1:])


@frozen
class Proxies:
    """Which registry is asked by which proxy."""

    http: Proxy | None = None
    """For addresses that begin with http://."""
    https: Proxy | None = None
    """For addresses that begin with https://."""
    _excluded: tuple[_Exclusion, ...] = ()
    _excludes_all: bool = False

    @classmethod
    def usual(cls, environment: Mapping[str, str]) -> Self:
        """Return those that variables name, in capitals or, where there is none, in small letters.

        Raises:
            SourceError: a variable names no proxy that cstore can use.
        """
        found: dict[str, Proxy | None] = {}
        for scheme in _PORTS:
            name = next((name for name in (f"{scheme}_proxy".upper(), f"{scheme}_proxy") if environment.get(name)), "")
            found[scheme] = Proxy.parse(environment[name], name) if name else None
        entries = [entry.strip().lower() for entry in (environment.get("NO_PROXY") or environment.get("no_proxy") or "").split(",")]
        return cls(**found, excluded=tuple(filter(None, map(_Exclusion.parse, entries))), excludes_all="*" in entries)

    def of(self, scheme: str, host: str, port: int) -> Proxy | None:
        """Return the proxy by which a host is asked; None for one that is asked directly, as this machine itself always is.

        Args:
            scheme: `http` or `https`.
            host: without brackets.
            port: there.
        """
        host = host.lower()
        address = _address(host)
        if self._excludes_all or host == "localhost" or (address is not None and address.is_loopback):
            return None
        if any(excluded.takes(host, port, address) for excluded in self._excluded):
            return None
        return self.https if scheme == "https" else self.http


def _split(text: str) -> tuple[str, str]:
    """Split HOST:PORT, [HOST]:PORT or HOST; the port is empty where there is none."""
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        return (host, port.removeprefix(":")) if bracket else (text, "")
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, port
    return text, ""


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _address(host: str) -> _Address | None:
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found
