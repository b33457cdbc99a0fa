"""Stacks of layers: fetched as an image's are, merged as overlay does it, and applied one by one by a simple model.

Nothing of what is tested is used in the model and in the merging.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

from attrs import field, frozen

from cstore.layer.entry import Entry, Kind
from cstore.model.about import About
from cstore.source.fetch import Fetcher
from cstore.source.image import SourceImage, nothing
from cstore.store import Store
from tests.images import Image, json_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from cstore.layer.tree import Tree
    from cstore.model.manifest import Descriptor


def image_of(tars: Sequence[bytes], compression: str = "none") -> SourceImage:
    """Return an image of these layer tars that lies in memory."""
    made = Image(layers=tuple(tars), compression=compression)
    blobs = {item["digest"]: blob for item, blob in zip(made.manifest["layers"], made.blobs, strict=True)}

    def open_blob(descriptor: Descriptor, _tick: Callable[[], object] = nothing) -> io.BytesIO:
        return io.BytesIO(blobs[str(descriptor.digest)])

    config, manifest = json_of(made.config), json.dumps(made.manifest).encode()
    return SourceImage.read(at="image", names=(), manifest=manifest, index=None, config=config, open_blob=open_blob, close=lambda: None)


def trees(tars: Sequence[bytes]) -> list[Tree]:
    """Return the trees of an image's layers, base first."""
    image = image_of(tars)
    fetcher = Fetcher()
    try:
        fetcher.fetch(image, Store.new("/nonexistent", About()))
        return [fetcher.layers[layer].tree for layer in image.chain]
    finally:
        fetcher.close()


@frozen
class Node:
    """What a path of a tree is, as a container sees it."""

    kind: Kind
    mode: int = 0
    uid: int = 0
    gid: int = 0
    content: bytes = b""
    """A file's content or a symlink's text."""


Nodes = dict[bytes, Node]
"""A tree by its paths."""

TOP = Node(Kind.DIRECTORY, 0o555)
IMPLIED = Node(Kind.DIRECTORY, 0o755)


def nodes(entries: Iterable[tuple[Entry, Iterable[bytes]]]) -> dict[bytes, Node | None]:
    """Return the paths of one layer's tree; those of whiteouts are None."""
    found: dict[bytes, Node | None] = {}
    for entry, content in entries:
        data = b"".join(content)
        assert entry.path not in found, f"{entry.path!r} comes twice"
        assert not entry.path or found[entry.path.rpartition(b"/")[0]], f"{entry.path!r} comes before its directory"
        if entry.kind is Kind.HARDLINK:
            found[entry.path] = found[entry.target]
        elif entry.kind is Kind.CHARACTER and entry.device == (0, 0):
            found[entry.path] = None
        else:
            found[entry.path] = Node(entry.kind, entry.mode, entry.uid, entry.gid, data + entry.target)
    return found


def merged(layers: Sequence[dict[bytes, Node | None]]) -> Nodes:
    """Merge trees, the lowest first, as overlay does: a directory shows the names of those below until something else hides them."""
    visible: Nodes = {}

    def show(path: bytes, stack: Sequence[dict[bytes, Node | None]]) -> None:
        there = [layer for layer in stack if path in layer]
        node = there[0][path] if there else None
        if node is None:
            return
        visible[path] = node
        if node.kind is not Kind.DIRECTORY:
            return
        joined = []
        for layer in there:
            lower = layer[path]
            if lower is None or lower.kind is not Kind.DIRECTORY:
                break
            joined.append(layer)
        for child in sorted({child for layer in joined for child in layer if child and child.rpartition(b"/")[0] == path}):
            show(child, joined)

    show(b"", list(reversed(layers)))
    return visible


@frozen(kw_only=True)
class Content:
    """What a layer says: the members that are something, and the marks."""

    nodes: Nodes = field(factory=dict)
    whiteouts: frozenset[bytes] = frozenset()
    devices: frozenset[bytes] = frozenset()
    """Those of them that are members of the layer, devices 0/0, and no marks."""
    opaque: frozenset[bytes] = frozenset()


def applied(layers: Sequence[Content]) -> Nodes:
    """Apply layers one after another as the OCI image specification tells it: marks hide what was there before their layer."""
    tree: Nodes = {b"": TOP}
    for layer in layers:
        for path in layer.whiteouts:
            _remove(tree, path, itself=True)
        for path in layer.opaque:
            _remove(tree, path, itself=False)
        # A mark inside of what the layer removes altogether is passed over (spec W11).
        kept = {above for path in (*layer.nodes, *layer.devices) for above in _with_above(path)}
        gone = layer.whiteouts - kept
        marked = [path.rpartition(b"/")[0] for path in layer.whiteouts if path]
        marked = [path for path in (*marked, *layer.opaque) if gone.isdisjoint(_with_above(path))]
        for path in [*(path.rpartition(b"/")[0] for path in layer.nodes if path), *marked]:
            _imply(tree, path, layer)
        for path, node in layer.nodes.items():
            if node.kind is not Kind.DIRECTORY:
                _remove(tree, path, itself=True)
            tree[path] = node
    return tree


def _with_above(path: bytes) -> list[bytes]:
    """Return a path and all directories above it, but for the top."""
    parts = path.split(b"/") if path else []
    return [b"/".join(parts[: length + 1]) for length in range(len(parts))]


def _remove(tree: Nodes, path: bytes, *, itself: bool) -> None:
    for other in list(tree):
        if other and ((itself and other == path) or not path or other.startswith(path + b"/")):
            del tree[other]


def _imply(tree: Nodes, path: bytes, layer: Content) -> None:
    if path:
        _imply(tree, path.rpartition(b"/")[0], layer)
        if path not in tree or tree[path].kind is not Kind.DIRECTORY:
            tree[path] = IMPLIED
