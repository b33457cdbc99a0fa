from __future__ import annotations

import pytest

from cstore.errors import FormatError
from cstore.model.digest import Digest, found

HEX = "0123456789abcdef"


@pytest.mark.parametrize(
    ("algorithm", "length"),
    [pytest.param("sha256", 64, id="sha256"), pytest.param("sha384", 96, id="sha384"), pytest.param("sha512", 128, id="sha512")],
)
def test_a_digest_is_read_and_written(algorithm: str, length: int) -> None:
    text = f"{algorithm}:{(HEX * 8)[:length]}"
    digest = Digest.parse(text)
    assert (digest.algorithm, len(digest.hex), str(digest)) == (algorithm, length, text)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        pytest.param("sha256:12", '"sha256:12"', id="too short"),
        pytest.param(f"sha256:{HEX * 4}0", f'"sha256:{HEX * 4}0"', id="too long"),
        pytest.param(f"sha256:{HEX.upper() * 4}", f'"sha256:{HEX.upper() * 4}"', id="capitals"),
        pytest.param(f"sha256:{'g' * 64}", f'"sha256:{"g" * 64}"', id="no hex"),
        pytest.param(f"sha256:{HEX * 4}\n"[:-2] + "\n", f'"sha256:{HEX * 4}'[:-1] + '\n"', id="a newline for a digit"),
        pytest.param("sha256:" + "٣" * 64, '"sha256:' + "٣" * 64 + '"', id="digits of another script"),
        pytest.param(f"md5:{HEX * 2}", f'"md5:{HEX * 2}"', id="unknown algorithm"),
        pytest.param(HEX * 4, f'"{HEX * 4}"', id="no algorithm"),
        pytest.param(f"sha512:{HEX * 4}", f'"sha512:{HEX * 4}"', id="length of another algorithm"),
        pytest.param("", '""', id="empty"),
        pytest.param("x" * 200, '"' + "x" * 100 + '…"', id="a long text is cut"),
        pytest.param(None, "nothing", id="null"),
        pytest.param(7, "7", id="number"),
        pytest.param(["sha256"], "an array", id="array"),
    ],
)
def test_anything_else_is_refused(value: object, what: str) -> None:
    with pytest.raises(FormatError) as error:
        Digest.parse(value, "layers[3].diff-digest")
    assert str(error.value) == f"layers[3].diff-digest: expected a digest, found {what}"


def test_the_digest_of_bytes() -> None:
    assert str(Digest.of(b"")) == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_a_hasher_is_of_the_same_algorithm(algorithm: str) -> None:
    assert Digest(algorithm, "").hasher().name == algorithm


@pytest.mark.parametrize(
    ("value", "words"),
    [
        pytest.param(None, "nothing", id="null"),
        pytest.param("x", '"x"', id="text"),
        pytest.param(True, "true", id="true"),
        pytest.param(1.5, "1.5", id="fraction"),
        pytest.param({}, "an object", id="object"),
        pytest.param([], "an array", id="array"),
        pytest.param((), "tuple", id="no JSON"),
    ],
)
def test_what_was_found_is_said_in_a_few_words(value: object, words: str) -> None:
    assert found(value) == words
