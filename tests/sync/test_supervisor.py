from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from attrs import define

from cstore.errors import FormatError
from cstore.sync.supervisor import Supervisor, parse_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@define
class Hands:
    """A clock that stands until it is moved."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture(params=["path", "abstract"])
def socket_of_systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """A socket as systemd has one for notifications, and its address as a service is told it."""
    name = f"{tmp_path}/notify"
    address = name if request.param == "path" else f"@{name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.bind(address.replace("@", "\0", 1))
        link.settimeout(0.2)
        yield address, link


def messages(link: socket.socket) -> list[bytes]:
    found = []
    try:
        while True:
            found.append(link.recv(4096))
    except TimeoutError:
        return found


def test_what_is_told_arrives(socket_of_systemd: tuple[str, socket.socket]) -> None:
    address, link = socket_of_systemd
    supervisor = Supervisor(Hands(), parse_address(address))
    supervisor.tell(READY=1, STATUS="12 images\nWATCHDOG=trigger \ud800")
    supervisor.tell(STOPPING=1)
    supervisor.beat()
    assert messages(link) == [b"READY=1\nSTATUS=12 images WATCHDOG=trigger ?", b"STOPPING=1"]


def test_the_watchdog_is_fed_by_what_moves_and_not_more_often_than_it_needs(socket_of_systemd: tuple[str, socket.socket]) -> None:
    """Spec Y16."""
    address, link = socket_of_systemd
    clock = Hands()
    supervisor = Supervisor(clock, address, 60.0)
    for _ in range(120):
        clock.seconds += 1
        supervisor.beat()
    assert (messages(link), supervisor.beat_every, supervisor.still) == ([b"WATCHDOG=1"] * 8, 15.0, 0.0)
    clock.seconds += 3600
    assert (messages(link), supervisor.still) == ([], 3600.0)


def test_without_a_supervisor_nobody_is_told(tmp_path: Path) -> None:
    for address in ("", f"{tmp_path}/nobody", "@nobody-listens-there"):
        supervisor = Supervisor(Hands(), address, 1.0)
        supervisor.tell(READY=1)
        supervisor.beat()


def test_a_supervisor_that_does_not_read_holds_nothing_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.bind(f"{tmp_path}/notify")
        supervisor = Supervisor(Hands(), f"{tmp_path}/notify")
        for _ in range(2000):
            supervisor.tell(STATUS="x" * 1000)


@pytest.mark.parametrize("address", ["relative", "vsock:2:1234", "@", "/", "/a\0b"])
def test_an_address_of_another_kind_is_refused(address: str) -> None:
    with pytest.raises(FormatError, match=r"^NOTIFY_SOCKET: expected a path or @NAME, found "):
        parse_address(address)
