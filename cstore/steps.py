"""The outcome of planning, put into the order of steps that keeps a store valid after each of them (spec P1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from cstore.delta import Delta, PutFile, PutSymlink, PutTree, Remove, Step, file_of, index_step
from cstore.index.gojson import encode
from cstore.index.index import Index
from cstore.model.layer import COMPRESSIONS, LayerRecord
from cstore.model.layout import ABOUT, BIG_LAYER, CATALOG, Form
from cstore.model.timestamp import Timestamp
from cstore.showing import Changed
from cstore.views import following

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from cstore.model.about import About
    from cstore.model.chain import ImageID, LayerID
    from cstore.source.fetch import FetchedLayer
    from cstore.store import Ground, Store

__all__ = ["Outcome", "about_steps", "beside_diff", "delta_of", "layers_below", "pruning", "removing", "tree_step"]


@frozen(kw_only=True)
class Outcome:
    """What a store is to hold that it does not, and the other way round."""

    layers: Sequence[FetchedLayer]
    """New layers, parents first."""
    made: Mapping[LayerID, str]
    """When each of them was made."""
    big_data: Mapping[ImageID, Mapping[str, bytes]]
    """New items, by image and key."""
    images: Index
    """All images."""
    touched: Mapping[str, bytes | None] = field(factory=dict)
    """The records of those that are new or changed, by ID; None for those that go."""
    retired: Mapping[LayerID, dt.date]
    """All retired layers."""
    removed: Sequence[ImageID]
    """Images that are no longer among them."""


def delta_of(store: Store, ground: Ground, outcome: Outcome, today: dt.date) -> Delta:
    """Return the steps that turn a store into what it is to hold.

    Layer trees come first, then links, tar-splits, layers.json, big data and images.json, then the views; removals last.

    Args:
        store: what is there.
        ground: what must be known to add the layers.
        outcome: what is to be there.
        today: the day to note for layers that a view does not need any more.

    Raises:
        StoreError: a view is damaged.
    """
    layout = store.layout
    unrecorded = [layer for layer in outcome.layers if store.layers.raw(layer.id) is None]
    records = {layer.id: encode(_record(layer, outcome.made[layer.id]).to_dict()) for layer in unrecorded}
    layers = store.layers.edited({}, [*records.values()])
    steps: list[Step] = []
    if store.is_new:
        steps += [index_step(Index.empty("layers")), index_step(Index.empty("images"))]
    steps += about_steps(store, store.about.with_retired(outcome.retired))
    if store.is_new or outcome.layers:
        catalogs = layout.catalogs(layer.id for layer in outcome.layers)
        steps += [file_of(catalog, b"") for catalog in catalogs if catalog not in ground.catalogs]
    parents = {layer.id: layer.parent for layer in outcome.layers}
    for layer in outcome.layers:
        steps += _tree_steps(store, ground, layer, parents)
    steps += [PutSymlink(path=layout.link(ground.links[layer.id]), target=layout.link_target(layer.id)) for layer in outcome.layers]
    steps += [_tar_split_step(layout.tar_split(layer.id), layer) for layer in outcome.layers]
    if layers is not store.layers or store.layers.is_stale:
        steps.append(index_step(layers))
    for image, items in outcome.big_data.items():
        steps += [file_of(layout.big_data(image, key), data) for key, data in items.items()]
    if outcome.images is not store.images or store.images.is_stale:
        steps.append(index_step(outcome.images))
    steps += following(store, Changed(images=outcome.touched, layers=records, links=ground.links), today)
    steps += [Remove(path=layout.image(image)) for image in outcome.removed]
    return Delta(tuple(steps))


def pruning(store: Store, doomed: Sequence[LayerID], left: Collection[LayerID], retired: Mapping[LayerID, dt.date]) -> Delta:
    """Return the steps that remove layers: cstore.json says which are still retired, and then as `removing` does.

    Args:
        store: what is there; its views are left alone.
        doomed: layers that no image and no other layer needs, children first.
        left: all other layers.
        retired: all layers that are retired afterwards.
    """
    return Delta((*about_steps(store, store.about.with_retired(retired)), *removing(store, doomed, left)))


def removing(store: Store, doomed: Sequence[LayerID], left: Collection[LayerID]) -> Iterator[Step]:
    """Yield the steps that remove layers: their records first, then tar-splits, links and trees.

    Args:
        store: what is there.
        doomed: layers that no image and no other layer needs, children first.
        left: all other layers.
    """
    layout = store.layout
    if doomed:
        yield index_step(store.layers.edited(dict.fromkeys(doomed)))
        yield from (Remove(path=layout.tar_split(layer)) for layer in doomed)
        yield from (Remove(path=layout.link(store.link(layer))) for layer in doomed)
        yield from (Remove(path=layout.layer(layer)) for layer in doomed)
        if layout.form is Form.SHARDED:
            # A shard of which nothing is left goes as a whole, with its catalog.
            shards = {layout.shard(layer) for layer in left}
            emptied = {layer: layout.shard(layer) for layer in doomed if layout.shard(layer) not in shards}
            yield from (Remove(path=layout.tree(layer)) for layer in doomed if layer not in emptied)
            yield from (Remove(path=shard) for shard in dict.fromkeys(emptied.values()))


def about_steps(store: Store, about: About) -> Iterator[Step]:
    """Yield the step that writes cstore.json, if it says anything new."""
    if store.is_new or about != store.about:
        yield file_of(ABOUT, encode(about.to_dict()) + b"\n")


def _tar_split_step(path: str, layer: FetchedLayer) -> PutFile:
    return PutFile(path=path, size=layer.scan.tar_split_size, open=layer.scan.open_tar_split)


def _tree_steps(store: Store, ground: Ground, layer: FetchedLayer, parents: Mapping[LayerID, LayerID | None]) -> Iterator[Step]:
    layout = store.layout
    below = layers_below(store, layer.parent, parents)
    files = beside_diff(ground, layer.id, below)
    if layout.form is Form.SHARDED and layer.scan.entries >= BIG_LAYER:
        files[CATALOG] = b""
    step = tree_step(layer, layout.tree(layer.id), files)
    yield step if below else evolve(step, directories=("empty",))
    target = layout.layer_target(layer.id)
    if target is not None:
        yield PutSymlink(path=layout.layer(layer.id), target=target)


def tree_step(layer: FetchedLayer, path: str, files: Mapping[str, bytes], inside: str = "diff") -> PutTree:
    """Return the step that puts the tree of a layer which was fetched.

    Args:
        layer: whose tree it is.
        path: of the directory that gets it.
        files: small files in that directory.
        inside: the name in it of what gets the tree.
    """
    scan = layer.scan
    return PutTree(
        path=path,
        tree=layer.tree,
        inside=inside,
        files=files,
        directories=(),
        entries=scan.entries,
        size=scan.content,
        holes=scan.holes,
        special=scan.special + layer.tree.whiteouts,
        xattrs=scan.xattrs,
        longest_xattr=scan.longest_xattr,
        reserved=scan.reserved,
    )


def beside_diff(ground: Ground, layer: LayerID, below: Sequence[LayerID]) -> dict[str, bytes]:
    """Return the files beside a new layer's `diff`: its link, and what lists the layers below (spec O2, O4, O5)."""
    files = {"link": ground.links[layer].encode()}
    if below:
        files["lower"] = ":".join(f"l/{ground.links[lower]}" for lower in below).encode()
        files["lower-layers"] = ":".join(below).encode()
    return files


def layers_below(store: Store, parent: LayerID | None, parents: Mapping[LayerID, LayerID | None]) -> list[LayerID]:
    """Return all layers below a new one, the nearest first.

    Args:
        store: what is there.
        parent: of the new layer.
        parents: of all new layers.
    """
    below = []
    while parent is not None and parent in parents:
        below.append(parent)
        parent = parents[parent]
    return [*below, *(record.id for record in reversed(store.chain(parent)))]


def _record(layer: FetchedLayer, made: str) -> LayerRecord:
    return LayerRecord(
        id=layer.id,
        parent=layer.parent,
        created=Timestamp(made),
        compressed_diff_digest=layer.descriptor.digest,
        compressed_size=layer.descriptor.size,
        diff_digest=layer.diff_id,
        diff_size=layer.scan.diff_size,
        compression=COMPRESSIONS[layer.scan.compression],
        uidset=layer.scan.uids,
        gidset=layer.scan.gids,
    )
