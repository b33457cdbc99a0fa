"""Where LOCATION is: what the command line and the environment say of it."""

from __future__ import annotations

import math
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from attrs import asdict, frozen

from cstore.location import SCHEME
from cstore.progress import Progress, silent
from cstore.publish.find import find_place

if TYPE_CHECKING:
    from collections.abc import Callable

    from cstore.publish.hub import Hub
    from cstore.publish.place import Place
    from cstore.publish.repository import Site

__all__ = ["Revision", "hub_at", "place_at", "revision_options"]

F = TypeVar("F", bound="Callable[..., Any]")

_VARIABLES = {
    "spool": "CSTORE_CVMFS_SPOOL",
    "mount": "CSTORE_CVMFS_MOUNT",
    "settings": "CSTORE_CVMFS_SETTINGS",
    "locks": "CSTORE_CVMFS_LOCKS",
}
_COMMAND = "CSTORE_CVMFS_SERVER"


@frozen(kw_only=True)
class Revision:
    """What a verb was asked about the revision that it publishes."""

    wait: float = 0.0
    tag: str = ""
    message: str = ""
    keeps_xattrs: bool = False
    skips_reserved: bool = False


def place_at(location: str, progress: Progress = silent, revision: Revision | None = None) -> Place:
    """Return the place that LOCATION means; the environment can move what is CernVM-FS's.

    Raises:
        UsageError: options for a revision, where there are none, or a message without a name; the environment names no program.
        StoreError: this machine publishes no such repository, or the location has another scheme.
    """
    if location.startswith(SCHEME):
        return _place_in_repository(location, progress, revision or Revision())
    place = find_place(location, progress)
    if revision not in (None, Revision()):
        raise click.UsageError("--wait, --tag, --message, --xattrs and --skip-reserved are for a LOCATION in CernVM-FS")
    return place


def hub_at(location: str, progress: Progress = silent, revision: Revision | None = None) -> Hub:
    """Return the hub that ROOT means; the environment can move what is CernVM-FS's.

    Raises:
        UsageError: options for a revision, where there are none, or a message without a name; the environment names no program.
        StoreError: this machine publishes no such repository, there is no such directory, or the location has another scheme.
    """
    from cstore.publish.hub import CvmfsHub, find_hub  # noqa: PLC0415 - of few verbs

    if location.startswith(SCHEME):
        from cstore.publish.cvmfs import CvmfsPlace, parse_hub_location  # noqa: PLC0415

        repository, path = parse_hub_location(location, _site())
        return CvmfsHub(CvmfsPlace(repository=repository, path=path, progress=progress, **_asked(revision or Revision())))
    if revision not in (None, Revision()):
        raise click.UsageError("--wait, --tag, --message and --skip-reserved are for a ROOT in CernVM-FS")
    return find_hub(location, progress)


def _place_in_repository(location: str, progress: Progress, revision: Revision) -> Place:
    # A plain directory needs nothing of all that, which takes its time.
    from cstore.publish.cvmfs import CvmfsPlace, parse_location  # noqa: PLC0415

    repository, path = parse_location(location, _site())
    return CvmfsPlace(repository=repository, path=path, progress=progress, **_asked(revision))


def _site() -> Site:
    from cstore.publish.repository import Site  # noqa: PLC0415 - as above

    moved: dict[str, Any] = {name: Path(os.environ[variable]) for name, variable in _VARIABLES.items() if variable in os.environ}
    if _COMMAND in os.environ:
        moved["command"] = _program(os.environ[_COMMAND])
    return Site(**moved)


def _asked(revision: Revision) -> dict[str, Any]:
    if revision.message and not revision.tag:
        raise click.UsageError("--message tells what a named revision is, so it takes --tag")
    return asdict(revision)


def _program(text: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(text))
    except ValueError:
        words = ()
    if not words:
        raise click.UsageError(f"{_COMMAND}: expected a program with its arguments, as a shell takes them, found {text!r}")
    return words


def _seconds(_context: click.Context, _option: click.Parameter, value: float) -> float:
    if math.isnan(value):
        raise click.BadParameter("expected a number of seconds, found nan")
    return value


def revision_options(verb: F) -> F:
    """Give a verb the options for the revision that it publishes; it takes them as `wait`, `tag` and `message`."""
    options = (
        click.option(
            "--wait",
            type=click.FloatRange(min=0),
            callback=_seconds,
            default=0.0,
            metavar="SECONDS",
            help="Wait for a transaction that is open.",
        ),
        click.option("--tag", "revision_tag", default="", metavar="NAME", help="Name the new revision."),
        click.option("--message", default="", metavar="TEXT", help="Tell what the named revision is."),
    )
    for option in options:
        verb = option(verb)
    return verb
