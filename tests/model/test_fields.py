from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from cstore.errors import FormatError
from cstore.model.digest import Digest
from cstore.model.fields import Fields, text, whole

if TYPE_CHECKING:
    from collections.abc import Callable

SHA = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("read", "value", "result"),
    [
        pytest.param(Fields.raw, 1.5, 1.5, id="raw"),
        pytest.param(Fields.text, "x", "x", id="text"),
        pytest.param(Fields.count, 0, 0, id="count"),
        pytest.param(Fields.digest, SHA, Digest.parse(SHA), id="digest"),
        pytest.param(Fields.digest_or_none, SHA, Digest.parse(SHA), id="digest or none"),
        pytest.param(Fields.digest_or_none, "", None, id="empty digest"),
        pytest.param(Fields.texts, ["b", "a"], ("b", "a"), id="texts"),
        pytest.param(Fields.counts, [2, -1], (2, -1), id="counts"),
        pytest.param(lambda take, key: take.text_or(key, "y"), "x", "x", id="text or default"),
        pytest.param(lambda take, key: take.count_or(key, 4), -1, -1, id="count or default"),
        pytest.param(lambda take, key: take.items(key, whole), (3,), (3,), id="items"),
        pytest.param(lambda take, key: take.mapping(key, text), {"k": "v"}, {"k": "v"}, id="mapping"),
    ],
)
def test_a_member_is_read(read: Callable[[Fields, str], object], value: object, result: object) -> None:
    assert read(Fields({"a": value}, "at"), "a") == result


@pytest.mark.parametrize("members", [pytest.param({}, id="absent"), pytest.param({"a": None}, id="null")])
@pytest.mark.parametrize(
    ("read", "result"),
    [
        pytest.param(Fields.raw, None, id="raw"),
        pytest.param(Fields.digest_or_none, None, id="digest or none"),
        pytest.param(Fields.texts, (), id="texts"),
        pytest.param(Fields.counts, (), id="counts"),
        pytest.param(lambda take, key: take.text_or(key, "y"), "y", id="text or default"),
        pytest.param(lambda take, key: take.count_or(key, 4), 4, id="count or default"),
        pytest.param(lambda take, key: take.mapping(key, text), {}, id="mapping"),
    ],
)
def test_what_an_absent_member_reads_as(read: Callable[[Fields, str], object], members: dict[str, object], result: object) -> None:
    assert read(Fields(members, "at"), "a") == result


@pytest.mark.parametrize(
    ("read", "value", "sentence"),
    [
        pytest.param(Fields.text, None, "at.a: expected text, found nothing", id="no text"),
        pytest.param(Fields.text, 7, "at.a: expected text, found 7", id="a number for a text"),
        pytest.param(lambda take, key: take.text_or(key, ""), [], "at.a: expected text, found an array", id="an array for a text"),
        pytest.param(Fields.count, None, "at.a: expected a whole number, found nothing", id="no count"),
        pytest.param(Fields.count, -1, "at.a: expected a number of at least 0, found -1", id="a negative count"),
        pytest.param(Fields.count, 1.0, "at.a: expected a whole number, found 1.0", id="a fraction"),
        pytest.param(lambda take, key: take.count_or(key, 0), True, "at.a: expected a whole number, found true", id="a bool for a count"),
        pytest.param(Fields.digest, "", 'at.a: expected a digest, found ""', id="empty digest"),
        pytest.param(Fields.digest_or_none, 0, "at.a: expected a digest, found 0", id="a number for a digest"),
        pytest.param(Fields.texts, "ab", 'at.a: expected an array, found "ab"', id="a text for an array"),
        pytest.param(Fields.texts, {"0": "a"}, "at.a: expected an array, found an object", id="an object for an array"),
        pytest.param(Fields.texts, ["a", None], "at.a[1]: expected text, found nothing", id="null in an array"),
        pytest.param(Fields.counts, [1, "2"], 'at.a[1]: expected a whole number, found "2"', id="a text in counts"),
        pytest.param(
            lambda take, key: take.mapping(key, text), [], "at.a: expected an object, found an array", id="an array for a mapping"
        ),
        pytest.param(
            lambda take, key: take.mapping(key, text), {"k'": 1}, 'at.a["k\'"]: expected text, found 1', id="a number in a mapping"
        ),
    ],
)
def test_a_wrong_member_is_named(read: Callable[[Fields, str], object], value: object, sentence: str) -> None:
    with pytest.raises(FormatError) as error:
        read(Fields({"a": value}, "at"), "a")
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("value", "what"), [(None, "nothing"), ([], "an array"), ("x", '"x"'), (1, "1")], ids=["null", "array", "text", "number"]
)
def test_a_record_is_an_object(value: object, what: str) -> None:
    with pytest.raises(FormatError) as error:
        Fields(value, "images[3]")
    assert str(error.value) == f"images[3]: expected an object, found {what}"


def test_a_place_without_a_record_is_the_member_alone() -> None:
    assert Fields({}, "").at("id") == "id"


def test_what_was_never_asked_for_is_left_and_the_argument_is_not_changed() -> None:
    value = MappingProxyType({"a": 1, "b": None, "c": [2]})
    take = Fields(value, "at")
    take.raw("a")
    assert take.unrecognized() == {"b": None, "c": [2]}
    assert value == {"a": 1, "b": None, "c": [2]}


@pytest.mark.parametrize("members", [{"Names": []}, {"names": [], "NAMES": []}], ids=["alone", "beside the known one"])
def test_a_member_that_go_would_take_for_a_known_one_is_refused(members: dict[str, object]) -> None:
    take = Fields(members, "images[0]")
    take.texts("names")
    name = list(members)[-1]
    with pytest.raises(FormatError) as error:
        take.unrecognized()
    assert str(error.value) == f'images[0].{name}: expected the member "names", found one that differs from it in case'
