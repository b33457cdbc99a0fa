"""What is read of the present converter's repositories: both generations, and each of their defects that can be seen."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import pytest

from cstore.errors import StoreError
from cstore.mend.converter import Converter, FoundImage, Origin
from cstore.model.chain import layer_ids
from cstore.model.digest import Digest
from cstore.model.platform import Platform
from tests.converter import CONVERTER, Flaw, config_file, flat, flat_id, layered, tree_of
from tests.images import CREATED, Image, digest_of, file, json_of, opaque, tar, whiteout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = "registry.example.org/team/app:1"
BASE, EMPTY, TOP = tar(file("base", b"base")), tar(), tar(file("top", b"top"))
HIDES = tar(whiteout("base"))
IMAGE = Image(layers=(BASE, EMPTY, TOP, EMPTY))

EACH_GENERATION = pytest.mark.parametrize("make", [layered, flat])


def converter(store: Path) -> Converter:
    return Converter(Origin(store, store.parents[1] / "seen/podmanStore"))


def read(store: Path) -> FoundImage:
    """Read the last image of a store."""
    found = converter(store)
    return found.read(found.images()[0][-1])


def reason(store: Path) -> str:
    """Return why the last image of a store cannot be adopted, with its paths below the repository."""
    with pytest.raises(StoreError) as caught:
        read(store)
    return str(caught.value).replace(f"{store.parent}/", "")


@EACH_GENERATION
def test_an_image_is_read_by_its_manifest_and_config(tmp_path: Path, make: Callable[..., Path]) -> None:
    image = read(make(tmp_path / "r", {NAME: IMAGE}))
    assert (image.listed.id, list(map(str, image.listed.names))) == (IMAGE.id, [NAME])
    assert (json.loads(image.manifest), image.config_bytes) == (IMAGE.manifest, json_of(IMAGE.config))
    assert (image.is_rewritten, Digest.of(image.manifest) == Digest.parse(IMAGE.digest)) == (make is layered, make is flat)
    assert [layer.id for layer in image.layers] == list(layer_ids([Digest.parse(each) for each in IMAGE.diff_ids]))
    assert [layer.parent for layer in image.layers] == [None, *(layer.id for layer in image.layers[:-1])]
    assert [str(layer.diff_id) for layer in image.layers] == IMAGE.diff_ids
    assert [str(layer.descriptor.digest) for layer in image.layers] == [digest_of(blob) for blob in IMAGE.blobs]
    assert [layer.diff_size for layer in image.layers] == list(map(len, IMAGE.layers))
    assert [layer.repeats for layer in image.layers] == [False, False, False, True]
    assert {layer.created for layer in image.layers} == {CREATED}


@EACH_GENERATION
def test_the_tree_of_a_layer_is_where_the_converter_put_it(tmp_path: Path, make: Callable[..., Path]) -> None:
    store = make(tmp_path / "r", {NAME: IMAGE})
    layers = read(store).layers
    expected = [tree_of(tmp_path / "seen", IMAGE, number) for number in range(4)]
    assert [layer.leads_to for layer in layers] == list(map(str, expected))
    assert [entry.path for entry, _ in layers[2].tree.walk()] == [b"", b"top"]
    assert {layer.look.reserved for layer in layers} == {(".cvmfscatalog",)}
    assert {layer.look.owner for layer in layers} == {CONVERTER[0] if os.geteuid() == 0 else os.geteuid()}


REASONS = [
    pytest.param(
        {Flaw.LOST_MANIFEST, Flaw.UNNOTED},
        "podmanStore/overlay-images/{id}/manifest: expected a file, found nothing",
        id="m",
    ),
    pytest.param({Flaw.LOST_CONFIG}, "podmanStore/overlay-images/{id}/{config}: expected a file, found nothing", id="no config"),
    pytest.param({Flaw.WRONG_CONFIG}, "config: expected digest sha256:{id}, found {empty}", id="another config"),
    pytest.param(
        {Flaw.OTHER_MANIFEST, Flaw.UNNOTED},
        "manifest: expected that of the image, with config sha256:{id}, found one with {other}",
        id="the manifest of another architecture",
    ),
    pytest.param(
        {Flaw.INDEX_AS_MANIFEST, Flaw.UNNOTED},
        'manifest: expected the manifest of an image, found media type "application/vnd.oci.image.index.v1+json"',
        id="an image index",
    ),
    pytest.param(
        {Flaw.LOST_TREE}, "layers[1]: expected a tree of its own, found only one flat tree of all 2 layers", id="no tree for one layer"
    ),
    pytest.param(
        {Flaw.NO_LAYERS}, "layers[0]: expected a tree of its own, found only one flat tree of all 2 layers", id="a flat tree only"
    ),
    pytest.param(
        {Flaw.CUT_TREE}, "layers[1]: expected a tree of diff ID {top}, found one of {cut}", id="a tree from a stream that was cut"
    ),
    pytest.param(
        {Flaw.UNMEASURED},
        "{layer}/.metadata/layers.json: expected a file, found nothing",
        id="a tree that nobody measured",
    ),
]


@EACH_GENERATION
@pytest.mark.parametrize(("flaws", "expected"), REASONS)
def test_why_an_image_cannot_be_adopted(tmp_path: Path, make: Callable[..., Path], flaws: set[Flaw], expected: str) -> None:
    image = Image(layers=(BASE, TOP))
    store = make(tmp_path / "r", {NAME: image}, *flaws)
    words = {
        "id": image.id,
        "config": config_file(image),
        "empty": digest_of(b"{}"),
        "other": digest_of(b"another architecture"),
        "top": digest_of(TOP),
        "cut": digest_of(b"cut"),
        "layer": tree_of(tmp_path / "r", image, 1).parent.relative_to(tmp_path / "r"),
    }
    assert reason(store) == expected.format(**words)


@EACH_GENERATION
@pytest.mark.parametrize(("member", "found"), [(whiteout("base"), ".wh.base"), (opaque("etc"), "etc/.wh..wh..opq")])
def test_a_tree_with_whiteouts_as_files_hides_nothing(tmp_path: Path, make: Callable[..., Path], member: object, found: str) -> None:
    image = Image(layers=(BASE, tar(member)))  # type: ignore[arg-type]  # a Member
    assert reason(make(tmp_path / "r", {NAME: image})) == (
        f'layers[1]: expected a tree with whiteouts that overlay knows, found the file "{found}" instead of one'
    )


@EACH_GENERATION
def test_a_layer_that_cannot_be_kept_is_told_by_its_type(tmp_path: Path, make: Callable[..., Path]) -> None:
    store = make(tmp_path / "r", {NAME: Image(layers=(BASE,))}, Flaw.UNNOTED)
    manifest = store / "overlay-images" / Image(layers=(BASE,)).id / "manifest"
    changed = json_of(Image(layers=(BASE,)).manifest).replace(b"image.layer.v1.tar+gzip", b"image.layer.v1.tar+gzip+encrypted")
    manifest.unlink()
    manifest.write_bytes(changed)
    assert reason(store).startswith("manifest.layers[0]: expected a layer of tar, gzip or zstd, found an encrypted one of type")


@EACH_GENERATION
def test_a_manifest_of_other_layers_than_the_config_has(tmp_path: Path, make: Callable[..., Path]) -> None:
    image = Image(layers=(BASE, TOP))
    store = make(tmp_path / "r", {NAME: image}, Flaw.UNNOTED)
    manifest = store / "overlay-images" / image.id / "manifest"
    manifest.unlink()
    manifest.write_bytes(json_of({**image.manifest, "layers": image.manifest["layers"][:1]}))
    assert reason(store) == "expected a layer for each diff ID of the config (2), found 1"


@EACH_GENERATION
@pytest.mark.parametrize("flaw", [Flaw.LOST_MANIFEST, Flaw.OTHER_MANIFEST, Flaw.INDEX_AS_MANIFEST])
def test_what_was_noted_of_a_manifest_stands_in_for_it(tmp_path: Path, make: Callable[..., Path], flaw: Flaw) -> None:
    image = read(make(tmp_path / "r", {NAME: IMAGE}, flaw))
    assert (json.loads(image.manifest), image.is_rewritten) == (IMAGE.manifest, True)


def test_so_it_does_for_a_link_that_has_a_digest_too_much(tmp_path: Path) -> None:
    store = layered(tmp_path / "r", {NAME: IMAGE}, Flaw.DANGLING_MANIFEST)
    assert not (store / "overlay-images" / IMAGE.id / "manifest").exists()
    assert read(store).is_rewritten


def test_and_for_an_image_of_another_architecture(tmp_path: Path) -> None:
    image = Image(layers=(BASE,), platform="linux/arm64/v8")
    store = flat(tmp_path / "r", {NAME: image}, Flaw.LOST_MANIFEST)
    above = tmp_path / "r/.metadata/.multiarch/arm64:v8/registry.example.org/team"
    above.mkdir(parents=True)
    (tmp_path / "r/.metadata" / NAME).rename(above / "app:1")
    assert read(store).is_rewritten


@pytest.mark.parametrize(
    "planted",
    [
        pytest.param("../../../../outside", id="out of the repository"),
        pytest.param("/etc/hostname", id="to anywhere"),
        pytest.param("manifest", id="to itself"),
    ],
)
def test_no_symlink_is_followed_out_of_the_repository(tmp_path: Path, planted: str) -> None:
    store = flat(tmp_path / "r", {NAME: IMAGE}, Flaw.UNNOTED)
    (tmp_path / "outside").write_bytes(json_of(IMAGE.manifest))
    manifest = store / "overlay-images" / IMAGE.id / "manifest"
    manifest.unlink()
    manifest.symlink_to(planted)
    assert re.search("manifest: expected a file, found a symlink( that leads out of the repository, or nowhere)?$", reason(store))


@pytest.mark.parametrize(
    "what", ["podmanStore/overlay-images/{id}/manifest", "podmanStore/overlay-images/images.json", "{layer}/.metadata/layers.json"]
)
def test_a_fifo_is_not_waited_for(tmp_path: Path, what: str) -> None:
    store = flat(tmp_path / "r", {NAME: IMAGE}, Flaw.UNNOTED)
    place = tmp_path / "r" / what.format(id=IMAGE.id, layer=tree_of(tmp_path / "r", IMAGE, 0).parent.relative_to(tmp_path / "r"))
    place.unlink()
    os.mkfifo(place)
    assert reason(store).endswith("expected a file, found a fifo")


def test_a_tree_that_is_a_symlink_is_none(tmp_path: Path) -> None:
    store = flat(tmp_path / "r", {NAME: Image(layers=(BASE,))})
    tree = tree_of(tmp_path / "r", Image(layers=(BASE,)), 0)
    tree.rename(tree.with_name("other"))
    tree.symlink_to("other")
    assert reason(store) == "layers[0]: expected a tree of its own, found only one flat tree of all 1 layers"


@pytest.mark.parametrize(
    ("noted", "said"),
    [
        (b"", "layers[0]: layers.json: expected JSON, found an empty file"),
        (b"[]", "layers[0]: layers.json: expected an array with the layer, found an array"),
        (b"[7]", "layers[0]: layers.json[0]: expected an object, found 7"),
        (b'[{"diff-digest": "x"}]', 'layers[0]: layers.json[0].diff-digest: expected a digest, found "x"'),
        (b'[{"diff-digest": "%b", "diff-size": -1}]', "layers[0]: layers.json[0].diff-size: expected a number of at least 0, found -1"),
    ],
)
def test_what_is_noted_of_a_layer_must_be_readable(tmp_path: Path, noted: bytes, said: str) -> None:
    image = Image(layers=(BASE,))
    store = flat(tmp_path / "r", {NAME: image})
    (tree_of(tmp_path / "r", image, 0).parent / ".metadata/layers.json").write_bytes(noted.replace(b"%b", digest_of(BASE).encode()))
    assert reason(store).startswith(said)


def test_a_layer_is_looked_through_once(tmp_path: Path) -> None:
    told: list[str] = []
    other = Image(layers=(BASE, TOP), labels={"other": "1"})
    store = flat(tmp_path / "r", {NAME: Image(layers=(BASE, TOP)), "registry.example.org/team/other:1": other})

    def progress(work: str, subject: str, _total: int) -> Callable[[int], object]:
        told.append(f"{work} {subject}")
        return lambda _size: None

    found = Converter(Origin(store, store), progress)
    for image in found.images()[0]:
        found.read(image)
    assert told == [f"looking through {digest_of(blob)}" for blob in other.blobs]


def test_platforms(tmp_path: Path) -> None:
    store = flat(tmp_path / "r", {NAME: Image(platform="linux/arm64/v8")}, Flaw.LOST_MANIFEST)
    found = converter(store)
    (image,) = found.images()[0]
    assert found.platform(image.id) == Platform("linux", "arm64", "v8")
    for place in (store / "overlay-images" / image.id).iterdir():
        place.unlink()
    assert found.platform(image.id) is None


def test_where_no_store_is_there_are_no_images(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"none/overlay-images/images.json: expected a file, found nothing$"):
        converter(tmp_path / "none").images()


class TestTheRepositoriesThemselves:
    """That `tests.converter` makes what the two generations are known to publish."""

    def test_of_2024(self, tmp_path: Path) -> None:
        store = layered(tmp_path / "r", {NAME: IMAGE, "registry.example.org/team/other:1": Image(layers=(BASE, HIDES))})
        layers = json.loads((store / "overlay-layers/layers.json").read_bytes())
        base, empty, top, hides = (digest_of(layer).removeprefix("sha256:") for layer in (BASE, EMPTY, TOP, HIDES))
        parents = [(layer["id"], layer.get("parent")) for layer in layers]
        assert parents == [(base, None), (empty, top), (top, empty), (empty, top), (base, None), (hides, base)], "a cycle, and two records"
        assert str((store / "overlay" / base / "diff").readlink()).startswith("../../../.layers/")
        links = {place.name for place in (store / "overlay/l").iterdir()}
        named = {(store / "overlay" / layer / "link").read_text() for layer in (base, empty, top, hides)}
        assert (len(links), links > named, {len(link) for link in links}) == (6, True, {26}), "links that nothing names any more"
        assert (store / "overlay" / hides / "lower").read_text() == f"l/{(store / 'overlay' / base / 'link').read_text()}"
        assert [(store / f"overlay-{room}/{room}.lock").read_bytes() for room in ("images", "layers")] == [b"", b""]
        (record, _) = json.loads((store / "overlay-images/images.json").read_bytes())
        assert sorted(record) == ["created", "id", "layer", "names"]
        assert list(json.loads((store / "overlay-images" / IMAGE.id / "manifest").read_bytes())) == [
            "SchemaVersion",
            "MediaType",
            "Config",
            "Layers",
        ]
        assert (tree_of(tmp_path / "r", Image(layers=(BASE, HIDES)), 1) / ".wh.base").is_file()
        assert (store / "overlay/.cvmfscatalog").exists()
        assert (tmp_path / "r" / NAME / ".cvmfscatalog").exists(), "the public symlink"

    def test_of_2026(self, tmp_path: Path) -> None:
        moved = Image(layers=(BASE, TOP))
        store = flat(tmp_path / "r", [(NAME, IMAGE), (NAME, moved)])
        layers = json.loads((store / "overlay-layers/layers.json").read_bytes())
        assert [layer["diff-digest"] for layer in layers] == [f"sha256:{flat_id(image)}" for image in (IMAGE, moved)]
        assert [record["names"] for record in json.loads((store / "overlay-images/images.json").read_bytes())] == [[NAME], [NAME]]
        assert (store / "overlay" / flat_id(IMAGE) / "diff").resolve() == tmp_path / f"r/.flat/{IMAGE.id[:2]}/{IMAGE.id}"
        assert not (store / "overlay" / flat_id(IMAGE) / "lower").exists()
        assert (store / "overlay-images" / IMAGE.id / "manifest").read_bytes() == json_of(IMAGE.manifest)
        assert not list(store.rglob(".cvmfscatalog"))
        assert {"base", "top", "singularity", ".exec"} <= {place.name for place in (tmp_path / "r" / NAME).iterdir()}
        merged = flat(tmp_path / "m", {NAME: Image(layers=(BASE, HIDES))}).parent / NAME
        assert "base" not in {place.name for place in merged.iterdir()}, "a flat tree obeys whiteouts"

    def test_of_2024_with_links_without_l(self, tmp_path: Path) -> None:
        other = Image(layers=(BASE, HIDES))
        store = layered(tmp_path / "r", {NAME: Image(layers=(BASE, TOP)), "registry.example.org/team/other:1": other}, Flaw.LOWER_WITHOUT_L)
        base, hides = (digest_of(layer).removeprefix("sha256:") for layer in (BASE, HIDES))
        assert (store / "overlay" / hides / "lower").read_text() == (store / "overlay" / base / "link").read_text()

    @pytest.mark.parametrize("make", [layered, flat])
    def test_are_the_same_each_time(self, tmp_path: Path, make: Callable[..., Path]) -> None:
        for name in ("one", "two"):
            make(tmp_path / name, {NAME: IMAGE})
        one, two = ({place.relative_to(tmp_path / name) for place in (tmp_path / name).rglob("*")} for name in ("one", "two"))
        assert one == two
