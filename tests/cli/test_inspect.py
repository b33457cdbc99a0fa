from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.program import call
from tests.images import digest_of
from tests.publish.stores import IMAGES, NEW, OLD

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = IMAGES["old"]


@pytest.mark.parametrize("image", [OLD, IMAGE.id, IMAGE.id[:6], f"{OLD.partition(':')[0]}@{IMAGE.digest}"])
def test_all_of_an_image_as_json(store: Path, image: str) -> None:
    told = call("inspect", store, image, "--json").json
    assert list(told) == ["id", "names", "digest", "created", "size", "layers", "big_data"]
    assert (told["id"], told["names"], told["digest"]) == (IMAGE.id, [OLD], IMAGE.digest)
    assert [layer["diff_id"] for layer in told["layers"]] == IMAGE.diff_ids
    assert [layer["blob"] for layer in told["layers"]] == list(map(digest_of, IMAGE.blobs))
    assert [layer["blob_size"] for layer in told["layers"]] == list(map(len, IMAGE.blobs))
    assert [layer["size"] for layer in told["layers"]] == list(map(len, IMAGE.layers))
    assert all((store / layer["path"] / "diff").is_dir() for layer in told["layers"])
    assert all((store / "overlay/l" / layer["link"]).is_dir() for layer in told["layers"])
    assert {item["key"] for item in told["big_data"]} == {f"sha256:{IMAGE.id}", f"manifest-{IMAGE.digest}", "manifest"}


def test_the_same_in_lines(store: Path) -> None:
    lines = call("inspect", store, NEW).out.splitlines()
    assert lines[:3] == [f"image    {IMAGES['new'].id}", f"name     {NEW}", f"digest   {IMAGES['new'].digest}"]
    assert [line.split()[0] for line in lines[3:]] == ["created", "size", "layer", "layer", "data", "data", "data"]


@pytest.mark.parametrize("image", ["example.org/no:1", "", "@", "0123", "0123456789", f"{OLD}@sha256:{'0' * 64}", "a b", "../../elsewhere"])
def test_what_is_not_there_is_told_in_one_sentence(store: Path, image: str) -> None:
    done = call("inspect", store, image)
    assert (done.code, done.sentence) == (3, f'cstore: {store}: expected an image "{image}", found none')


def test_a_layer_without_link_is_told(store: Path) -> None:
    for link in (store / "overlay").glob("*/link"):
        link.unlink()
    done = call("inspect", store, OLD)
    assert done.code == 3
    assert done.sentence.endswith("/link: expected the link of a layer, found none")
