"""Records are read as Go reads them: what it refuses is told, what it takes is taken."""

from __future__ import annotations

import pytest

from cstore.verification.records import Image, Layer, Wrong, decoded, read_images, read_layers

ID = "a" * 64


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b' [ {"a": 1} ]\n', [{"a": 1}]),
        (b"null", None),
        (b'"\xff"', "\ufffd"),
        (b'"\\ud800"', "\ud800"),
        (b'{"a":1,"a":2}', {"a": 2}),
    ],
)
def test_json_that_go_takes(data: bytes, value: object) -> None:
    assert decoded(data) == value


@pytest.mark.parametrize("data", [b"", b"[", b"[1,]", b"\xef\xbb\xbf[]", b"[] []", b"NaN", b"Infinity", b"{'a':1}", b"[" * 200_000])
def test_json_that_go_refuses(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decoded(data)


@pytest.mark.parametrize(
    ("value", "at", "said"),
    [
        (None, "layers[0]", "expected an object, found nothing"),
        ([], "layers[0]", "expected an object, found an array"),
        ({"id": 1}, "layers[0].id", "expected text, found 1"),
        ({"id": ID, "diff-size": 1.5}, "layers[0].diff-size", "expected a whole number, found 1.5"),
        ({"id": ID, "diff-size": True}, "layers[0].diff-size", "expected a whole number, found true"),
        ({"id": ID, "diff-size": 2**63}, "layers[0].diff-size", "expected a whole number, found 9223372036854775808"),
        ({"id": ID, "created": ""}, "layers[0].created", 'expected a time, found ""'),
        ({"id": ID, "uidset": [-1]}, "layers[0].uidset", "expected what readers decode, found an array with something else in it"),
        ({"id": ID, "Names": "x"}, "layers[0].names", 'expected what readers decode, found "x"'),
        ({"id": ID, "flags": []}, "layers[0].flags", "expected what readers decode, found an array with something else in it"),
        (
            {"id": ID, "uidmap": [{"size": "1"}]},
            "layers[0].uidmap",
            "expected what readers decode, found an array with something else in it",
        ),
    ],
)
def test_layers_that_readers_cannot_decode(value: object, at: str, said: str) -> None:
    assert list(read_layers([value])) == [Wrong(at, said)]


def test_a_layer_with_all_that_may_be_null() -> None:
    members = dict.fromkeys(("names", "parent", "created", "diff-digest", "diff-size", "uidset", "flags", "uidmap"))
    (layer,) = read_layers([{"id": ID, **members}])
    assert isinstance(layer, Layer)
    assert (layer.at, layer.id, layer.parent, layer.diff_digest, layer.diff_size) == ("layers[0]", ID, "", "", 0)


def test_an_image_whose_members_are_called_otherwise() -> None:
    value = {"ID": ID, "NAMES": ["x", None], "Layer": "y", "big-data-sizes": {"k": None}, "more": 1}
    (image,) = read_images([value])
    assert isinstance(image, Image)
    assert (image.id, image.names, image.layer, image.sizes, image.members["more"]) == (ID, ["x", ""], "y", {"k": 0}, 1)


@pytest.mark.parametrize("member", ["names", "names-history", "mapped-layers", "big-data-names"])
def test_images_with_other_things_than_texts(member: str) -> None:
    (found,) = read_images([{"id": ID, member: [1]}])
    assert found == Wrong(f"images[0].{member}", "expected what readers decode, found an array with something else in it")
