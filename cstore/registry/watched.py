"""Connections whose waiting can be ended: by a deadline, and by whoever does not want it any more (spec Q7)."""

from __future__ import annotations

import socket
import threading
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from cstore.registry.deadlines import shut
from cstore.waiting import LOOK, ended_by, see_wanted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from urllib3.connection import HTTPConnection

    from cstore.registry.deadlines import Deadlines

__all__ = ["connected", "watched"]

_Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]


def watched(kind: type[HTTPConnection], deadlines: Deadlines) -> type[HTTPConnection]:
    """Return a kind of connection that is given up when the head of an answer has not come in time, or nobody wants it any more.

    Its attribute `wire` is the socket on which the last answer came, for those who read the answer's body.
    """

    class Watched(kind):  # type: ignore[valid-type, misc]  # one of two
        wire: socket.socket | None = None
        _beginning: socket.socket | None = None

        def _new_conn(self) -> socket.socket:
            try:
                made = connected(self._dns_host, self.port, self.timeout, self.socket_options or ())
            except socket.gaierror as error:
                raise NameResolutionError(self.host, self, error) from error
            except TimeoutError as error:
                raise ConnectTimeoutError(self, f"no connection within {self.timeout:g} seconds") from error
            except OSError as error:
                raise NewConnectionError(self, str(error)) from error
            # TLS takes the socket away while it begins; another one for the same connection stays.
            self._beginning = made.dup()
            return made

        def connect(self) -> None:
            try:
                with ended_by(lambda: shut(self._beginning)):
                    super().connect()
            finally:
                beginning, self._beginning = self._beginning, None
                if beginning is not None:
                    beginning.close()
            # urllib3 would warn on stderr of what the administrator has configured.
            self.is_verified = True

        def _tunnel(self) -> None:
            with deadlines.over(self.sock):
                super()._tunnel()

        def getresponse(self) -> Any:  # noqa: ANN401 - as urllib3 has it
            # TLS inside of the TLS of a proxy is no socket itself, but has one.
            self.wire = self.sock if isinstance(self.sock, socket.socket) else self.sock.socket
            # The time for one reading begins anew with each byte, and a head has room for millions of them.
            with deadlines.over(self.wire), ended_by(partial(shut, self.wire)):
                return super().getresponse()

    return Watched


def connected(host: str, port: int, seconds: float | None, options: Iterable[tuple[int, int, int | bytes]] = ()) -> socket.socket:
    """Return a socket that is connected to the first address of a host that answers.

    Args:
        host: a name or an address.
        port: there.
        seconds: to wait for each address, and later for the next bytes; None for ever.
        options: of the socket, as setsockopt(2) takes them.

    Raises:
        OSError: no address answers, with the last one's error.
        GivenUpError: nobody wants it any more.
    """
    failure: OSError | None = None
    for family, kind, protocol, _, address in _addresses(host.strip("[]"), port):
        made = socket.socket(family, kind, protocol)
        try:
            for option in options:
                made.setsockopt(*option)
            made.settimeout(seconds)
            with ended_by(partial(shut, made)):
                made.connect(address)
        except BaseException as error:
            made.close()
            if not isinstance(error, OSError):
                raise
            failure = error
        else:
            return made
    raise failure or OSError("no address")


def _addresses(host: str, port: int) -> Sequence[_Address]:
    """Return the addresses of a host. No signal ends the looking up of a name, so that is left to a thread of its own."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, f"no name of a host: {error}") from None
    except socket.gaierror:
        pass
    answers: SimpleQueue[Sequence[_Address] | OSError] = SimpleQueue()

    def look() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            answers.put(error)

    threading.Thread(target=look, name="cstore-name", daemon=True).start()
    while True:
        see_wanted()
        try:
            answer = answers.get(timeout=LOOK)
        except Empty:
            continue
        if isinstance(answer, OSError):
            raise answer
        return answer
