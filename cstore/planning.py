"""From what a store holds and what is wanted of it to the delta that makes it so. Nothing is written here, and no clock asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve, frozen

from cstore.changes import Add, Change, Drop, Tag
from cstore.errors import FormatError, NotFoundError
from cstore.index.gojson import encode, rewrite
from cstore.leaving import Leaving
from cstore.model.big_data import big_data_of
from cstore.model.digest import Digest
from cstore.model.image import ImageRecord
from cstore.model.reference import Reference
from cstore.steps import Outcome, delta_of
from cstore.views import refuse_view

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from cstore.delta import Delta
    from cstore.model.chain import ImageID, LayerID
    from cstore.source.fetch import FetchedLayer
    from cstore.source.image import SourceImage
    from cstore.store import Ground, Store

__all__ = ["Add", "Change", "Drop", "Tag", "plan"]


def plan(store: Store, changes: Sequence[Change], layers: Mapping[LayerID, FetchedLayer], ground: Ground, today: dt.date) -> Delta:
    """Return the smallest delta after which the changes hold; an empty one if they hold already.

    Names stay unique: one that moves leaves its old image in the same step, and an image that loses its last name goes. Layers
    that no image uses afterwards are retired as of today, not removed.

    Args:
        store: what is there.
        changes: in their order; a later one sees what an earlier one did.
        layers: the layers that the store lacks.
        ground: what `store.ground` tells of these layers.
        today: the day to note for layers that are retired.

    Raises:
        NotFoundError: a change names an image that is not there.
        FormatError: a record that must be read is malformed.
        StoreError: the store is a view, or one of its views is damaged.
    """
    refuse_view(store)
    draft = _Draft(store, ground)
    for change in changes:
        if isinstance(change, Add):
            draft.add(change.image, change.names)
        elif isinstance(change, Tag):
            draft.tag(change.name, change.new_name)
        else:
            draft.drop(change)
    return draft.finish(layers, today)


@frozen
class _Edited:
    """An image's record as it was, None where there was none, and as it is to be."""

    before: ImageRecord | None
    after: ImageRecord

    @property
    def is_gone(self) -> bool:
        """Whether the image lost its last name, or never got one; one that had none before stays."""
        return not self.after.names and (self.before is None or bool(self.before.names))

    @property
    def leaves_chain(self) -> bool:
        """Whether the image stays, and stands on other layers than before; one with layers for mapped users may need both."""
        return self.before is not None and not self.is_gone and self.before.layer != self.after.layer and not self.after.mapped_layers


class _Draft:
    """The images as they are to be, with only those read that the changes touch."""

    def __init__(self, store: Store, ground: Ground) -> None:
        self._store = store
        self._ground = ground
        self._edited: dict[ImageID, _Edited] = {}
        self._holders: dict[str, dict[ImageID, None]] = {}
        """Which of these images have a name: one, in a sound store."""
        self._added: list[SourceImage] = []
        self._big_data: dict[ImageID, dict[str, bytes]] = {}

    def add(self, image: SourceImage, names: Sequence[Reference]) -> None:
        record = self._touched(image.id)
        wanted = big_data_of(image.manifest.config.digest, image.config_bytes, image.manifest_bytes, image.index_bytes)
        if record is None:
            record = ImageRecord(
                id=image.id,
                created=image.config.created,
            )
        record = evolve(record, digest=record.digest or image.digest, layer=image.chain[-1] if image.chain else None)
        missing = {key: data for key, data in wanted.items() if key not in record.big_data_names or self._is_lost(image, key)}
        if missing:
            record = evolve(
                record,
                big_data_names=(*record.big_data_names, *(key for key in missing if key not in record.big_data_names)),
                big_data_sizes={**record.big_data_sizes, **{key: len(data) for key, data in missing.items()}},
                big_data_digests={**record.big_data_digests, **{key: Digest.of(data) for key, data in missing.items()}},
            )
            self._big_data.setdefault(image.id, {}).update(missing)
        self._added.append(image)
        self._put(record)
        for name in names:
            self._name(image.id, name)

    def _is_lost(self, image: SourceImage, key: str) -> bool:
        return self._store.layout.big_data(image.id, key) in self._ground.lost

    def tag(self, name: str, new_name: Reference) -> None:
        record = self._find(name)
        self._touched(record.id)
        self._name(record.id, new_name)

    def drop(self, change: Drop) -> None:
        name = change.name
        try:
            record = self._find(name)
        except NotFoundError:
            if change.may_be_gone:
                return
            raise
        if _normalised(name) not in record.names:
            raise NotFoundError(f'{self._store.root}: expected one of the names of an image, found "{name}", which is its ID or digest')
        self._unname(record, _normalised(name))

    def finish(self, layers: Mapping[LayerID, FetchedLayer], today: dt.date) -> Delta:
        wanted = {layer for image in self._added if not self._edited[image.id].is_gone for layer in image.chain}
        new = [layers[layer] for layer in layers if layer in wanted and layer in self._ground.new]
        gone = [edit.before for edit in self._edited.values() if edit.before and edit.is_gone]
        retired = {layer: day for layer, day in self._store.about.retired.items() if layer not in wanted}
        moved = [edit.before for edit in self._edited.values() if edit.before and edit.leaves_chain]
        leaving = Leaving(self._store, {record.id for record in (*gone, *moved)}, wanted, set(retired))
        for record in (*gone, *moved):
            retired.update(dict.fromkeys(leaving.left_by(record.layer), today))
        changed, added = self._records()
        return delta_of(
            self._store,
            self._ground,
            Outcome(
                layers=new,
                made=self._made(),
                big_data={image: items for image, items in self._big_data.items() if not self._edited[image].is_gone},
                images=self._store.images.edited(changed, [*added.values()]),
                touched={**changed, **added},
                retired=retired,
                removed=[record.id for record in gone],
            ),
            today,
        )

    def _made(self) -> dict[LayerID, str]:
        """Return when each layer of the added images was made, by their histories; the first image that tells counts."""
        made: dict[LayerID, str] = {}
        for image in self._added:
            for layer, time in zip(image.chain, image.config.layer_times, strict=True):
                made.setdefault(layer, (time or image.config.created).text)
        return made

    def _records(self) -> tuple[dict[str, bytes | None], dict[str, bytes]]:
        changed: dict[str, bytes | None] = {}
        added: dict[str, bytes] = {}
        for identity, edit in self._edited.items():
            if edit.before is None:
                added.update({} if edit.is_gone else {identity: encode(edit.after.to_dict())})
            elif edit.is_gone:
                changed[identity] = None
            elif edit.before != edit.after:
                raw = self._store.images.raw(identity) or b""
                changed[identity] = rewrite(raw, edit.before.to_dict(), edit.after.to_dict(), self._store.images.place(identity))
        return changed, added

    def _touched(self, identity: ImageID) -> ImageRecord | None:
        """Return an image as it is to be, and count it among those that the changes touch; None where the store has none."""
        if identity not in self._edited:
            value = self._store.images.get(identity)
            record = None if value is None else ImageRecord.from_dict(value, self._store.images.place(identity))
            if record is None:
                return None
            self._edited[identity] = _Edited(record, record)
            self._hold(record)
        return self._edited[identity].after

    def _put(self, record: ImageRecord) -> None:
        edit = self._edited.get(record.id)
        for name in edit.after.names if edit else ():
            self._holders[name].pop(record.id, None)
        self._edited[record.id] = _Edited(edit.before if edit else None, record)
        self._hold(record)

    def _hold(self, record: ImageRecord) -> None:
        for name in record.names:
            self._holders.setdefault(name, {})[record.id] = None

    def _find(self, wanted: str) -> ImageRecord:
        name = _normalised(wanted)
        holder = self._holder(name) or self._by_id_or_digest(wanted)
        if holder is not None:
            return holder
        found = self._store.image(wanted)
        record = self._touched(found.id) or found
        if name in found.names:
            raise NotFoundError(f'{self._store.root}: expected an image "{wanted}", found that an earlier change took it away')
        return record

    def _by_id_or_digest(self, wanted: str) -> ImageRecord | None:
        """Return the image with this ID, or of this repository and digest, among those that the changes touched so far."""
        for edit in self._edited.values():
            if edit.after.id == wanted or edit.after.is_called(wanted):
                return edit.after
        return None

    def _holder(self, name: str) -> ImageRecord | None:
        """Return the image that has a name, as the changes so far leave it."""
        for identity in self._holders.get(name, ()):
            return self._edited[identity].after
        held = self._store.holder(name)
        return None if held is None or held.id in self._edited else held

    def _name(self, identity: ImageID, reference: Reference) -> None:
        record, name = self._edited[identity].after, str(reference)
        if reference.digest is not None and not record.has_digest(reference.digest):
            raise FormatError("name", f"expected a digest of the image itself, found {reference.digest}")
        holder = self._holder(name)
        if holder is not None and holder.id == identity:
            return
        if holder is not None:
            self._unname(holder, name)
        self._put(evolve(record, names=(name, *record.names)))

    def _unname(self, record: ImageRecord, name: str) -> None:
        self._touched(record.id)
        left = tuple(other for other in record.names if other != name)
        self._put(evolve(record, names=left))


def _normalised(name: str) -> str:
    try:
        return str(Reference.parse(name))
    except FormatError:
        return name
