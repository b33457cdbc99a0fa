"""What a check looks at: the store's directories, its records, and how they hang together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, field

from cstore.model.layout import Form

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from pathlib import Path

    from cstore.files import Directory
    from cstore.model.about import About
    from cstore.verification.records import Image, Layer

__all__ = ["Access", "Survey"]

_EXAMPLES = 3


@define
class Access:
    """Collects what others cannot read, to be told in one problem: it is the same mistake everywhere."""

    closed: list[str] = field(factory=list)
    """The first of them."""
    count: int = 0

    def see(self, directory: Directory, name: str = "", status: os.stat_result | None = None) -> None:
        """Look at a file in a directory, or at the directory itself, of which something may be known already."""
        if not directory.is_open_to_all(name, status):
            self.count += 1
            if len(self.closed) < _EXAMPLES:
                self.closed.append(directory.place(name) if name else directory.path or ".")


@define(kw_only=True)
class Survey:
    """A store that is being checked."""

    top: Directory
    """The store's own directory."""
    root: Path
    readers_root: str
    """The absolute path by which readers mount it."""
    about: About | None
    """None where there is no cstore.json, or a damaged one."""
    images: dict[str, Image]
    """By ID; of two records of one ID the last, as podman has it."""
    layers: dict[str, Layer]
    access: Access = field(factory=Access)
    links: dict[str, str] = field(factory=dict)
    """The link of each layer that has one that can be used."""
    _chains: dict[str, int | None] = field(factory=dict)
    """How many layers are below each; None where its chain is broken."""
    _in_loops: set[str] = field(factory=set, init=False)

    @property
    def form(self) -> Form:
        """The form that the store says it has; without a word of it, direct."""
        return self.about.form if self.about else Form.DIRECT

    def depth(self, layer: str) -> int | None:
        """Return how many layers are below one; None where the chain is broken."""
        if layer not in self._chains:
            self._follow(layer)
        return self._chains.get(layer)

    def below(self, layer: str) -> tuple[str, ...] | None:
        """Return the layers below one, the nearest first; None where the chain is broken.

        They are not kept: all those of a long chain would be many times the store.
        """
        if self.depth(layer) is None:
            return None
        below: list[str] = []
        step = self.layers[layer].parent
        while step:
            below.append(step)
            step = self.layers[step].parent
        return tuple(below)

    def is_in_loop(self, layer: str) -> bool:
        """Whether a layer is below itself."""
        self.depth(layer)
        return layer in self._in_loops

    def _follow(self, layer: str) -> None:
        path: dict[str, None] = {}
        while layer and layer not in self._chains:
            if layer in path or layer not in self.layers:
                ids = [*path]
                self._in_loops.update(ids[ids.index(layer) :] if layer in path else ())
                self._chains.update({layer: None, **dict.fromkeys(ids)})
                return
            path[layer] = None
            layer = self.layers[layer].parent
        depth = self._chains[layer] if layer else -1
        for upper in reversed(path):
            depth = None if depth is None else depth + 1
            self._chains[upper] = depth

    def length(self, image: Image) -> int | None:
        """Return how many layers an image has; None where the chain is broken."""
        if not image.layer:
            return 0
        depth = self.depth(image.layer)
        return None if depth is None else depth + 1

    def chain(self, image: Image) -> list[str] | None:
        """Return the layers of an image, base first; None where the chain is broken."""
        if not image.layer:
            return []
        below = self.below(image.layer)
        return None if below is None else [*reversed(below), image.layer]

    def used(self) -> set[str]:
        """Return the layers that some image needs."""
        used: set[str] = set()
        for image in self.images.values():
            for layer in self._tops(image):
                step = layer
                while step in self.layers and step not in used:
                    used.add(step)
                    step = self.layers[step].parent
        return used

    def _tops(self, image: Image) -> Iterator[str]:
        yield image.layer
        yield from (layer for layer in image.members.get("mapped-layers") or () if layer)
