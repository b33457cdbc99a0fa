from __future__ import annotations

import pytest

from cstore.errors import FormatError
from cstore.mend.listed import LeftImage, ListedImage, list_images, settled
from cstore.model.chain import ImageID
from cstore.model.reference import Reference
from tests.images import json_of

A, B, C = (ImageID(digit * 64) for digit in "abc")


def listed(*records: object) -> tuple[list[ListedImage], list[LeftImage]]:
    return list_images(json_of(records), "images.json")


def image(identity: ImageID, *names: str) -> ListedImage:
    return ListedImage(id=identity, said=names, names=tuple(map(Reference.parse, names)))


def test_an_image_counts_once_with_the_names_of_all_its_records() -> None:
    records = [
        {"id": A, "names": ["r.io/a:1"]},
        {"id": B, "names": ["r.io/b:1"]},
        {"id": A, "names": ["r.io/a:2", "r.io/a:1"]},
    ]
    assert listed(*records) == ([image(B, "r.io/b:1"), image(A, "r.io/a:1", "r.io/a:2")], [])


@pytest.mark.parametrize(
    ("said", "names"),
    [
        pytest.param("r.io/a:1", ["r.io/a:1"], id="a name"),
        pytest.param("registry.hub.docker.com/library/debian:12", ["docker.io/library/debian:12"], id="another name of Docker Hub"),
        pytest.param(f"r.io/a:1@sha256:{A}", ["r.io/a:1"], id="a tag and a digest"),
        pytest.param("r.io/a", [], id="no tag"),
        pytest.param("r.io:5000/a", [], id="a port and no tag"),
        pytest.param(f"r.io/a@sha256:{A}", [], id="only a digest"),
        pytest.param("r.io/UPPER:1", [], id="no name"),
        pytest.param("../../etc:1", [], id="a path"),
        pytest.param("", [], id="nothing"),
    ],
)
def test_names_by_which_podman_could_find_it(said: str, names: list[str]) -> None:
    ((found,), left) = listed({"id": A, "names": [said]})
    assert (found.said, [str(name) for name in found.names], left) == ((said,), names, [])


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (7, "images[1]: expected an object, found 7"),
        ({}, "images[1].id: expected an ID of 64 hexadecimal digits, found nothing"),
        ({"id": "../x"}, 'images[1].id: expected an ID of 64 hexadecimal digits, found "../x"'),
        ({"id": A, "names": "r.io/a:1"}, 'images[1].names: expected an array, found "r.io/a:1"'),
        ({"id": A, "names": [1]}, "images[1].names[0]: expected text, found 1"),
    ],
)
def test_an_unreadable_record_is_left(record: object, reason: str) -> None:
    assert listed({"id": B}, record) == ([image(B)], [LeftImage(subject="images[1]", names=(), reason=reason)])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", r"expected JSON, found an empty file"),
        (b'[{"id": "x"', "expected JSON, found 11 bytes that are none"),
        (b"{}", "expected an array, found an object"),
    ],
)
def test_a_damaged_index_is_no_empty_one(data: bytes, said: str) -> None:
    with pytest.raises(FormatError, match=f"^images.json: {said}"):
        list_images(data, "images.json")


def test_null_is_an_empty_index_as_in_go() -> None:
    assert list_images(b"null", "images.json") == ([], [])


def test_a_name_belongs_to_the_last_image_that_claims_it() -> None:
    images = [image(A, "r.io/a:1", "r.io/a:2"), image(B, "r.io/b:1"), image(C, "r.io/a:1")]
    found = settled(images, lambda _image: True)
    assert [[str(name) for name in item.names] for item in found] == [["r.io/a:2"], ["r.io/b:1"], ["r.io/a:1"]]
    assert [item.said for item in found] == [item.said for item in images]


@pytest.mark.parametrize(("fitting", "holder"), [({A, B}, B), ({A}, A), ({C}, C), (set(), C)])
def test_an_image_for_this_machine_comes_before_one_for_another(fitting: set[ImageID], holder: ImageID) -> None:
    images = [image(item, "r.io/a:1") for item in (A, B, C)]
    assert [item.id for item in settled(images, lambda image: image in fitting) if item.names] == [holder]
