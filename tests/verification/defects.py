"""Defects: for each rule of `verify`, ways to break just it in a sound store."""

from __future__ import annotations

import gzip
import os
import shutil
from typing import TYPE_CHECKING, Any

from attrs import frozen

from cstore.index.lock import announcement
from tests.verification.target import VICTIM, Target

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DEFECTS", "Defect"]

NOWHERE = "f" * 64


@frozen
class Defect:
    """A way to break a rule."""

    code: str
    name: str
    plant: Callable[[Target], object]
    also: tuple[str, ...] = ()
    """Other rules that cannot but be broken with it."""
    is_deep: bool = False
    """Whether only a deep check finds it."""


def _cut(target: Target) -> None:
    data = target.index("images").read_bytes()
    target.write("images", data[: len(data) // 2])


def _without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda record: record.pop(key)


def _with(**members: object) -> Callable[[dict[str, Any]], object]:
    return lambda record: record.update({key.replace("_", "-"): value for key, value in members.items()})


def _add_record(target: Target, name: str, record: dict[str, Any]) -> None:
    target.write_records(name, [*target.records(name), record])


def _duplicate_name(target: Target) -> None:
    target.edit("images", target.bystander["id"], lambda record: record["names"].append(VICTIM))


def _bad_manifest_digest(target: Target) -> None:
    target.edit_image(lambda record: record["big-data-digests"].update(manifest="sha256:short"))


def _lock_is_a_directory(target: Target) -> None:
    target.lock("layers").unlink()
    target.lock("layers").mkdir()


def _same_layer_names(target: Target) -> None:
    for layer in (target.top, target.middle):
        target.edit_layer(layer, _with(names=["twice"]))


def _image_twice(target: Target) -> None:
    _add_record(target, "images", {**target.image, "names": []})


def _layer_twice(target: Target) -> None:
    record = next(record for record in target.records("layers") if record["id"] == target.top)
    _add_record(target, "layers", {**record, "parent": target.base})


def _move_image(target: Target) -> None:
    old = target.image["id"]
    (target.root / "overlay-images" / old).rename(target.root / "overlay-images/latest")
    target.edit_image(_with(id="latest"))


def _loop(target: Target) -> None:
    target.edit_layer(target.base, _with(parent=target.top))


def _replace(target: Target, layer: str, link_to: str) -> None:
    """Move a tree to where others of the repository lie, and leave a symlink."""
    outside = target.root.parent / ".layers/ab" / layer / "layerfs"
    outside.parent.mkdir(parents=True)
    target.diff(layer).rename(outside)
    target.diff(layer).symlink_to(link_to.format(outside=outside, layer=layer))


def _dangle(target: Target) -> None:
    shutil.rmtree(target.diff(target.top))
    target.diff(target.top).symlink_to("../../../nowhere")


def _dangle_outside(target: Target) -> None:
    shutil.rmtree(target.diff(target.top))
    target.diff(target.top).symlink_to("/no/such/place")


def _known_by_contents(target: Target) -> None:
    def know(record: dict[str, Any]) -> None:
        record["toc-digest"] = f"sha256:{NOWHERE}"
        record["diff-size"] = -1
        del record["diff-digest"], record["compressed-diff-digest"]

    target.edit_layer(target.top, know)


def _file_for_diff(target: Target) -> None:
    shutil.rmtree(target.diff(target.top))
    target.diff(target.top).write_bytes(b"")


def _same_link(target: Target) -> None:
    target.link(target.middle).unlink()
    (target.layer(target.middle) / "link").write_text((target.layer(target.top) / "link").read_text())


def _lower_without_l(target: Target) -> None:
    lower = target.layer(target.top) / "lower"
    lower.write_text(lower.read_text().replace("l/", "", 1))


def _append(target: Target, layer: str, name: str, text: str) -> None:
    path = target.layer(layer) / name
    path.write_text(path.read_text() + text)


def _other_config(target: Target) -> None:
    item = target.item(target.config_key)
    data = item.read_bytes()
    item.write_bytes(data.replace(b'"os"', b'"oS"', 1))


def _other_item(target: Target) -> None:
    item = target.item(target.manifest_key)
    item.write_bytes(b" " + item.read_bytes()[1:])


def _drop_item(target: Target) -> None:
    key = target.manifest_key
    target.item(key).unlink()

    def forget(record: dict[str, Any]) -> None:
        record["big-data-names"].remove(key)
        del record["big-data-sizes"][key], record["big-data-digests"][key]

    target.edit_image(forget)


def _fewer_layers(manifest: dict[str, Any]) -> None:
    manifest["layers"].pop()


def _garbage_split(target: Target) -> None:
    target.tar_split(target.top).write_bytes(gzip.compress(b'{"type":7}\n'))


def _other_split(target: Target) -> None:
    split = target.tar_split(target.top)
    split.write_bytes(split.read_bytes() + gzip.compress(b'{"type":2,"payload":"AAAA","position":99}\n'))


def _orphan_layer(target: Target) -> None:
    (target.layer(NOWHERE) / "diff").mkdir(parents=True)


def _orphan_image(target: Target) -> None:
    (target.root / "overlay-images" / NOWHERE).mkdir()


def _unused(target: Target) -> None:
    image = target.bystander
    target.write_records("images", [target.image])
    shutil.rmtree(target.root / "overlay-images" / image["id"])


def _unused_and_retired(target: Target) -> None:
    layer = target.bystander["layer"]
    _unused(target)
    (target.root / "cstore.json").write_text(f'{{"version":1,"layout":"direct","retired":{{"{layer}":"2026-01-02"}}}}\n')


def _shared_dangles(target: Target) -> None:
    shared = target.root.parent / ".layers/ab/abcd"
    shared.mkdir(parents=True)
    (shared / "layerfs").symlink_to("../../../nowhere")


def _shared_leaves(target: Target) -> None:
    shared = target.root.parent / ".layers/ab/abcd"
    shared.mkdir(parents=True)
    (shared / "layerfs").symlink_to("/etc")


def _marker_in_diff(target: Target) -> None:
    (target.diff(target.top) / ".cvmfscatalog").touch()


def _all_owned(target: Target) -> None:
    for above, directories, files in os.walk(target.diff(target.top)):
        for name in ("", *directories, *files):
            os.chown(os.path.join(above, name), 1234, 1234, follow_symlinks=False)  # noqa: PTH118 - text from os.walk


DEFECTS = (
    Defect("V1", "images.json is cut in half", _cut, also=("V85", "V84")),
    Defect("V1", "layers.json is an object", lambda target: target.write("layers", b"{}"), also=("V13", "V81", "V82", "V83")),
    Defect("V1", "a record is null", lambda target: target.write_records("images", [*target.records("images"), None])),
    Defect("V2", "a time is an empty text", lambda target: target.edit_image(_with(created="")), also=("V84", "V85")),
    Defect(
        "V2",
        "a size is a fraction",
        lambda target: target.edit_layer(target.top, _with(diff_size=1.5)),
        also=("V13", "V81", "V82", "V83", "V85"),
    ),
    Defect("V3", "two images have a name", _duplicate_name),
    Defect("V4", "the digest of an image is none", lambda target: target.edit_image(_with(digest="sha256:short"))),
    Defect("V4", "the digest of a manifest is none", _bad_manifest_digest),
    Defect("V5", "images.lock is missing", lambda target: target.lock("images").unlink()),
    Defect("V5", "layers.lock is missing", lambda target: target.lock("layers").unlink()),
    Defect("V5", "layers.lock is a directory", _lock_is_a_directory),
    Defect("V6", "two layers have a name", _same_layer_names, also=("V89",)),
    Defect("V11", "an image has two records", _image_twice),
    Defect("V12", "an image ID is a word", _move_image, also=("V32", "V35")),
    Defect("V13", "the top layer has no record", lambda target: target.edit_image(_with(layer=NOWHERE)), also=("V85",)),
    Defect("V13", "a mapped layer has no record", lambda target: target.edit_image(_with(mapped_layers=[NOWHERE])), also=("V89",)),
    Defect("V14", "a parent has no record", lambda target: target.edit_layer(target.top, _with(parent=NOWHERE)), also=("V85",)),
    Defect("V15", "a layer is below itself", _loop),
    Defect("V18", "a layer is incomplete", lambda target: target.edit_layer(target.top, _with(flags={"incomplete": True}))),
    Defect("V19", "a layer has no diff ID", lambda target: target.edit_layer(target.top, _without("diff-digest"))),
    Defect("V20", "a layer has two records", _layer_twice, also=("V36", "V55", "V56", "V85")),
    Defect("V21", "a layer ID is a word", lambda target: target.rename_layer(target.top, "top"), also=("V39",)),
    Defect("V22", "metadata is a word", lambda target: target.edit_image(_with(metadata="word"))),
    Defect("V23", "a name is empty", lambda target: target.edit_image(lambda record: record["names"].append(""))),
    Defect("V23", "a name has blanks", lambda target: target.edit_image(lambda record: record["names"].append("No Name"))),
    Defect("V31", "the manifest is missing", lambda target: target.item("manifest").unlink()),
    Defect("V32", "the config is missing", lambda target: target.item(target.config_key).unlink()),
    Defect("V33", "the manifest is an empty object", lambda target: target.put_manifest_bytes(b"{}")),
    Defect("V34", "the config is another", _other_config),
    Defect(
        "V35",
        "the manifest names another config",
        lambda target: target.put_manifest(lambda manifest: manifest["config"].update(digest=f"sha256:{NOWHERE}")),
    ),
    Defect("V36", "the manifest has a layer less", lambda target: target.put_manifest(_fewer_layers)),
    Defect("V37", "a diff ID is another", lambda target: target.edit_layer(target.top, _with(diff_digest=f"sha256:{NOWHERE}"))),
    Defect("V38", "a layer has no blob", lambda target: target.edit_layer(target.top, _without("compressed-diff-digest"))),
    Defect("V38", "a blob has another size", lambda target: target.edit_layer(target.top, _with(compressed_size=7))),
    Defect("V39", "a layer ID is another", lambda target: target.rename_layer(target.top, NOWHERE)),
    Defect("V40", "an image has no digest", lambda target: target.edit_image(_without("digest"))),
    Defect("V41", "an image has no sizes", lambda target: target.edit_image(_without("big-data-sizes"))),
    Defect("V42", "an item is missing", lambda target: target.item(target.manifest_key).unlink()),
    Defect("V42", "an item has another size", lambda target: target.item(target.manifest_key).write_bytes(b"")),
    Defect("V43", "an item has another digest", _other_item, is_deep=True),
    Defect("V44", "the manifest is not there under its digest", _drop_item),
    Defect("V45", "a name is short", lambda target: target.edit_image(_with(names=["victim"]))),
    Defect("V47", "a layer is known by its table of contents", _known_by_contents, also=("V38",)),
    Defect("V51", "a layer has no directory", lambda target: shutil.rmtree(target.layer(target.top)), also=("V82",)),
    Defect("V52", "a layer has no link", lambda target: (target.layer(target.top) / "link").unlink(), also=("V82",)),
    Defect("V53", "the symlink of a link is missing", lambda target: target.link(target.middle).unlink()),
    Defect("V54", "two layers have a link", _same_link, also=("V53", "V55")),
    Defect("V55", "lower names no l/", _lower_without_l),
    Defect("V55", "lower is missing", lambda target: (target.layer(target.top) / "lower").unlink()),
    Defect("V55", "lower ends with a newline", lambda target: _append(target, target.top, "lower", "\n")),
    Defect("V56", "lower-layers ends with a newline", lambda target: _append(target, target.top, "lower-layers", "\n")),
    Defect("V57", "diff leads nowhere", _dangle),
    Defect("V57", "diff is a file", _file_for_diff),
    Defect("V57", "diff leads out of the repository, to nothing", _dangle_outside),
    Defect("V58", "there is a diff1", lambda target: (target.layer(target.top) / "diff1").mkdir()),
    Defect("V58", "there is an additionallayer", lambda target: (target.layer(target.top) / "additionallayer").write_text("/x")),
    Defect("V59", "diff is a relative symlink", lambda target: _replace(target, target.top, "../../../.layers/ab/{layer}/layerfs")),
    Defect("V60", "diff is an absolute symlink", lambda target: _replace(target, target.top, "{outside}")),
    Defect("V61", "there is a mark of AUFS", lambda target: (target.diff(target.top) / ".wh.etc").touch(), is_deep=True),
    Defect(
        "V62",
        "a directory is opaque for rootless readers only",
        lambda target: os.setxattr(target.diff(target.top) / "etc", "user.overlay.opaque", b"y"),
        also=("V64",),
        is_deep=True,
    ),
    Defect("V63", "a file has other content", lambda target: (target.diff(target.top) / "etc/top").write_bytes(b"TOP\n"), is_deep=True),
    Defect("V63", "a file is missing", lambda target: (target.diff(target.top) / "etc/top").unlink(), is_deep=True),
    Defect("V63", "a file is there that should not", lambda target: (target.diff(target.top) / "etc/more").touch(), is_deep=True),
    Defect("V63", "a file has another mode", lambda target: (target.diff(target.top) / "etc/top").chmod(0o600), is_deep=True),
    Defect("V64", "a whiteout is missing", lambda target: (target.diff(target.top) / "etc/gone").unlink(), is_deep=True),
    Defect(
        "V65",
        "a directory is opaque for root only",
        lambda target: os.setxattr(target.diff(target.top) / "etc", "trusted.overlay.opaque", b"y"),
        also=("V64",),
        is_deep=True,
    ),
    Defect("V66", "a base layer has nothing to be mounted below it", lambda target: (target.layer(target.base) / "empty").rmdir()),
    Defect("V67", "there is a work", lambda target: (target.layer(target.top) / "work").mkdir(0o700)),
    Defect("V71", "a tar-split is missing", lambda target: target.tar_split(target.top).unlink()),
    Defect("V72", "a tar-split is none", _garbage_split, is_deep=True),
    Defect("V73", "a tar-split is of a longer tar", _other_split, is_deep=True),
    Defect("V74", "images.lock is empty", lambda target: target.lock("images").write_bytes(b"")),
    Defect("V75", "a lock is that of another index", lambda target: target.lock("layers").write_bytes(announcement(b"[]", own=True))),
    Defect("V76", "others cannot enter overlay", lambda target: (target.root / "overlay").chmod(0o700)),
    Defect("V77", "a layer has a label", lambda target: target.edit_layer(target.top, _with(mountlabel="system_u:object_r:x_t:s0"))),
    Defect("V78", "a layer has no size", lambda target: target.edit_layer(target.top, _without("diff-size"))),
    Defect("V81", "a directory is no layer's", _orphan_layer),
    Defect("V82", "a link is no layer's", lambda target: (target.root / "overlay/l/NOBODY").symlink_to("../nowhere/diff")),
    Defect("V83", "a tar-split is no layer's", lambda target: target.tar_split(NOWHERE).write_bytes(b"")),
    Defect("V84", "a directory is no image's", _orphan_image),
    Defect("V84", "a file is no item of big data", lambda target: target.item("more").write_bytes(b"")),
    Defect("V85", "a layer is unused", _unused),
    Defect("V86", "a layer is retired", _unused_and_retired),
    Defect("V87", "a change was interrupted", lambda target: (target.root / ".cstore-work").mkdir()),
    Defect("V88", "cstore.json is garbage", lambda target: (target.root / "cstore.json").write_bytes(b"{")),
    Defect("V89", "a layer has metadata", lambda target: target.edit_layer(target.top, _with(metadata="{}"))),
    Defect("V90", "lower-layers is missing", lambda target: (target.layer(target.top) / "lower-layers").unlink()),
    Defect("V92", "a marker of a catalog is in a diff", _marker_in_diff, is_deep=True),
    Defect("V95", "a shared layer leads nowhere", _shared_dangles),
    Defect("V95", "a shared layer leads out of the repository", _shared_leaves),
    Defect("V96", "an implied directory has another mode", lambda target: (target.diff(target.top) / "implied").chmod(0o700), is_deep=True),
    Defect("V97", "all files belong to one user", _all_owned, also=("V96",), is_deep=True),
)
