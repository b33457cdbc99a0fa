"""What started this service and watches it: systemd, told as sd_notify(3) says."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from attrs import define, field

from cstore.errors import FormatError
from cstore.model.digest import found

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Supervisor", "parse_address"]

_BEATS = 4
"""How often a service that moves tells so within the patience of its watchdog."""


def parse_address(text: str) -> str:
    """Read the address of a supervisor's socket: a path, or `@NAME` for one in the abstract namespace; empty for none.

    Raises:
        FormatError: it is neither.
    """
    if text and (text[0] not in "/@" or len(text) == 1 or "\0" in text):
        raise FormatError("NOTIFY_SOCKET", f"expected a path or @NAME, found {found(text)}")
    return text


@define
class Supervisor:
    """A supervisor, which may be none; a message that it does not take is lost, since it is for its own good.

    The watchdog is fed by what moves, and by nothing else: nothing goes on feeding it while a round hangs (spec Y16).

    Args:
        monotonic: seconds of a clock that never goes back.
        address: as `parse_address` returns it.
        patience: seconds without a sign of life after which the supervisor kills this process; 0 where it never does.
    """

    _monotonic: Callable[[], float]
    _address: str = ""
    patience: float = 0.0
    _moved: float = field(init=False)
    _told: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._moved = self._told = self._monotonic()

    def tell(self, **variables: object) -> None:
        """Tell it something, such as `READY=1`; nothing that is told can make another line."""
        if not self._address:
            return
        lines = [f"{name}={' '.join(str(value).splitlines())}" for name, value in variables.items()]
        address = f"\0{self._address[1:]}" if self._address[0] == "@" else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
            link.setblocking(False)  # noqa: FBT003 - as the standard library has it
            try:
                link.sendto("\n".join(lines).encode("utf-8", "replace"), address)
            except OSError:
                return

    def beat(self) -> None:
        """Say that something moves: a wait, a request, bytes. From any thread, as often as one likes."""
        now = self._moved = self._monotonic()
        if self.patience and now >= self._told + self.beat_every:
            self._told = now
            self.tell(WATCHDOG=1)

    @property
    def beat_every(self) -> float:
        """Seconds between two signs of life that the watchdog needs; 0 where there is none."""
        return self.patience / _BEATS

    @property
    def still(self) -> float:
        """Seconds since something moved."""
        return self._monotonic() - self._moved
