from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cstore.sync.document import LARGEST, MOST_VALUES, Document, Items, Members, Place, Text, Value, parse_document, told


def plain(value: Value | None) -> object:
    """Return a value without its places."""
    if isinstance(value, Text):
        return None if value.is_null else value.text
    if isinstance(value, Items):
        return [plain(item) for item in value.items]
    assert isinstance(value, Members)
    return {key.text: plain(member) for key, member in value.members}


def problems(data: bytes) -> list[str]:
    return [f"{problem.place.line}:{problem.place.column}: {problem.said}" for problem in parse_document(data).problems]


def test_values_know_where_they_stand() -> None:
    found = parse_document(b"a: 1\nb:\n  - 'x'\n  - {c: d}\n").value
    assert isinstance(found, Members)
    (one, _), (two, items) = found.members
    assert (one.place, two.place, items.place) == (Place(1, 1), Place(2, 1), Place(3, 3))
    assert isinstance(items, Items)
    assert [item.place for item in items.items] == [Place(3, 5), Place(4, 5)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\xef\xbb\xbfa: b", {"a": "b"}),
        (b"a: b\r\n# comment\r\n", {"a": "b"}),
        (b"---\na: b\n...\n", {"a": "b"}),
        (b'{"a": ["b", 1, null]}', {"a": ["b", "1", None]}),
        (b"a: ~\nb:\nc: 'null'\nd: ''", {"a": None, "b": None, "c": "null", "d": ""}),
        (b"a: 1.20\nb: 0x10\nc: yes\nd: 2026-01-02", {"a": "1.20", "b": "0x10", "c": "yes", "d": "2026-01-02"}),
        (b"a: |\n  x\n  y\nb: >\n  x\n  y\n", {"a": "x\ny\n", "b": "x y\n"}),
        (b"a: &x [1]\nb: *x", {"a": ["1"], "b": ["1"]}),
        (b"a: &x {p: 1, q: 2}\nb: {q: 3, <<: *x}", {"a": {"p": "1", "q": "2"}, "b": {"q": "3", "p": "1"}}),
        (b"a: &x {p: 1}\nb: &y {p: 2, q: 2}\nc: {<<: [*x, *y]}", {"a": {"p": "1"}, "b": {"p": "2", "q": "2"}, "c": {"p": "1", "q": "2"}}),
    ],
)
def test_what_people_write_is_read(data: bytes, expected: object) -> None:
    """Spec U1."""
    assert problems(data) == []
    assert plain(parse_document(data).value) == expected


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"", ["1:1: expected a wishlist, found nothing"], id="empty"),
        pytest.param(b"# nothing\n", ["1:1: expected a wishlist, found nothing"], id="comment"),
        pytest.param(b"a: b\n\xff", ["2:1: expected UTF-8, found the byte 0xff"], id="latin 1"),
        pytest.param("ä: \ud800".encode("utf-8", "surrogatepass"), ["1:4: expected UTF-8, found the byte 0xed"], id="surrogate"),
        pytest.param(b"\xff\xfea\x00", ["1:1: expected UTF-8, found the byte 0xff"], id="UTF-16"),
        pytest.param(b"a: b\nc: \x00", ["2:4: expected text, found the sign U+0000"], id="nul"),
        pytest.param(
            b"a: [b",
            ["1:6: expected YAML, found an error: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'"],
            id="open",
        ),
        pytest.param(b"a: b: c", ["1:5: expected YAML, found an error: mapping values are not allowed here"], id="two colons"),
        pytest.param(
            b"a: 1\n\tb: 1",
            ["2:1: expected YAML, found an error: while scanning for the next token, found character '\\t' that cannot start any token"],
            id="tab",
        ),
        pytest.param(b"a: !!python/none x", ['1:4: expected no tag, found "tag:yaml.org,2002:python/none"'], id="tag"),
        pytest.param(b"a: !x 1\nb: !y 2", ['1:4: expected no tag, found "!x"', '2:4: expected no tag, found "!y"'], id="two tags"),
        pytest.param(b"a: 1\nb: 2\na: 3", ['3:1: expected each key once, found "a" again, as in line 1'], id="a key twice"),
        pytest.param(b"? [a]\n: b", ["1:3: expected a key, found a list"], id="a list as key"),
        pytest.param(b"a: *x", ['1:4: expected the name of an anchor that ends before it, found "x"'], id="no anchor"),
        pytest.param(b"a: &x [*x]", ['1:8: expected the name of an anchor that ends before it, found "x"'], id="in itself"),
        pytest.param(b"a: 1\n---\nb: 1", ["3:1: expected one document, found another"], id="two documents"),
        pytest.param(b"[" * 50, ["1:21: expected values nested up to 20 deep, found more"], id="deep"),
        pytest.param(b"a: {<<: 1}", ['1:9: expected a mapping to merge, found "1"'], id="merge"),
        pytest.param(b'a: "\\UFFFFFFFF"', ["1:1: expected YAML, found an error after this place: "], id="no sign"),
        pytest.param(
            b"%YAML 3.0\n---\na",
            ["1:1: expected YAML, found an error: found incompatible YAML document (version 1.* is required)"],
            id="YAML 3",
        ),
    ],
)
def test_what_is_no_document_is_told_with_its_place(data: bytes, said: list[str]) -> None:
    """Spec U2."""
    assert [problem if len(said) > 1 else problem[: max(len(said[0]), 1)] for problem in problems(data)] == said


def test_a_large_file_is_refused() -> None:
    """Spec U2."""
    assert problems(b"#" * (LARGEST + 1)) == [f"1:1: expected at most {LARGEST} bytes, found more"]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"- a\n" * (MOST_VALUES + 1), id="values"),
        pytest.param(
            b"a: &a {" + b",".join(b"k%d: 1" % number for number in range(9000)) + b"}\n" + b"b: {<<: [" + b"*a," * 9000 + b"]}",
            id="merges",
        ),
    ],
)
def test_what_would_take_long_is_refused_soon(data: bytes) -> None:
    """Spec U2."""
    start = time.monotonic()
    assert [problem.partition(" ")[2] for problem in problems(data)] == [f"expected at most {MOST_VALUES} values, found more"]
    assert time.monotonic() - start < 20


def test_a_bomb_stays_as_small_as_it_is_written() -> None:
    """Spec U2: a list of lists of lists, nine times nine times."""
    lines = [b"a0: &a0 [x]", *(b"a%d: &a%d [%s]" % (number, number, b",".join([b"*a%d" % (number - 1)] * 9)) for number in range(1, 30))]
    found = parse_document(b"\n".join(lines))
    assert found.problems == ()
    assert isinstance(found.value, Members)


@given(st.binary(max_size=200) | st.text("a:-[]{}&*!|>'\"\n #%?,<~\t", max_size=60).map(str.encode))
def test_whatever_it_is_nothing_is_raised(data: bytes) -> None:
    """Spec U2."""
    found = parse_document(data)
    assert isinstance(found, Document)
    assert found.value is not None or found.problems


@pytest.mark.parametrize(("data", "expected"), [(b"a", '"a"'), (b"~", "nothing"), (b"[a]", "a list"), (b"{a: b}", "a mapping")])
def test_a_value_is_told_in_a_few_words(data: bytes, expected: str) -> None:
    value = parse_document(data).value
    assert value is not None
    assert told(value) == expected
