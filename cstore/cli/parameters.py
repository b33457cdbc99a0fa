"""Values of options that several verbs take, read so that wrong ones are wrong usage."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

from cstore.errors import FormatError
from cstore.model.offer import Offer, parse_offers
from cstore.model.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])
    T = TypeVar("T")

__all__ = ["USUAL_PLATFORM", "forms", "forms_option", "gigabytes", "platform", "platform_option", "root"]

_ALL_FORMS = ",".join(offer.value for offer in Offer)
USUAL_PLATFORM = "linux/amd64"


def forms(_context: click.Context, _option: click.Parameter, value: str) -> frozenset[Offer]:
    """Read forms parted by commas."""
    return _read(value, parse_offers)


def platform(_context: click.Context, _option: click.Parameter, value: str | None) -> Platform | None:
    """Read `OS/ARCH[/VARIANT]`; None where it is not given."""
    return None if value is None else _read(value, Platform.parse)


def forms_option(text: str) -> Callable[[F], F]:
    """Return what gives a verb the option `--forms`, of which `text` says what it means there."""
    return click.option("--forms", callback=forms, default=_ALL_FORMS, show_default=True, metavar="FORM,...", help=text)


def platform_option(text: str) -> Callable[[F], F]:
    """The same for `--platform`."""
    return click.option("--platform", callback=platform, default=USUAL_PLATFORM, show_default=True, metavar="OS/ARCH[/VARIANT]", help=text)


def root(_context: click.Context, _option: click.Parameter, value: str | None) -> str:
    """Read where to publish; empty where it is not given, and never where it is: a variable of a shell may be unset."""
    if value == "":
        raise click.BadParameter('expected a directory or cvmfs://REPOSITORY[/SUBDIRECTORY], found ""')
    return value or ""


def gigabytes(_context: click.Context, _option: click.Parameter, value: float) -> float:
    """Read a size, which may be without end."""
    if math.isnan(value):
        raise click.BadParameter("expected a number of GB, found nan")
    return value


def _read(value: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(value)
    except FormatError as error:
        raise click.BadParameter(error.said) from None
