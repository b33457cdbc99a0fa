"""Reading an index: its own form, all others, and damaged ones."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest

from cstore.errors import FormatError
from cstore.index.index import EMPTY, Index
from cstore.index.lock import announcement
from cstore.model.image import ImageRecord

A, B, C = "a" * 64, "b" * 64, "c" * 64
RECORDS = [f'{{"id":"{A}","names":["one"]}}', f'{{"id":"{B}","n":1.10}}', f'{{"id":"{C}","text":"é\\u003c"}}']
OWN = ("[\n" + ",\n".join(RECORDS) + "\n]\n").encode()
VALUES = json.loads(OWN)
EXOTIC = [
    f'{{"z" : 1e308, "id":"{A}"}}',
    f'{{"i":123456789012345678901234567890,"f":1.10,"id":"{B}","deep":[[{{"id":"{C}"}}]]}}',
    f'{{\n  "id": "{C}",\n  "\\u0065s\\"c": "\\u00e9 ],}} \\\\",\n  "é": "日本 😀"\n}}',
]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(OWN, id="own form"),
        pytest.param(json.dumps(VALUES, separators=(",", ":")).encode(), id="compact ASCII"),
        pytest.param(json.dumps(VALUES, separators=(",", ":"), ensure_ascii=False).encode(), id="compact"),
        pytest.param(json.dumps(VALUES, indent=2).encode(), id="indented"),
        pytest.param(json.dumps(VALUES, indent="\t", ensure_ascii=False).encode() + b"\n\n", id="indented with tabs"),
        pytest.param(json.dumps([dict(reversed(value.items())) for value in VALUES]).encode(), id="ID last"),
        pytest.param(b" \r\n" + OWN.replace(b"\n", b"\r\n"), id="other line ends"),
    ],
)
def test_any_form_is_read_and_its_records_are_found_as_they_are(data: bytes) -> None:
    index = Index.read("images", data)
    assert [value for _, value in index.all()] == VALUES
    assert [index.get(identity) for identity in (A, B, C)] == VALUES
    raw = [index.raw(identity) for identity in (A, B, C)]
    assert all(record is not None and record in data for record in raw)
    assert [json.loads(record or b"") for record in raw] == VALUES
    assert index.data == data


def test_numbers_escapes_and_spaces_stay_byte_for_byte() -> None:
    data = ("[" + " ,\n".join(EXOTIC) + "]").encode()
    index = Index.read("layers", data)
    assert [index.raw(identity) for identity in (A, B, C)] == [record.encode() for record in EXOTIC]


def test_an_unknown_id_has_no_record() -> None:
    index = Index.read("images", OWN)
    assert index.raw("d" * 64) is None
    assert index.get("d" * 64) is None
    assert Index.read("images", b"[ ]").raw(A) is None


def test_an_id_elsewhere_is_not_taken_for_a_record() -> None:
    data = f'[\n{{"id":"{A}","parent":"{B}","x":{{"id":"{C}"}},"y":"\\n{{\\"id\\":\\"{B}\\"}}"}}\n]\n'.encode()
    for lock in (b"", announcement(data, own=True)):
        index = Index.read("layers", data, lock)
        assert index.is_own
        assert (index.raw(B), index.raw(C)) == (None, None)
        assert index.raw(A) == data[2:-3]


@pytest.mark.parametrize(
    ("data", "own"),
    [
        pytest.param(OWN, True, id="own form"),
        pytest.param(EMPTY, True, id="empty"),
        pytest.param(b"[ ]", False, id="empty with a space"),
        pytest.param(b"[]\n", False, id="empty with a newline"),
        pytest.param(OWN[:-1], False, id="no newline at the end"),
        pytest.param(OWN + b"\n", False, id="two newlines at the end"),
        pytest.param(OWN.replace(b"[\n", b"[", 1), False, id="first record in the first line"),
        pytest.param(OWN.replace(b"},\n{", b"},{"), False, id="records in one line"),
        pytest.param(OWN.replace(b"},\n{", b"}, {"), False, id="a space between records"),
        pytest.param(OWN.replace(b"},\n{", b"}\n,{"), False, id="commas before records"),
        pytest.param(OWN.replace(b'{"id"', b'{ "id"'), False, id="a space before the ID"),
        pytest.param(OWN.replace(b'"id":', b'"id": '), False, id="a space after the colon"),
        pytest.param(OWN.replace(b',"n"', b',\n"n"'), False, id="a record in two lines"),
        pytest.param(f'[\n{{"n":1,"id":"{A}"}}\n]\n'.encode(), False, id="ID not first"),
        pytest.param(f'[\n{{"id":"{A}","t":"\\u00e9"}}\n]\n'.encode(), False, id="another escape"),
        pytest.param(f'[\n{{"id":"{A}","t":"\\/"}}\n]\n'.encode(), False, id="an escaped slash"),
        pytest.param(f'[\n{{"\\u0069d":"{A}"}}\n]\n'.encode(), False, id="an escaped key"),
    ],
)
def test_which_form_is_the_own_one(data: bytes, own: bool) -> None:  # noqa: FBT001 - a column of the table
    assert Index.read("images", data).is_own is own


def test_the_lock_announces_the_index_and_its_form() -> None:
    assert Index.read("images", OWN).lock == announcement(OWN, own=True)
    assert Index.read("images", b"[ ]").lock == announcement(b"[ ]", own=False)
    assert Index.empty("images").data == b"[]"


def test_places() -> None:
    assert Index.read("images", OWN).place(C) == "images[2]"
    assert Index.read("images", OWN, announcement(OWN, own=True)).place(C) == f"images[{C}]"
    assert Index.read("images", OWN).place("?") == "images[?]"
    assert [place for place, _ in Index.read("layers", OWN).all()] == ["layers[0]", "layers[1]", "layers[2]"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        pytest.param(b"{}", "images.json: expected an array, found an object", id="object"),
        pytest.param(b'"[]"', 'images.json: expected an array, found "[]"', id="text"),
        pytest.param(b"null", "images.json: expected an array, found nothing", id="null"),
        pytest.param(b"0", "images.json: expected an array, found 0", id="number"),
        pytest.param(b"[null]", "images[0]: expected an object with an ID, found nothing", id="null for a record"),
        pytest.param(b'["a"]', 'images[0]: expected an object with an ID, found "a"', id="text for a record"),
        pytest.param(b"[[]]", "images[0]: expected an object with an ID, found an array", id="array for a record"),
        pytest.param(b'[{"id":"a"},{"Id":"b"}]', "images[1]: expected an object with an ID, found an object", id="no ID"),
        pytest.param(b'[{"id":7}]', "images[0]: expected an object with an ID, found an object", id="number for an ID"),
        pytest.param(
            b'[{"id":"a"},{"id":"b"},{"id":"a"}]', "images[2].id: expected an ID of its own, found that of images[0]", id="an ID twice"
        ),
    ],
)
def test_what_is_no_index(data: bytes, sentence: str) -> None:
    with pytest.raises(FormatError) as error:
        Index.read("images", data)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("data", "what"),
    [
        pytest.param(b"", "an empty file", id="empty file"),
        pytest.param(b" \n", "2 bytes that are none", id="spaces"),
        pytest.param(b"\xef\xbb\xbf" + OWN, f"{len(OWN) + 3} bytes that are none", id="BOM"),
        pytest.param(OWN.replace(b"\n]", b",\n]"), f"{len(OWN) + 1} bytes that are none", id="trailing comma"),
        pytest.param(OWN + b"]", f"{len(OWN) + 1} bytes that are none", id="trailing garbage"),
        pytest.param(OWN + OWN, f"{2 * len(OWN)} bytes that are none", id="twice"),
        pytest.param(OWN + b"\0", f"{len(OWN) + 1} bytes that are none", id="a NUL at the end"),
        pytest.param(bytes(40), "40 bytes that are none", id="all NULs"),
    ],
)
def test_a_damaged_index_is_never_read_as_an_empty_one(data: bytes, what: str) -> None:
    with pytest.raises(FormatError) as error:
        Index.read("images", data)
    assert str(error.value).startswith(f"images.json: expected JSON, found {what} (")


@pytest.mark.parametrize("data", [OWN, json.dumps(VALUES, indent=1, ensure_ascii=False).encode()], ids=["own form", "indented"])
def test_an_index_cut_short_anywhere_is_an_error(data: bytes) -> None:
    whole = len(data.rstrip())
    for length in range(whole):
        with pytest.raises(FormatError, match=r"^images\.json: expected JSON, found "):
            Index.read("images", data[:length], announcement(data, own=True))


@pytest.mark.parametrize("own", [True, False])
def test_the_records_that_mention_a_text(own: bool) -> None:  # noqa: FBT001 - both forms
    values = [
        {"id": A, "names": ["x", "é<"], "names-history": ["x"]},
        {"id": B, "metadata": '["x"]', "x": 1, "names": ["xx"]},
        {"id": C, "flags": {"deep": [{"k": "x"}]}},
    ]
    lines = ",\n".join(json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c") for value in values)
    data = (f"[\n{lines}\n]\n" if own else f"[{lines}]").encode()
    index = Index.read("images", data)
    assert index.is_own is own
    assert [value["id"] for value in index.mentioning("x") if "x" not in value] == [A, C]
    assert [value["id"] for value in index.mentioning("é<")] == [A]
    assert [value["id"] for value in index.mentioning(B)] == [B]
    assert list(index.mentioning("y")) == []


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b'[\n\r{"id":"64"},\n{"id":"0","s":[0]}\n]\n', id="a blank before the first record"),
        pytest.param(b'[\n{"id":"64"}\t\n]\n', id="a blank after the last one"),
        pytest.param(b'[\n{"id":"64"},\n\n{"id":"0"}\n]\n', id="an empty line"),
    ],
)
def test_a_blank_that_no_line_has_makes_it_another_form(data: bytes) -> None:
    index = Index.read("images", data)
    assert not index.is_own
    assert index.raw("64") == b'{"id":"64"}'
    assert Index.read("images", data, index.lock).raw("64") == b'{"id":"64"}'


@pytest.mark.parametrize("data", [b"1", b"{}", b"null", b'"text"', b"[1]", b"[[]]", b'[\n{"id":1}\n]\n', b'[\n{"a":"b"}\n]\n', b"", b"\n"])
def test_an_index_for_which_a_lock_vouches_wrongly_is_refused_like_any_other(data: bytes) -> None:
    def read() -> Index:
        index = Index.read("images", data, announcement(data, own=True))
        assert [ImageRecord.from_dict(value, at) for at, value in index.all()]
        return index

    def looked_for(text: str) -> object:
        index = Index.read("images", data, announcement(data, own=True))
        return [value["id"] for value in index.mentioning(text)] or index.get(text)

    with pytest.raises(FormatError):
        read()
    for text in ("a", "b", "id", "text", "1"):
        with suppress(FormatError):
            assert looked_for(text) is None
