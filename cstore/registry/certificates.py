"""Certificates of registries, and of this machine for them, from containers-certs.d(5) (spec Q4)."""

from __future__ import annotations

import ssl
import threading
from typing import TYPE_CHECKING

from cstore.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Certificates"]

_USUAL_PORT = 443
_HUB = {"registry-1.docker.io": "docker.io"}


class Certificates:
    """Directories with a directory for each registry, HOST or HOST:PORT: `*.crt` are authorities, `*.cert` with a `*.key` is a client's.

    Args:
        directories: the first that has one for a registry is taken.
    """

    def __init__(self, directories: tuple[Path, ...] = ()) -> None:
        self._directories = directories
        self._lock = threading.Lock()
        self._usual: dict[bool, ssl.SSLContext] = {}

    def context(self, host: str, port: int, *, is_insecure: bool, at: str) -> ssl.SSLContext:
        """Return the settings of TLS for a host.

        Args:
            host: without the port.
            port: as it is connected to.
            is_insecure: whether certificates that cannot be verified will do.
            at: what errors call it.

        Raises:
            SourceError: a file cannot be used.
        """
        place = self._place(_HUB.get(host, host), port)
        if place is None:
            with self._lock:
                if is_insecure not in self._usual:
                    self._usual[is_insecure] = _context(is_insecure=is_insecure)
                return self._usual[is_insecure]
        made = _context(is_insecure=is_insecure)
        for file in sorted(place.iterdir()):
            _load(made, file, at)
        return made

    def _place(self, host: str, port: int) -> Path | None:
        names = [f"{host}:{port}", *([host] if port == _USUAL_PORT else [])]
        return next((place for directory in self._directories for name in names if (place := directory / name).is_dir()), None)


def _context(*, is_insecure: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if is_insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _load(context: ssl.SSLContext, file: Path, at: str) -> None:
    certificate, key = file.with_suffix(".cert"), file.with_suffix(".key")
    wanted = "a certificate in PEM"
    try:
        if file.suffix == ".crt":
            context.load_verify_locations(cafile=file)
        elif file == certificate:
            wanted += " with a key beside it"
            context.load_cert_chain(certificate, key)
        elif file == key and not certificate.exists():
            raise SourceError(f"{at}: {file}: expected {certificate.name} beside it, found none")
    except OSError as error:
        found = "nothing that TLS can use" if isinstance(error, ssl.SSLError) else error.strerror
        raise SourceError(f"{at}: {file}: expected {wanted}, found: {found}") from None
