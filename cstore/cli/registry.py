"""Registries as the command line asks them: with the files that the environment names, and a cache."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cstore.cli.parameters import gigabytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from cstore.progress import Progress
    from cstore.registry.registries import Registries

__all__ = ["REGISTRY", "registries", "registry_options"]

F = TypeVar("F", bound="Callable[..., Any]")

REGISTRY = "docker://"
"""How a SOURCE in a registry begins."""
_GB = 1_000_000_000
_USUAL_GB = 20.0
_MOST = float(1 << 62)


def registry_options(verb: F) -> F:
    """Give a verb the options for registries; it takes them as `cache` and `cache_size`."""
    options = (
        click.option(
            "--cache",
            type=click.Path(file_okay=False, path_type=Path),
            metavar="DIR",
            help="Where to keep what registries send; $XDG_CACHE_HOME/cstore or ~/.cache/cstore by default.",
        ),
        click.option(
            "--cache-size",
            type=click.FloatRange(min=0),
            callback=gigabytes,
            default=_USUAL_GB,
            show_default=True,
            metavar="GB",
            help="How large the cache may become; what was used longest ago goes first.",
        ),
    )
    for option in options:
        verb = option(verb)
    return verb


def registries(cache: Path | None, cache_size: float, progress: Progress | None = None) -> Registries:
    """Return the registries of this machine and user, with a cache.

    Args:
        cache: the option `--cache`.
        cache_size: the option `--cache-size`, in GB.
        progress: is told of each download; None tells people by a line, where there is no terminal.

    Raises:
        SourceError: the cache or a file of the configuration cannot be used.
        FormatError: a file of the configuration is malformed.
    """
    # A verb that asks no registry needs none of it, and importing it takes its time.
    from cstore.registry.cache import Cache  # noqa: PLC0415
    from cstore.registry.registries import Registries  # noqa: PLC0415

    return Registries.usual(
        os.environ,
        Path.home(),
        cache=Cache(cache or usual_cache(), int(min(cache_size * _GB, _MOST))),
        progress=progress or _told,
    )


def usual_cache() -> Path:
    """Return where the cache is unless somebody says otherwise."""
    above = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(above) if above.startswith("/") else Path.home() / ".cache") / "cstore"


def _told(work: str, subject: str, total: int) -> Callable[[int], object]:
    """Tell of a download by a line; on a terminal the bars of what is verified meanwhile are all."""
    from cstore.cli import show  # noqa: PLC0415

    if sys.stderr is not None and not sys.stderr.isatty():
        click.echo(f"{work} {subject} ({show.size(total)})", err=True)
    return lambda _size: None
