from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cstore.mend.draft import Draft
from cstore.mend.duplicates import drop_duplicates
from cstore.model.chain import LayerID, layer_id
from cstore.model.digest import Digest
from cstore.verification.reading import IndexFile

if TYPE_CHECKING:
    import pytest

A, B, C = "a" * 64, "b" * 64, "c" * 64
DIFF = Digest.of(b"diff")


def drafted(name: str, *values: dict[str, Any]) -> Draft:
    return Draft.of(name, IndexFile(json.dumps(values).encode(), list(values)))


def names(*values: dict[str, Any]) -> list[tuple[str, list[str]]]:
    images = drafted("images", *values)
    drop_duplicates(images, drafted("layers"))
    return [(record.id[:1], record.get("names") or []) for record in images]


def test_a_name_goes_to_the_newest_image() -> None:
    old = {"id": A, "names": ["r.io/x:1", "r.io/y:1"], "created": "2026-01-01T00:00:00Z"}
    new = {"id": B, "names": ["r.io/x:1"], "created": "2026-01-02T00:00:00Z"}
    assert names(old, new) == names(new, old)[::-1] == [("a", ["r.io/y:1"]), ("b", ["r.io/x:1"])]


def test_of_images_of_one_moment_the_later_record_is_newer() -> None:
    assert names({"id": A, "names": ["r.io/x:1"]}, {"id": B, "names": ["r.io/x:1"]}) == [("a", []), ("b", ["r.io/x:1"])]


def test_names_are_completed_and_there_once() -> None:
    twice = ["docker.io/library/debian:12", "debian:12", "", "No Name", "r.io/x:1@sha256:1"]
    assert names({"id": A, "names": twice}) == [("a", ["docker.io/library/debian:12", "No Name", "r.io/x:1@sha256:1"])]


def test_of_two_records_of_an_image_the_last_stays_with_all_names() -> None:
    images = drafted("images", {"id": A, "names": ["r.io/x:1"], "digest": "1"}, {"id": A, "names": ["r.io/x:2"], "digest": "2"})
    drop_duplicates(images, drafted("layers"))
    assert [(record.get("digest"), record.get("names")) for record in images] == [("2", ["r.io/x:2", "r.io/x:1"])]


def test_of_two_records_of_a_layer_the_one_stays_that_its_id_is_made_of() -> None:
    right = layer_id(LayerID(B), DIFF)
    layers = drafted("layers", {"id": right, "parent": C, "diff-digest": str(DIFF)}, {"id": right, "parent": B, "diff-digest": str(DIFF)})
    drop_duplicates(drafted("images"), layers)
    assert [record.get("parent") for record in layers] == [B]


def test_of_two_records_of_a_layer_the_first_stays_where_its_id_tells_nothing() -> None:
    layers = drafted("layers", {"id": A, "parent": C}, {"id": A, "parent": B, "diff-digest": "none"})
    drop_duplicates(drafted("images"), layers)
    assert [record.get("parent") for record in layers] == [C]


def test_names_that_layers_share_go() -> None:
    layers = drafted("layers", {"id": A, "names": ["x", "y"]}, {"id": B, "names": ["x"]})
    drop_duplicates(drafted("images"), layers)
    assert [record.get("names") for record in layers] == [["y"], None]


def test_records_without_an_id_are_not_taken_for_one_another() -> None:
    assert names({"names": ["r.io/x:1"]}, {"names": ["r.io/y:1"]}) == [("", ["r.io/x:1"]), ("", ["r.io/y:1"])]


def test_a_time_that_only_some_readers_understand_is_before_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    loose, sound = "2026-01-02T3:00:00Z", "2026-01-01T00:00:00Z"
    monkeypatch.setattr("cstore.mend.draft._decodable", lambda _name, value: value)
    made = names({"id": A, "names": ["r.io/x:1"], "created": sound}, {"id": B, "names": ["r.io/x:1"], "created": loose})
    assert made == [("a", ["r.io/x:1"]), ("b", [])]
