from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cstore.registry.challenge import Challenge, parse_challenges

BEARER = {"realm": "https://auth.example.org/token", "service": "x"}


@pytest.mark.parametrize(
    ("values", "challenges"),
    [
        pytest.param([], [], id="none"),
        pytest.param([""], [], id="empty"),
        pytest.param(["Basic"], [("basic", {})], id="only a scheme"),
        pytest.param(['Basic realm="a, b"'], [("basic", {"realm": "a, b"})], id="a comma in quotes"),
        pytest.param(['Bearer realm="https://auth.example.org/token",service="x"'], [("bearer", BEARER)], id="Bearer"),
        pytest.param(
            ['bearer  Realm="https://auth.example.org/token" , SERVICE = x ,scope="repository:a:pull,push"'],
            [("bearer", {**BEARER, "scope": "repository:a:pull,push"})],
            id="spaces, case and a word without quotes",
        ),
        pytest.param([r'Basic realm="a \"b\" \\c"'], [("basic", {"realm": r'a "b" \c'})], id="escapes"),
        pytest.param(
            ['Basic realm="b", Bearer realm="t",service=x'],
            [("basic", {"realm": "b"}), ("bearer", {"realm": "t", "service": "x"})],
            id="two in one",
        ),
        pytest.param(['Basic realm="b"', 'Bearer realm="t"'], [("basic", {"realm": "b"}), ("bearer", {"realm": "t"})], id="two headers"),
        pytest.param(['Negotiate abc==, Basic realm="b"'], [("negotiate", {}), ("basic", {"realm": "b"})], id="one with a lone value"),
        pytest.param(['Negotiate, Basic realm="b"'], [("negotiate", {}), ("basic", {"realm": "b"})], id="one without anything"),
        pytest.param(['Bearer realm="a",realm="b"'], [("bearer", {"realm": "a"})], id="the first of two"),
        pytest.param([',, Bearer realm="a",,service="b"'], [("bearer", {"realm": "a", "service": "b"})], id="empty places"),
        pytest.param(['Bearer realm="open'], [("bearer", {})], id="no closing quote"),
        pytest.param(['Bearer realm="a" x service="b"'], [("bearer", {"realm": "a"})], id="something between"),
        pytest.param(["="], [], id="nothing that can be read"),
        pytest.param(['Bearer realm="' + "a" * 20000 + '"'], [], id="too long"),
    ],
)
def test_challenges(values: list[str], challenges: list[tuple[str, dict[str, str]]]) -> None:
    assert parse_challenges(values) == [Challenge(*challenge) for challenge in challenges]


@given(st.text(alphabet='aB=",\\ ;\t/:', max_size=60))
def test_anything_is_read_or_left_out(value: str) -> None:
    """Spec Q5."""
    assert all(challenge.scheme for challenge in parse_challenges([value]))


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text(st.characters(min_codepoint=32, max_codepoint=126))))
def test_quoted_values_come_back(parameters: dict[str, str]) -> None:
    """Spec Q5."""
    escaped = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in parameters.items()}
    text = "Bearer " + ",".join(f'{name}="{value}"' for name, value in escaped.items())
    assert parse_challenges([text]) == [Challenge("bearer", parameters)]


@pytest.mark.parametrize(
    "value", ["Bearer " + "a=" * 8000, "Basic " + '"' * 16000, "a " * 8000, "B " + "a,=" * 5000, 'B a="' + "\\" * 16000]
)
def test_nothing_takes_long(value: str) -> None:
    begin = time.process_time()
    parse_challenges([value])
    assert time.process_time() - begin < 1
