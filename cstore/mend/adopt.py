"""From the images of the present converter's store to the delta that takes them over into one of cstore's. Nothing is written here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve, frozen

from cstore.delta import Delta, PutSymlink, PutTree, Step, file_of, index_step
from cstore.errors import StoreError
from cstore.index.gojson import encode, rewrite
from cstore.index.index import Index
from cstore.mend.listed import LeftImage, ListedImage, settled
from cstore.model.big_data import big_data_of
from cstore.model.digest import Digest, found
from cstore.model.image import ImageRecord
from cstore.model.layer import COMPRESSIONS, LayerRecord
from cstore.model.layout import BIG_LAYER, CATALOG, Form
from cstore.model.timestamp import Timestamp
from cstore.showing import Changed
from cstore.steps import about_steps, beside_diff, layers_below
from cstore.views import following, refuse_view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cstore.mend.converter import Converter, FoundImage, FoundLayer
    from cstore.mend.laid import Measures
    from cstore.model.chain import LayerID
    from cstore.model.platform import Platform
    from cstore.store import Ground, Store

__all__ = ["Findings", "find", "plan_adopt"]


@frozen(kw_only=True)
class Findings:
    """The images of the present converter's store, as they concern one store of cstore's."""

    images: tuple[FoundImage, ...]
    """Those to be adopted."""
    renamed: tuple[ListedImage, ...]
    """Those that the store has, but not with all of these names."""
    there: tuple[ListedImage, ...]
    """Those that the store has with all their names."""
    passed_over: tuple[LeftImage, ...]
    """Those whose names all belong to other images, newer ones of that store or any of this one."""
    left: tuple[LeftImage, ...]
    """Those that cannot be adopted."""


def find(store: Store, converter: Converter, platform: Platform) -> Findings:
    """Find out what can be adopted.

    No name is taken from an image that the store has. Of several images that claim one name only that one counts which `settled`
    chooses, whether or not it can be adopted: nobody gets an older image than its name says.

    Args:
        store: the store that is to have the images.
        converter: reads those that there are.
        platform: of the image that gets a name which images for several platforms claim.

    Raises:
        StoreError: there is no store of the present converter's.
        FormatError: its images.json is damaged.
    """
    listed, left = converter.images()
    images: list[FoundImage] = []
    renamed: list[ListedImage] = []
    there: list[ListedImage] = []
    passed: list[LeftImage] = []
    before = {image.id: image for image in listed}
    for image in settled(listed, lambda image: (runs := converter.platform(image)) is None or platform.runs(runs)):
        free = tuple(name for name in image.names if (held := store.holder(str(name))) is None or held.id == image.id)
        wanted = evolve(image, names=free)
        is_there = store.images.raw(image.id) is not None
        if not before[image.id].names and not is_there:
            left.append(_left(image, f"expected a name with a tag, found {found(image.said[0] if image.said else None)}"))
        elif not free and not is_there:
            passed.append(_left(image, "expected a name of its own, found that they all belong to other images"))
        elif is_there:
            (there if all(store.holder(str(name)) for name in free) else renamed).append(wanted)
        else:
            try:
                images.append(converter.read(wanted))
            except StoreError as error:
                left.append(_left(image, str(error)))
    return Findings(images=tuple(images), renamed=tuple(renamed), there=tuple(there), passed_over=tuple(passed), left=tuple(left))


def plan_adopt(store: Store, findings: Findings, measure: Callable[[FoundLayer], Measures], *, copies: bool) -> Delta:
    """Return the delta after which the store has the images that were found; an empty one if it has them already, or there are none.

    A layer's `diff` is an absolute symlink to its tree where that lies, or a copy of it. It is a copy in any case where the same
    diff is below it already. Images and layers of the store stay as they are; a layer that was retired no longer is.

    Args:
        store: what is there.
        findings: what `find` found for this store.
        measure: tells what a publisher must know of a tree that is copied.
        copies: whether trees are copied.

    Raises:
        FormatError: a record that must be read is malformed.
        ContentError: a tree that is to be copied cannot be read.
        StoreError: the store is a view, or one of its views is damaged.
    """
    refuse_view(store)
    if store.is_new and not findings.images:
        return Delta()
    wanted = {layer.id: layer for image in findings.images for layer in image.layers}
    new = [layer for layer in wanted.values() if store.layers.raw(layer.id) is None]
    plan = _Plan(store, store.ground({layer.id: layer.parent for layer in new}), {layer.id: layer for layer in new})
    measures = {layer.id: measure(layer) for layer in new if copies or layer.repeats}
    return Delta(tuple(plan.steps(findings, measures)))


@frozen
class _Plan:
    """The making of one delta."""

    store: Store
    ground: Ground
    new: Mapping[LayerID, FoundLayer]

    def steps(self, findings: Findings, measures: Mapping[LayerID, Measures]) -> Iterator[Step]:
        """Yield the steps in the order that keeps a store valid after each of them (spec P1)."""
        store, layout = self.store, self.store.layout
        new_layers = {layer.id: encode(_layer_record(layer, measures.get(layer.id)).to_dict()) for layer in self.new.values()}
        new_images: dict[str, bytes] = {image.listed.id: encode(_record(image).to_dict()) for image in findings.images}
        renamed = dict(self._renamed(findings.renamed))
        layers = store.layers.edited({}, [*new_layers.values()])
        images = store.images.edited(renamed, [*new_images.values()])
        if store.is_new:
            yield index_step(Index.empty("layers"))
            yield index_step(Index.empty("images"))
        yield from self._about_steps(findings)
        if store.is_new or self.new:
            yield from (file_of(catalog, b"") for catalog in layout.catalogs(self.new) if catalog not in self.ground.catalogs)
        for layer in self.new.values():
            yield from self._tree_steps(layer, measures.get(layer.id))
        yield from (PutSymlink(path=layout.link(self.ground.links[layer]), target=layout.link_target(layer)) for layer in self.new)
        if layers is not store.layers or store.layers.is_stale:
            yield index_step(layers)
        for image in findings.images:
            yield from (file_of(layout.big_data(image.listed.id, key), data) for key, data in _big_data(image).items())
        if images is not store.images or store.images.is_stale:
            yield index_step(images)
        yield from following(store, Changed(images={**renamed, **new_images}, layers=new_layers, links=self.ground.links))

    def _about_steps(self, findings: Findings) -> Iterator[Step]:
        used = {layer.id for image in findings.images for layer in image.layers}
        retired = {layer: day for layer, day in self.store.about.retired.items() if layer not in used}
        return about_steps(self.store, self.store.about.with_retired(retired))

    def _renamed(self, images: Sequence[ListedImage]) -> Iterator[tuple[str, bytes]]:
        """Yield the records of images that get further names."""
        for image in images:
            before = self.store.image(image.id)
            after = evolve(before, names=tuple(dict.fromkeys((*map(str, image.names), *before.names))))
            raw = self.store.images.raw(image.id) or b""
            yield image.id, rewrite(raw, before.to_dict(), after.to_dict(), self.store.images.place(image.id))

    def _tree_steps(self, layer: FoundLayer, measures: Measures | None) -> Iterator[Step]:
        layout = self.store.layout
        below = layers_below(self.store, layer.parent, {new.id: new.parent for new in self.new.values()})
        files = beside_diff(self.ground, layer.id, below)
        if measures and layout.form is Form.SHARDED and measures.entries >= BIG_LAYER:
            files[CATALOG] = b""
        yield PutTree(
            path=layout.tree(layer.id),
            tree=evolve(layer.tree, whiteouts=measures.whiteouts) if measures else layer.tree,
            files=files,
            directories=() if below else ("empty",),
            entries=measures.entries if measures else 1,
            size=measures.size if measures else 0,
            special=measures.special if measures else 0,
            xattrs=measures.xattrs if measures else 0,
            longest_xattr=measures.longest_xattr if measures else 0,
            leads_to="" if measures else layer.leads_to,
        )
        target = layout.layer_target(layer.id)
        if target is not None:
            yield PutSymlink(path=layout.layer(layer.id), target=target)


def _left(image: ListedImage, reason: str) -> LeftImage:
    return LeftImage(subject=image.id, names=image.said, reason=reason)


def _big_data(image: FoundImage) -> dict[str, bytes]:
    """Return the items of an image's big data; a manifest that is not the registry's is there without a digest in its name."""
    if image.is_rewritten:
        return {str(image.config_digest): image.config_bytes, "manifest": image.manifest}
    return big_data_of(image.config_digest, image.config_bytes, image.manifest, None)


def _record(image: FoundImage) -> ImageRecord:
    items = _big_data(image)
    return ImageRecord(
        id=image.listed.id,
        digest=None if image.is_rewritten else Digest.of(image.manifest),
        names=tuple(map(str, image.listed.names)),
        layer=image.layers[-1].id if image.layers else None,
        big_data_names=tuple(items),
        big_data_sizes={key: len(data) for key, data in items.items()},
        big_data_digests={key: Digest.of(data) for key, data in items.items()},
        created=image.config.created,
    )


def _layer_record(layer: FoundLayer, measures: Measures | None) -> LayerRecord:
    return LayerRecord(
        id=layer.id,
        parent=layer.parent,
        created=Timestamp(layer.created),
        compressed_diff_digest=layer.descriptor.digest,
        compressed_size=layer.descriptor.size,
        diff_digest=layer.diff_id,
        diff_size=layer.diff_size,
        compression=COMPRESSIONS["gzip"],
        uidset=measures.uids if measures else (),
        gidset=measures.gids if measures else (),
    )
