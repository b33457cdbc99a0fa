from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from cstore.publish.batch import publishing
from tests.cli.program import call
from tests.publish.stores import IMAGES, NEW, OLD, exact

if TYPE_CHECKING:
    from pathlib import Path


def test_a_line_for_each_name_and_one_for_the_counts(store: Path) -> None:
    call("tag", store, OLD, "example.org/again:1")
    done = call("list", store)
    lines = done.out.splitlines()
    assert done.code == 0
    assert lines[0].split() == ["NAME", "IMAGE", "ID", "CREATED", "SIZE", "LAYERS"]
    assert [line.split()[0] for line in lines[1:-1]] == ["example.org/again:1", OLD, NEW]
    assert lines[2].split()[1:3] == [IMAGES["old"].id[:12], "2023-11-14"]
    assert re.fullmatch("2 images, 3 layers of which 0 retired; layout direct; owners: .+", lines[-1])


def test_its_json_has_the_same(store: Path) -> None:
    call("remove", store, NEW)
    told = call("list", store, "--json").json
    assert list(told) == ["images", "layers", "retired", "layout", "owners"]
    assert (told["layers"], told["retired"], told["layout"]) == (3, 1, "direct")
    assert told["images"] == [
        {
            "id": IMAGES["old"].id,
            "names": [OLD],
            "digest": IMAGES["old"].digest,
            "created": "2023-11-14T22:13:20.123456789Z",
            "size": sum(map(len, IMAGES["old"].layers)),
            "layers": 2,
        }
    ]


def test_a_store_without_images_is_listed(store: Path) -> None:
    call("remove", store, OLD, NEW)
    assert call("list", store).out.splitlines()[1].startswith("0 images, 3 layers of which 3 retired")


def test_listing_touches_nothing(store: Path) -> None:
    before = exact(store)
    call("list", store)
    call("list", store, "--json")
    assert exact(store) == before


def test_a_store_of_another_writer_is_listed(store: Path) -> None:
    """Podman and skopeo write compact indexes with fields that cstore does not know, images without names, and no cstore.json."""
    (store / "cstore.json").unlink()
    for index in ("overlay-images/images.json", "overlay-layers/layers.json"):
        records = json.loads((store / index).read_bytes())
        (store / index).write_text(json.dumps([{"flags": {"x": 1}, **record} for record in records], separators=(",", ":")))
        (store / index).with_suffix(".lock").write_bytes(b"")
    images = json.loads((store / "overlay-images/images.json").read_bytes())
    del images[0]["names"]
    (store / "overlay-images/images.json").write_text(json.dumps(images))
    lines = call("list", store).out.splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == ["<none>", NEW]
    assert [image["names"] for image in call("list", store, "--json").json["images"]] == [[], [NEW]]


def test_an_image_without_layers_is_listed(tmp_path: Path, made: dict[str, str]) -> None:
    root = tmp_path / "store"
    with publishing(root) as batch:
        batch.add(made["old"], name=OLD)
    path = root / "overlay-images/images.json"
    records = json.loads(path.read_bytes())
    del records[0]["layer"]
    path.write_text(json.dumps(records))
    told = call("list", root, "--json").json
    assert (told["images"][0]["size"], told["images"][0]["layers"], told["retired"]) == (0, 0, 2)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "images.json"),
        (b"{}", "expected an array, found"),
        (b"[1]", "images[0]: expected an object"),
        (b'[{"id":"1"}]', "images[0].id: expected"),
        (b"[", "images.json"),
        (b"\xff", "images.json"),
    ],
)
def test_a_damaged_store_is_told_in_one_sentence(store: Path, data: bytes, said: str) -> None:
    (store / "overlay-images/images.json").write_bytes(data)
    done = call("list", store)
    assert done.code == 3
    assert said in done.sentence


@pytest.mark.parametrize("name", ["overlay-images/images.json", "overlay-layers/layers.json"])
def test_a_missing_index_is_no_empty_one(store: Path, name: str) -> None:
    (store / name).unlink()
    done = call("list", store)
    assert (done.code, done.sentence) == (3, f"cstore: {store / name}: expected a file, found none")
