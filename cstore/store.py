"""A store as it is at one moment: its indexes and what else must be known to change it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, TYPE_CHECKING

from attrs import evolve, field, frozen

from cstore.errors import FormatError, NotFoundError
from cstore.files import UnreadableError
from cstore.index.gojson import decode
from cstore.index.index import Index
from cstore.location import marks_of, place_of, read_files
from cstore.model.about import About
from cstore.model.image import ImageRecord
from cstore.model.layer import LayerRecord
from cstore.model.layout import ABOUT, Layout, Link, link_candidates, parse_link
from cstore.model.lineage import Lineage
from cstore.model.reference import Reference
from cstore.origin import room

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from cstore.model.chain import ImageID, LayerID

__all__ = ["Ground", "Store"]

_SHORTEST_ID = 6
_LARGEST_LINK = 4096


@frozen
class Ground:
    """What must be known of a store's files to add layers to it."""

    new: frozenset[LayerID]
    """The layers to add."""
    links: Mapping[LayerID, Link]
    """Of the new layers, and of all below them."""
    catalogs: frozenset[str]
    """The catalog markers that are there, of those that the store needs with the new layers."""
    lost: frozenset[str] = frozenset()
    """Paths of big data that records list and that are not there."""


@frozen(kw_only=True)
class Store:
    """One reading of a store. It stays as it was read, whatever happens to the files afterwards."""

    root: Path
    images: Index
    layers: Index
    about: About
    has_about: bool
    """Whether the store has a file cstore.json: one without is of the direct form."""
    is_new: bool = False
    """Whether there is no store yet."""
    _marks: tuple[object, ...] = field(default=(), repr=False, eq=False)
    _links: dict[LayerID, Link] = field(factory=dict, repr=False, eq=False)

    @classmethod
    def open(cls, root: Path | str) -> Store:
        """Read a store.

        Podman's locks are held for reading meanwhile, so that the two indexes belong together.

        Args:
            root: its directory.

        Raises:
            StoreError: there is no store, or it cannot be read.
            FormatError: an index or cstore.json is damaged.
        """
        root = place_of(root)
        files = read_files(root)
        return cls(
            root=root,
            images=Index.read("images", files.images, files.images_lock),
            layers=Index.read("layers", files.layers, files.layers_lock),
            about=About() if files.about is None else About.from_dict(decode(files.about, ABOUT)),
            has_about=files.about is not None,
            marks=files.marks,
        )

    @classmethod
    def new(cls, root: Path | str, about: About) -> Store:
        """Return the reading of a store that is still to be made."""
        return cls(
            root=Path(root),
            images=Index.empty("images"),
            layers=Index.empty("layers"),
            about=about,
            has_about=False,
            is_new=True,
        )

    def is_current(self) -> bool:
        """Whether the small files of the store are still those that were read, as far as a file system with exact times tells."""
        return bool(self._marks) and marks_of(self.root) == self._marks

    def looked_at_anew(self) -> Store:
        """Return the same reading without what was looked up of links: those change without the small files, when a store is repaired."""
        return evolve(self, links={})

    @property
    def layout(self) -> Layout:
        """Where everything lies in it."""
        return self.about.layout

    def all_images(self) -> Iterator[ImageRecord]:
        """Yield the record of each image.

        Raises:
            FormatError: a record is malformed.
        """
        return (ImageRecord.from_dict(value, at) for at, value in self.images.all())

    def all_layers(self) -> Iterator[LayerRecord]:
        """Yield the record of each layer.

        Raises:
            FormatError: a record is malformed.
        """
        return (LayerRecord.from_dict(value, at) for at, value in self.layers.all())

    def lineage(self) -> Lineage:
        """Return which layer is below which.

        Raises:
            FormatError: a record is malformed.
        """
        return Lineage.of(self.layers.all())

    def image(self, wanted: str) -> ImageRecord:
        """Return the image with this name, `NAME@DIGEST`, ID, or beginning of an ID of at least 6 digits.

        Raises:
            NotFoundError: there is none, or several whose ID begins so.
            FormatError: its record is malformed.
        """
        if (value := self.images.get(wanted)) is not None:
            return ImageRecord.from_dict(value, self.images.place(wanted))
        named = self.named(wanted)
        if named is not None:
            return named
        if len(wanted) >= _SHORTEST_ID and not set(wanted) - set("0123456789abcdef"):
            found = [image for image in self.all_images() if image.id.startswith(wanted)]
            if len(found) == 1:
                return found[0]
            if found:
                raise NotFoundError(f'{self.root}: expected one image whose ID begins with "{wanted}", found {len(found)}')
        raise NotFoundError(f'{self.root}: expected an image "{wanted}", found none')

    def named(self, name: str) -> ImageRecord | None:
        """Return the image with this name, completed as podman does; `NAME@DIGEST` is one of that repository and digest."""
        try:
            reference = Reference.parse(name)
        except FormatError:
            return None
        held = self.holder(str(reference))
        if held is not None or reference.digest is None:
            return held
        for value in self.images.mentioning(str(reference.digest)):
            image = ImageRecord.from_dict(value, self.images.place(value["id"]))
            if image.is_called(name):
                return image
        return None

    def holder(self, name: str) -> ImageRecord | None:
        """Return the image that has exactly this among its names."""
        for value in self.images.having(name, "names"):
            return ImageRecord.from_dict(value, self.images.place(value["id"]))
        return None

    def layer(self, layer: LayerID) -> LayerRecord | None:
        """Return the record of a layer, None where there is none."""
        value = self.layers.get(layer)
        return None if value is None else LayerRecord.from_dict(value, self.layers.place(layer))

    def chain(self, top: LayerID | None) -> tuple[LayerRecord, ...]:
        """Return a layer and all below it, base first.

        Raises:
            FormatError: a layer has no record, or is its own ancestor.
        """
        chain: dict[LayerID, LayerRecord] = {}
        while top is not None:
            record = self.layer(top)
            if record is None or top in chain:
                raise FormatError(
                    self.layers.place(top),
                    "expected a chain of layers that ends, found a " + ("loop" if record else "layer without record"),
                )
            chain[top] = record
            top = record.parent
        return tuple(reversed(chain.values()))

    def link(self, layer: LayerID) -> Link:
        """Return the link of a layer that the store has.

        Raises:
            FormatError: it has none, or one that no reader could use.
        """
        if layer not in self._links:
            path = self.root / self.layout.layer(layer) / "link"
            with room(self.root, self.layout.layer(layer)) as made:
                try:
                    text = made.read("link", _LARGEST_LINK).decode() if made is not None else None
                except (UnreadableError, UnicodeDecodeError):
                    text = None
            if text is None:
                raise FormatError(str(path), "expected the link of a layer, found none")
            self._links[layer] = parse_link(text, str(path))
        return self._links[layer]

    def lacks(self, layer: LayerID) -> bool:
        """Whether a layer must be added: it has no record, or has lost its tree."""
        return self.layers.raw(layer) is None or not self.has(f"{self.layout.layer(layer)}/diff")

    def ground(self, new: Mapping[LayerID, LayerID | None], images: Iterable[ImageID] = ()) -> Ground:
        """Return what else must be known to add layers and images.

        Args:
            new: each new layer with its parent, parents first.
            images: those that are added; the store may have them.

        Raises:
            FormatError: a layer below has no record or no link.
        """
        links: dict[LayerID, Link] = {}
        for layer, parent in new.items():
            if parent is not None and parent not in links:
                links.update((below.id, self.link(below.id)) for below in self.chain(parent) if below.id not in links)
            links[layer] = self._free_link(layer, links.values())
        catalogs = self.layout.catalogs(new)
        return Ground(frozenset(new), links, frozenset(filter(self.has, catalogs)), frozenset(self._lost(images)))

    def _lost(self, images: Iterable[ImageID]) -> Iterator[str]:
        for image in images:
            value = self.images.get(image)
            if value is not None:
                record = ImageRecord.from_dict(value, self.images.place(image))
                yield from (path for key in record.big_data_names if not self.has(path := self.layout.big_data(image, key)))

    def _free_link(self, layer: LayerID, taken: Collection[Link]) -> Link:
        """Return the link for a new layer: the shortest that no other layer has."""
        for link in link_candidates(layer):
            if link not in taken and self._is_free(link, layer):
                return link
        raise FormatError(str(self.root / "overlay/l"), f"expected a free link for layer {layer}, found all taken or unreadable")

    def tar_split(self, layer: LayerID) -> IO[bytes] | None:
        """Open the tar-split of a layer, None where it has none."""
        above, _, name = self.layout.tar_split(layer).rpartition("/")
        with room(self.root, above) as found:
            try:
                return os.fdopen(found.open(name), "rb") if found is not None else None
            except UnreadableError:
                return None

    def has(self, path: str) -> bool:
        """Whether the store has a file of this name, of its layout."""
        above, _, name = path.rpartition("/")
        with room(self.root, above) as found:
            return found is not None and found.status(name) is not None

    def _is_free(self, link: Link, layer: LayerID) -> bool:
        """Whether nothing has the link, or just this layer: a run that was killed may have left it."""
        above, _, name = self.layout.link(link).rpartition("/")
        with room(self.root, above) as found:
            if found is None:
                return not self.has(above)
            return found.status(name) is None or found.target(name) == self.layout.link_target(layer)
