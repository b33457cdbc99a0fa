"""Splicing records in and out of an index."""

from __future__ import annotations

import json

import pytest

from cstore.errors import FormatError
from cstore.index.index import Index
from cstore.index.lock import announcement

IDS = [letter * 64 for letter in "abcd"]
A, B, C, D = IDS
LINES = [f'{{"id":"{identity}","n":1.10,"t":"é"}}'.encode() for identity in IDS]
NEW = [f'{{"id":"{"e" * 64}"}}'.encode(), f'{{"id":"{"f" * 64}","n":"\\n"}}'.encode()]
PRETTY = [f'{{\n  "n": 1.10,\n  "t": "é ]",\n  "id": "{identity}"\n }}'.encode() for identity in IDS]
CHANGED = b'{"id":"%s","n":2}'


def own(*lines: bytes) -> bytes:
    return b"[\n" + b",\n".join(lines) + b"\n]\n" if lines else b"[]"


def changed(identity: str) -> bytes:
    return CHANGED % identity.encode()


CASES = [
    pytest.param({A: changed(A)}, [], [changed(A), 1, 2, 3], id="replace the first"),
    pytest.param({B: changed(B)}, [], [0, changed(B), 2, 3], id="replace one in the middle"),
    pytest.param({D: changed(D)}, [], [0, 1, 2, changed(D)], id="replace the last"),
    pytest.param({D: changed(D), A: changed(A)}, [], [changed(A), 1, 2, changed(D)], id="replace first and last"),
    pytest.param({i: changed(i) for i in IDS}, [], [changed(i) for i in IDS], id="replace all"),
    pytest.param({A: None}, [], [1, 2, 3], id="drop the first"),
    pytest.param({C: None}, [], [0, 1, 3], id="drop one in the middle"),
    pytest.param({D: None}, [], [0, 1, 2], id="drop the last"),
    pytest.param({C: None, B: None}, [], [0, 3], id="drop two neighbours"),
    pytest.param({A: None, D: None}, [], [1, 2], id="drop first and last"),
    pytest.param(dict.fromkeys(IDS), [], [], id="drop all"),
    pytest.param({}, NEW, [0, 1, 2, 3, *NEW], id="add two"),
    pytest.param(dict.fromkeys(IDS), NEW, NEW, id="drop all and add"),
    pytest.param({B: None, C: changed(C)}, NEW[:1], [0, changed(C), 3, NEW[0]], id="drop, replace and add"),
    pytest.param({A: changed(A), B: None}, [], [changed(A), 2, 3], id="replace the first and drop the next"),
]


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize(("edits", "added", "result"), CASES)
def test_in_the_own_form(edits: dict[str, bytes | None], added: list[bytes], result: list[int | bytes], announced: bool) -> None:  # noqa: FBT001 - both cases
    data = own(*LINES)
    index = Index.read("images", data, announcement(data, own=True) if announced else b"")
    edited = index.edited(edits, added)
    assert edited.data == own(*(LINES[item] if isinstance(item, int) else item for item in result))
    assert edited.is_own
    assert edited.lock == announcement(edited.data, own=True)
    assert Index.read("images", edited.data).is_own
    assert index.data == data


@pytest.mark.parametrize("glue", [b",", b" ,\n\t", b", "], ids=["compact", "comma before", "spaced"])
@pytest.mark.parametrize(("edits", "added", "result"), CASES)
def test_in_foreign_forms_other_records_keep_their_bytes(
    edits: dict[str, bytes | None], added: list[bytes], result: list[int | bytes], glue: bytes
) -> None:
    index = Index.read("layers", b" [ " + glue.join(PRETTY) + b" ]")
    edited = index.edited(edits, added)
    records = [PRETTY[item] if isinstance(item, int) else item for item in result]
    assert edited.data == own(*records)
    assert edited.is_own is not any(isinstance(item, int) for item in result)
    assert [value["id"] for _, value in edited.all()] == [json.loads(record)["id"] for record in records]
    assert all(edited.raw(json.loads(record)["id"]) == record for record in records)


@pytest.mark.parametrize("data", [own(*LINES), b"[" + b",".join(PRETTY) + b"]", b"[]", b" [\n] "])
def test_where_nothing_changes_no_byte_does(data: bytes) -> None:
    index = Index.read("images", data)
    assert index.edited({}) is index
    assert index.edited({}, []).data == data


@pytest.mark.parametrize("data", [b"[]", b" [ ]\n"], ids=["own", "foreign"])
def test_the_first_records_of_an_empty_index(data: bytes) -> None:
    edited = Index.read("images", data).edited({}, NEW)
    assert edited.data == own(*NEW)
    assert Index.read("images", edited.data, edited.lock).is_own


@pytest.mark.parametrize("data", [own(*LINES), b"[" + b",".join(LINES) + b"]"], ids=["own form", "compact"])
@pytest.mark.parametrize("replacement", [None, NEW[0]], ids=["drop", "replace"])
def test_what_is_not_there_can_be_neither_replaced_nor_dropped(data: bytes, replacement: bytes | None) -> None:
    with pytest.raises(FormatError) as error:
        Index.read("images", data).edited({"e" * 64: replacement})
    assert str(error.value) == f'images: expected a record with the ID "{"e" * 64}", found none'


def test_a_foreign_index_of_one_line_records_is_in_the_own_form_once_it_was_written() -> None:
    edited = Index.read("images", b"[" + b", ".join(LINES) + b"]").edited({A: None})
    assert edited.is_own
    assert edited.lock == announcement(edited.data, own=True)


def test_a_record_that_takes_several_lines_keeps_an_index_foreign() -> None:
    edited = Index.read("images", b"[" + b",".join(PRETTY) + b"]").edited({A: None})
    assert not edited.is_own
    assert edited.lock == announcement(edited.data, own=False)
    assert edited.edited(dict.fromkeys((B, C, D)), NEW).is_own


class TestNoOtherRecordIsDecoded:
    """Garbage stands where other records should be, in an index whose lock announces the own form."""

    garbage = (b'{"id":"%s" this is no JSON \xff' % B.encode(), b"nor is this")
    data = own(garbage[0], LINES[2], garbage[1], LINES[3])

    @pytest.fixture
    def index(self) -> Index:
        return Index.read("images", self.data, announcement(self.data, own=True))

    def test_without_the_lock_it_is_damaged(self) -> None:
        with pytest.raises(FormatError, match=r"^images\.json: expected JSON, found "):
            Index.read("images", self.data)

    def test_finding(self, index: Index) -> None:
        assert index.raw(C) == LINES[2]
        assert index.get(D) == json.loads(LINES[3])
        assert index.get(A) is None
        assert [value["id"] for value in index.mentioning(C)] == [C]

    @pytest.mark.parametrize(
        ("edits", "added", "result"),
        [
            pytest.param({C: changed(C)}, [], [garbage[0], changed(C), garbage[1], LINES[3]], id="replace"),
            pytest.param({C: None}, [], [*garbage, LINES[3]], id="drop"),
            pytest.param({D: None}, [], [garbage[0], LINES[2], garbage[1]], id="drop the last"),
            pytest.param({}, NEW, [garbage[0], LINES[2], garbage[1], LINES[3], *NEW], id="add"),
            pytest.param({B: None}, [], [LINES[2], garbage[1], LINES[3]], id="drop the garbage itself"),
        ],
    )
    def test_editing(self, index: Index, edits: dict[str, bytes | None], added: list[bytes], result: list[bytes]) -> None:
        edited = index.edited(edits, added)
        assert edited.data == own(*result)
        assert edited.lock == announcement(edited.data, own=True)

    def test_the_garbage_itself_is_an_error(self, index: Index) -> None:
        with pytest.raises(FormatError, match=rf"^images\[{B}\]: expected JSON, found {len(self.garbage[0])} bytes that are none \("):
            index.get(B)
        with pytest.raises(FormatError, match=r"^images\[at byte 2\]: expected JSON, found "):
            list(index.mentioning(B))

    def test_a_line_that_is_no_object_is_an_error(self) -> None:
        data = own(b'["x"]')
        with pytest.raises(FormatError, match=r"^images\[at byte 2\]: expected an object with an ID, found an array$"):
            list(Index.read("images", data, announcement(data, own=True)).mentioning("x"))
