"""`cstore watch`: follow registries, round after round."""

from __future__ import annotations

import datetime as dt
import os
import re
import signal
import sys
import time
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from attrs import frozen

from cstore.cli import show
from cstore.cli.registry import registry_options
from cstore.cli.site import Revision
from cstore.cli.sync import Asked, hub_options, roots, rounds_of
from cstore.errors import FormatError, StoreError
from cstore.location import SCHEME
from cstore.progress import silent
from cstore.sync.events import EventLog
from cstore.sync.inbox import Inbox
from cstore.sync.supervisor import Supervisor, parse_address
from cstore.sync.watching import Clock, Watch, heeding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import FrameType

    from cstore.model.offer import Offer
    from cstore.model.platform import Platform
    from cstore.progress import Progress
    from cstore.sync.watching import Rounds

__all__ = ["Following", "command", "follow", "interval", "watch_options"]

F = TypeVar("F", bound="Callable[..., Any]")

_INTERVAL = re.compile(r"([0-9]{1,6})([smh])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_SECRET = "CSTORE_NOTIFY_SECRET"  # noqa: S105 - the name of a variable
_LONGEST_SECRET = 4096
_LONGEST_WAIT = 600.0


def interval(_context: click.Context | None, _option: click.Parameter | None, value: str) -> float:
    """Read an interval such as 30s, 10m or 1h, and return its seconds."""
    match = _INTERVAL.fullmatch(value)
    if match is None or not int(match[1]):
        raise click.BadParameter(f'expected a number of seconds, minutes or hours such as 30s, 10m or 1h, found "{value}"')
    return float(int(match[1]) * _SECONDS[match[2]])


@frozen(kw_only=True)
class Following:
    """How a watch was asked to follow."""

    wishlists: Sequence[Path]
    every: float
    events: str = ""
    """A file, `-` for standard output, or nothing."""
    listen: str = ""
    notify_secret_file: str = ""


def watch_options(verb: F) -> F:
    """Give a verb the options of a watch; it takes them as `every`, `events`, `listen` and `notify_secret_file`."""
    options = (
        click.option(
            "--every",
            callback=interval,
            default="10m",
            metavar="INTERVAL",
            show_default=True,
            help="From the start of one round to the next.",
        ),
        click.option("--events", default="", metavar="FILE", help="Append a line of JSON for each event; - for standard output."),
        click.option("--listen", default="", metavar="ADDRESS:PORT", help="Serve a status page, metrics, and /notify for registries."),
        click.option(
            "--notify-secret-file", default="", metavar="FILE", help=f"Holds the secret of notifications; else it is in ${_SECRET}."
        ),
    )
    for option in reversed(options):
        verb = option(verb)
    return verb


@click.command("watch")
@click.argument("wishlists", metavar="WISHLIST...", nargs=-1, required=True, type=click.Path(path_type=Path))
@hub_options
@watch_options
@registry_options
def command(
    wishlists: tuple[Path, ...],
    root: str,
    *,
    forms: frozenset[Offer],
    platform: Platform,
    prune: bool,
    grace: dt.timedelta,
    skip_reserved: bool,
    every: float,
    events: str,
    listen: str,
    notify_secret_file: str,
    cache: Path | None,
    cache_size: float,
) -> None:
    """Publish what the WISHLISTs want and registries have, round after round, each in one revision.

    SIGTERM ends it after the running publish, a second one at once. SIGHUP starts a round, and opens the file of --events anew.
    """
    places = roots(wishlists, root)
    if len(places) > 1:
        raise click.UsageError(f"expected wishlists of one repository, found {', '.join(places)}: each takes a watch of its own")
    # Where somebody else publishes, a round waits its turn, and another one would not come sooner.
    wait = min(every, _LONGEST_WAIT) if next(iter(places)).startswith(SCHEME) else 0.0
    revision = Revision(wait=wait, skips_reserved=skip_reserved)
    asked = Asked(platform=platform, offers=forms, grace=grace, prune=prune, cache=cache, cache_size=cache_size, revision=revision)
    following = Following(wishlists=wishlists, every=every, events=events, listen=listen, notify_secret_file=notify_secret_file)
    (place,) = places
    follow(lambda progress: rounds_of(place, asked, progress, progress), following)


def follow(rounds_of: Callable[[Progress], AbstractContextManager[Rounds]], asked: Following) -> None:
    """Follow registries until SIGTERM or SIGINT.

    Args:
        rounds_of: gives what carries out rounds, which is to tell of its works to the progress that it gets.
        asked: how.

    Raises:
        StoreError: a watch cannot begin: there is nothing to listen at, no file for events, no secret.
    """
    inbox = Inbox()
    supervisor = _supervisor(os.environ)
    log = EventLog(*((None, 1) if asked.events == "-" else (Path(asked.events) if asked.events else None, None)))
    clock = Clock(utc=lambda: dt.datetime.now(tz=dt.UTC), monotonic=time.monotonic)
    # Elsewhere than on a terminal the journal gets a line for each round, and not one for each layer.
    shown = show.progress() if sys.stderr is not None and sys.stderr.isatty() else nullcontext(silent)
    running: list[Rounds] = []

    def is_publishing() -> bool:
        return any(rounds.is_publishing for rounds in running)

    with shown as progress, rounds_of(heeding(progress, inbox, supervisor, is_publishing)) as rounds, _opened(log):
        running.append(rounds)
        watch = Watch(rounds, asked.wishlists, asked.every, inbox, clock, supervisor, log, _say)
        with _served(asked, watch, supervisor, log), _signals(inbox, log, supervisor):
            watch.run()


@contextmanager
def _opened(log: EventLog) -> Iterator[None]:
    log.open()
    try:
        yield
    finally:
        log.close()


def _say(line: str) -> None:
    from cstore.verification.problem import printable  # noqa: PLC0415 - as in the other verbs

    # Nobody who reads it any more is no reason to stop following.
    with suppress(OSError):
        click.echo(printable(line), err=True)


def _supervisor(environment: Mapping[str, str]) -> Supervisor:
    """Return the supervisor that systemd's variables name; a watchdog that is meant for another process is none."""
    patience = environment.get("WATCHDOG_USEC", "")
    mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    seconds = int(patience) / 1e6 if mine and patience.isascii() and patience.isdigit() else 0.0
    return Supervisor(time.monotonic, parse_address(environment.get("NOTIFY_SOCKET", "")), seconds)


@contextmanager
def _served(asked: Following, watch: Watch, supervisor: Supervisor, log: EventLog) -> Iterator[None]:
    if not asked.listen:
        if asked.notify_secret_file:
            raise click.UsageError("--notify-secret-file is for notifications, which take --listen")
        yield
        return
    # A watch that serves nothing needs no server.
    from cstore.sync.serving import Desk, Server, parse_listen  # noqa: PLC0415

    try:
        address = parse_listen(asked.listen)
    except FormatError as error:
        raise click.BadParameter(error.said, param_hint="'--listen'") from None
    desk = Desk(
        status=lambda: watch.status,
        utc=lambda: dt.datetime.now(tz=dt.UTC),
        notify=watch.notify,
        still=lambda: supervisor.still,
        events_lost=lambda: log.lost,
        say=_say,
        secret=_secret(asked.notify_secret_file, os.environ),
    )
    server = Server(address, desk)
    _say(f"status page at {server.url}")
    server.start()
    try:
        yield
    finally:
        server.stop()


def _secret(path: str, environment: Mapping[str, str]) -> bytes | None:
    """Return the secret of notifications, None where there is to be none."""
    if not path and _SECRET not in environment:
        return None
    if path:
        try:
            with Path(path).open("rb") as file:
                secret = file.read(_LONGEST_SECRET + 1).strip()
        except OSError as error:
            raise StoreError(f"{path}: expected a file with a secret, found: {error.strerror}") from None
    else:
        secret = os.fsencode(environment[_SECRET]).strip()
    if not secret or len(secret) > _LONGEST_SECRET or b"\n" in secret:
        raise StoreError(f"{path or _SECRET}: expected a secret of one line, found {len(secret)} bytes")
    return secret


@contextmanager
def _signals(inbox: Inbox, log: EventLog, supervisor: Supervisor) -> Iterator[None]:
    """Heed signals: the first SIGTERM or SIGINT ends after the running publish, the second one at once; SIGHUP starts a round."""

    def end(_number: int, _frame: FrameType | None) -> None:
        if inbox.stopping:
            # What is being written is undone; a third signal does not even wait for that.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            raise KeyboardInterrupt
        inbox.stop()
        supervisor.tell(STOPPING=1, STATUS="ends after the running publish")

    def read_again(_number: int, _frame: FrameType | None) -> None:
        log.reopen()
        inbox.look_at_all()

    heeded = {signal.SIGTERM: end, signal.SIGINT: end, signal.SIGHUP: read_again}
    before = {number: signal.signal(number, handler) for number, handler in heeded.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
