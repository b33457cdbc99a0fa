from __future__ import annotations

import json

import pytest

from cstore.errors import FormatError
from cstore.index.gojson import decode, encode, members, rewrite

SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
ESCAPED = "<>&\u2028\u2029"


def as_go_writes(text: str) -> str:
    """The rule for one character of a string: short escapes for five, \\u00xx for other controls and for <, >, & and U+2028/9."""
    if text in SHORT:
        return SHORT[text]
    return f"\\u{ord(text):04x}" if text < " " or text in ESCAPED else text


def test_every_character_is_escaped_as_go_does() -> None:
    numbers = [*range(0xD800), *range(0xE000, 0x10000), 0x10000, 0x1F600, 0x10FFFF]
    for number in numbers:
        character = chr(number)
        assert encode(character).decode() == f'"{as_go_writes(character)}"'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("\b\f\x00\x1f\x7f", '"\\u0008\\u000c\\u0000\\u001f\x7f"', id="controls"),
        pytest.param("a/b", '"a/b"', id="slash"),
        pytest.param("<a href='x'>&", "\"\\u003ca href='x'\\u003e\\u0026\"", id="markup"),
        pytest.param("\\b\\<\\\\f", '"\\\\b\\\\\\u003c\\\\\\\\f"', id="backslashes before letters that are escapes"),
        pytest.param("\\u2028", '"\\\\u2028"', id="the text of an escape"),
        pytest.param("\u2027\u2028\u2029\u202a", '"\u2027\\u2028\\u2029\u202a"', id="separators and their neighbours"),
        pytest.param({"b<": [1, -2, True, None], "a": {}}, '{"b\\u003c":[1,-2,true,null],"a":{}}', id="compact, keys in their order"),
        pytest.param([], "[]", id="empty array"),
    ],
)
def test_values_are_written_as_go_does(value: object, text: str) -> None:
    assert encode(value).decode() == text
    assert json.loads(encode(value)) == value


@pytest.mark.parametrize(
    ("data", "what"),
    [
        pytest.param(b"", "an empty file", id="empty"),
        pytest.param(b"\xef\xbb\xbf[]", "5 bytes that are none", id="BOM"),
        pytest.param(b"[1,]", "4 bytes that are none", id="trailing comma"),
        pytest.param(b"[] x", "4 bytes that are none", id="trailing garbage"),
        pytest.param(b"[NaN]", "5 bytes that are none", id="NaN"),
        pytest.param(b"['a']", "5 bytes that are none", id="single quotes"),
        pytest.param(b'["\xff"]', "5 bytes that are none", id="no UTF-8"),
        pytest.param(b'["\n"]', "5 bytes that are none", id="a raw newline in a string"),
        pytest.param(b"[01]", "4 bytes that are none", id="a zero before a number"),
        pytest.param(b"[" * 5000 + b"]" * 5000, "10000 bytes that are none", id="too deep"),
    ],
)
def test_json_is_read_strictly(data: bytes, what: str) -> None:
    with pytest.raises(FormatError) as error:
        decode(data, "images.json")
    assert str(error.value).startswith(f"images.json: expected JSON, found {what} (")


def test_json_is_read() -> None:
    assert decode(b' {"a": [1, "\\u00e9"]}\n', "") == {"a": [1, "é"]}


@pytest.mark.parametrize(
    ("record", "parts"),
    [
        pytest.param(b"{}", {}, id="empty"),
        pytest.param(b" \n{ \t}\r\n", {}, id="empty with spaces"),
        pytest.param(
            b'{"a":1.10,"b":1e400,"c":123456789012345678901234567890}',
            {"a": b"1.10", "b": b"1e400", "c": b"123456789012345678901234567890"},
            id="numbers keep their digits",
        ),
        pytest.param(b'{ "a" : [ 1 ,2 ] , "b" : { } }', {"a": b"[ 1 ,2 ]", "b": b"{ }"}, id="values keep their spaces"),
        pytest.param(b'{"\\u0061\\"":"\\u00e9","\xc3\xa9":"\xc3\xa9"}', {'a"': b'"\\u00e9"', "é": '"é"'.encode()}, id="escapes"),
        pytest.param(b'{"a":"},]\\"","b":null}', {"a": b'"},]\\""', "b": b"null"}, id="brackets in a string"),
    ],
)
def test_the_members_of_a_record(record: bytes, parts: dict[str, bytes]) -> None:
    assert list(members(record, "").items()) == list(parts.items())


@pytest.mark.parametrize(
    ("record", "at", "sentence"),
    [
        pytest.param(b"[]", "images[2]", "images[2]: expected an object", id="array"),
        pytest.param(b'{"a":1,"\\u0061":2}', "images[2]", "images[2].a: expected a member once, found it twice", id="twice"),
        pytest.param(b'{"a":1,"a":1}', "", "a: expected a member once, found it twice", id="twice, without a place"),
    ],
)
def test_what_has_no_members(record: bytes, at: str, sentence: str) -> None:
    with pytest.raises(FormatError) as error:
        members(record, at)
    assert str(error.value) == sentence


ID = {"id": "x"}


@pytest.mark.parametrize(
    ("record", "before", "after", "result"),
    [
        pytest.param(b'{"id":"x"}', ID, ID, b'{"id":"x"}', id="nothing changes"),
        pytest.param(b'{"id":"x","n":1}', {**ID, "n": 1}, {**ID, "n": 2}, b'{"id":"x","n":2}', id="replaced"),
        pytest.param(b'{"n":1,"id":"x"}', {**ID, "n": 1}, {**ID, "n": 2}, b'{"n":2,"id":"x"}', id="replaced in its place"),
        pytest.param(b'{"id":"x","n":1,"z":0}', {**ID, "n": 1}, ID, b'{"id":"x","z":0}', id="taken away"),
        pytest.param(b'{"id":"x","c":1}', {**ID, "c": 1}, {**ID, "b": 2, "c": 1}, b'{"id":"x","b":2,"c":1}', id="new in the middle"),
        pytest.param(b'{"id":"x","u":1}', ID, {**ID, "b": 2}, b'{"id":"x","u":1,"b":2}', id="new at the end"),
        pytest.param(
            b'{"id":"x","d":1}', {**ID, "d": 1}, {**ID, "b": 2, "c": 3, "d": 1}, b'{"id":"x","b":2,"c":3,"d":1}', id="two new ones"
        ),
        pytest.param(b'{"id":"x","n":null}', ID, {**ID, "n": 1}, b'{"id":"x","n":1}', id="null replaced in its place"),
        pytest.param(
            b'{"id":"x","n":1,"u":1.10,"v":1e400,"w":"\\u00e9<"}',
            {**ID, "n": 1},
            {**ID, "n": 2},
            b'{"id":"x","n":2,"u":1.10,"v":1e400,"w":"\\u00e9<"}',
            id="what is unknown keeps its bytes",
        ),
        pytest.param(b'{ "id" : "x",\n "u" : [ 1 ] }', ID, {**ID, "n": "<"}, b'{"id":"x","u":[ 1 ],"n":"\\u003c"}', id="indented"),
        pytest.param(b'{"id":"x","a\\u003c":1}', ID, {**ID, "n": 1}, b'{"id":"x","a\\u003c":1,"n":1}', id="a key with an escape"),
        pytest.param(b'{"id":"x"}', {**ID, "gone": 1}, ID, b'{"id":"x"}', id="what is not there cannot go"),
    ],
)
def test_a_record_is_rewritten_where_it_changed(record: bytes, before: dict[str, object], after: dict[str, object], result: bytes) -> None:
    assert rewrite(record, before, after) == result


def test_a_record_with_a_member_twice_is_not_rewritten() -> None:
    with pytest.raises(FormatError, match=r"^images\[1\]\.id: expected a member once, found it twice$"):
        rewrite(b'{"id":"x","id":"x"}', ID, {**ID, "n": 1}, "images[1]")
