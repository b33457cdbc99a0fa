"""What three commands of podman take to read stores, in turn: kinds of stores, of one size after the other.

What takes longer than two minutes is given up, and not tried where a smaller store lets it be expected.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from attrs import frozen

from tools.figures import Figure
from tools.measure import Program, best_of, figures_of
from tools.stores import RUNNABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["NAME", "Kind", "not_tried", "readings", "version"]

NAME = "registry.example.org/team-00/image-00000:1"
"""An image that all stores of make_store.py have."""

_COMMANDS: Mapping[str, Sequence[str]] = {
    "podman image exists": ("podman", "image", "exists", NAME),
    "podman images -q": ("podman", "images", "-q"),
    "podman run": ("podman", "run", "--rm", "--pull=never", RUNNABLE, "true"),
}
_LIMIT = 120
_SLOW = 3
"""Seconds; where so many are to be expected, one run is enough."""


@frozen
class Kind:
    """A kind of store that podman reads."""

    env: Mapping[str, str]
    """What tells podman to read it."""
    before: Callable[[], object]
    """What goes before each run."""
    peer: str
    """The kind with which it is compared; empty for none."""


def readings(kinds: Mapping[str, Kind], images: int, runs: int, smaller: Sequence[Figure]) -> list[Figure]:
    """Return what each command takes for each kind of store.

    Args:
        kinds: by name.
        images: of the stores.
        runs: of each command, fewer where it is slow.
        smaller: the figures of smaller stores, ordered by size.
    """
    made: list[Figure] = []
    for title, command in _COMMANDS.items():
        expected = {kind: _expected([figure for figure in smaller if _is_of(figure, title, kind)], images) for kind in kinds}
        programs = {
            kind: Program(command=command, env=it.env, before=it.before, limit=_LIMIT, runs=1 if expected[kind] > _SLOW else runs)
            for kind, it in kinds.items()
            if expected[kind] <= _LIMIT
        }
        took = best_of(programs, runs)
        made += figures_of(took, group=title, x=images, peers={kind: kinds[kind].peer for kind in took})
        made += not_tried({kind: it.peer for kind, it in kinds.items() if kind not in took}, title, images)
    return made


def not_tried(peers: Mapping[str, str], title: str, images: int) -> list[Figure]:
    """Return the figures of kinds of stores that podman would take too long for, given with their peers: they are peers of others."""
    units = ("s", "CPU s")
    return [Figure(group=title, name=kind, unit=unit, x=images, value=None, peer=peer) for kind, peer in peers.items() for unit in units]


def version() -> str:
    """Return podman's version."""
    return subprocess.run(["podman", "--version"], check=True, capture_output=True, text=True).stdout.split()[-1]


def _is_of(figure: Figure, title: str, kind: str) -> bool:
    return (figure.group, figure.name, figure.unit) == (title, kind, "s")


def _expected(smaller: Sequence[Figure], images: int) -> float:
    """Return the least that a store takes by the time of the next smaller one."""
    if not smaller:
        return 0
    return _LIMIT + 1 if smaller[-1].value is None else smaller[-1].value * images / smaller[-1].x
