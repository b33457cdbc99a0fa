from __future__ import annotations

import hashlib

import pytest

from cstore.errors import FormatError
from cstore.model.chain import is_id, layer_id, layer_ids, parse_image_id, parse_layer_id
from cstore.model.digest import Digest

A, B, C = (Digest("sha256", letter * 64) for letter in "abc")


def test_a_base_layer_is_called_by_its_diff_id() -> None:
    assert layer_id(None, A) == "a" * 64


def test_any_other_layer_is_called_by_its_parent_and_diff_id() -> None:
    joined = "a" * 64 + "+" + "b" * 64
    assert layer_id(parse_layer_id("a" * 64), B) == hashlib.sha256(joined.encode()).hexdigest()


def test_it_is_not_the_chain_id_of_oci() -> None:
    assert layer_id(parse_layer_id("a" * 64), B) != hashlib.sha256(f"{A} {B}".encode()).hexdigest()


def test_a_chain() -> None:
    base, middle, top = layer_ids([A, B, C])
    assert (base, middle, top) == ("a" * 64, layer_id(base, B), layer_id(middle, C))
    assert layer_ids([]) == ()


def test_one_diff_on_two_parents_is_two_layers() -> None:
    assert layer_ids([A, C])[1] != layer_ids([B, C])[1]
    assert len(set(layer_ids([A, A, A]))) == 3


@pytest.mark.parametrize("parse", [parse_layer_id, parse_image_id])
@pytest.mark.parametrize(
    ("value", "what"),
    [
        pytest.param("a" * 63, '"' + "a" * 63 + '"', id="too short"),
        pytest.param("A" * 64, '"' + "A" * 64 + '"', id="capitals"),
        pytest.param("a" * 64 + "\n", '"' + "a" * 64 + '\n"', id="newline"),
        pytest.param("../" + "a" * 61, '"../' + "a" * 61 + '"', id="a path"),
        pytest.param(None, "nothing", id="null"),
        pytest.param(5, "5", id="number"),
    ],
)
def test_an_id_becomes_a_path_and_is_read_strictly(parse: type, value: object, what: str) -> None:
    with pytest.raises(FormatError) as error:
        parse(value, "images[0].id")
    assert str(error.value) == f"images[0].id: expected an ID of 64 hexadecimal digits, found {what}"


def test_a_good_id_is_returned() -> None:
    assert parse_layer_id("0a" * 32) == "0a" * 32
    assert parse_image_id("0a" * 32) == "0a" * 32


@pytest.mark.parametrize(
    ("text", "expected"), [("a" * 64, True), ("A" * 64, False), ("a" * 63, False), ("../" + "a" * 61, False), ("a" * 64 + "\n", False)]
)
def test_ids(text: str, expected: bool) -> None:  # noqa: FBT001 - of a table
    assert is_id(text) == expected
