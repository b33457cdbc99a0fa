"""The option for a grace period."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["grace_option"]

F = TypeVar("F", bound="Callable[..., Any]")

_GRACE = re.compile(r"([0-9]{1,5})([dw])")
_DAYS = {"d": 1, "w": 7}


def grace_option(text: str) -> Callable[[F], F]:
    """Return what gives a verb the option `--grace`, of which `text` says what it means there."""
    return click.option("--grace", callback=_parsed, default="14d", metavar="DAYS", show_default=True, help=text)


def _parsed(_context: click.Context, _option: click.Parameter, value: str) -> dt.timedelta:
    match = _GRACE.fullmatch(value)
    if match is None:
        raise click.BadParameter(f'expected a number of days or weeks such as 14d or 2w, found "{value}"')
    return dt.timedelta(days=int(match[1]) * _DAYS[match[2]])
