"""What readers see of a hub, and what is wrong with that while a round changes it, or after something broke it off."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from attrs import frozen

from cstore.verification.problem import Reach
from cstore.verification.store import verify
from tests.publish.soundness import INDEXES, is_visible, names, problems, unfinished
from tests.publish.stores import listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_DAY = re.compile(rb"\d{4}-\d\d-\d\d")
_LOCK = re.compile(r"/(images|layers)\.lock$")


@frozen
class Seen:
    """A hub, as its readers see it."""

    stores: dict[str, dict[str, str]]
    """The ID of the image behind each name, by store."""
    names: dict[str, str]
    """To which flat tree each public name leads."""
    flats: dict[str, dict[str, tuple[Any, ...]]]
    """What is in each flat tree."""
    documents: dict[str, bytes]
    """The manifest, and the image index, of each name."""
    layers: dict[str, bool]
    """Whether the path of each layer leads to a directory."""

    @classmethod
    def of(cls, root: Path) -> Seen:
        """Read a hub with nothing of cstore's."""
        trees = [*root.glob(".flat/*/*")]
        links = [place for top in root.iterdir() if _is_public(top.name) for place in _found(top) if place.is_symlink()]
        links += [place for place in _found(root / ".multiarch") if place.is_symlink()] if (root / ".multiarch").exists() else []
        return cls(
            stores={store.name: names(store) for store in _stores(root)},
            names={str(link.relative_to(root)): link.resolve().name for link in links},
            flats={tree.name: _timed(tree) for tree in trees if re.fullmatch("[0-9a-f]{64}", tree.name)},
            documents={str(place.relative_to(root)): place.read_bytes() for place in root.glob(".metadata/**/*:*/*.json")},
            layers={str(link.relative_to(root)): link.is_dir() for link in root.glob(".layers/*/*/layerfs")},
        )


def content(root: Path) -> dict[str, Any]:
    """Return all that is in a hub, to compare; without what is told there of the round, and with all days the same.

    An index is a set of records here: whether images came in one round or in two shows in their order, and in nothing else.
    """
    found: dict[str, Any] = dict(listing(root))
    for path in [path for path in found if path in ("", "status.json") or _LOCK.search(f"/{path}")]:
        del found[path]
    for path, entry in found.items():
        if path.endswith("cstore.json"):
            found[path] = (*entry[:3], _DAY.sub(b"DAY", entry[3]), *entry[4:])
        if path.endswith(INDEXES):
            found[path] = (*entry[:3], sorted(json.dumps(record, sort_keys=True) for record in json.loads(entry[3])), *entry[4:])
    return found


def broken(root: Path, expected: Sequence[Seen]) -> list[str]:
    """Return what is wrong with a hub for its readers; everything that it names must be whole, and as one of the expected hubs has it."""
    seen = Seen.of(root)
    found = [*_unsound_stores(root)]
    for what in ("names", "documents", "layers"):
        there = getattr(seen, what)
        paths = sorted({path for hub in expected for path in getattr(hub, what)} | {*there})
        odd = [path for path in paths if there.get(path) not in [getattr(hub, what).get(path) for hub in expected]]
        found += [f"{path} is as no round leaves it" for path in odd]
    for store in sorted({store for hub in expected for store in hub.stores}):
        has, wanted = seen.stores.get(store, {}), [hub.stores.get(store, {}) for hub in expected]
        names = sorted({name for held in wanted for name in held} | {*has})
        found += [f"{store}: {name} is as no round leaves it" for name in names if has.get(name) not in [held.get(name) for held in wanted]]
    known = {image: tree for hub in expected for image, tree in hub.flats.items()}
    for name, image in seen.names.items():
        if image not in seen.flats or seen.flats[image] != known.get(image):
            found.append(f"{name} leads to no whole tree")
    return found


def left_over(root: Path) -> list[str]:
    """Return what is left of a round that did not end, once the next one has."""
    found = [
        f"{store.name}: {problem}" for store in _stores(root) for problem in unfinished(store) if problem != "./.cvmfscatalog is left over"
    ]
    return [*found, *(str(place.relative_to(root)) for place in _found(root) if place.name.startswith((".cstore-aside", ".cstore-work")))]


def _unsound_stores(root: Path) -> Iterator[str]:
    for store in _stores(root):
        if is_visible(store):
            yield from (f"{store.name}: {problem}" for problem in problems(store))
            yield from (f"{store.name}: {found}" for found in verify(store) if found.reach in (Reach.STORE, Reach.IMAGE))


def _stores(root: Path) -> list[Path]:
    return sorted(root.glob("podmanStore*"))


def _is_public(name: str) -> bool:
    return not name.startswith((".", "podmanStore"))


def _found(top: Path) -> Iterator[Path]:
    """Yield all that is below a directory, but for what is in trees of layers and images."""
    for place in top.iterdir() if top.is_dir() else ():
        yield place
        if place.is_dir() and not place.is_symlink() and place.name not in (".flat", "diff"):
            yield from _found(place)


def _timed(tree: Path) -> dict[str, tuple[Any, ...]]:
    """Return all that is in a tree, with its times."""
    return {path: (*entry, (tree / path).lstat().st_mtime_ns) for path, entry in listing(tree).items()}
