from __future__ import annotations

import pytest

from cstore import errors
from cstore.errors import ContentError, FormatError, NotFoundError, PublishError, SourceError, StoreError


@pytest.mark.parametrize("kind", [ContentError, FormatError, NotFoundError, PublishError, SourceError])
def test_one_base_catches_all(kind: type[StoreError]) -> None:
    assert issubclass(kind, StoreError)
    assert kind.__doc__


def test_these_are_all_there_are() -> None:
    kinds = {item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, Exception)}
    assert kinds == {StoreError, ContentError, FormatError, NotFoundError, PublishError, SourceError}


@pytest.mark.parametrize(
    ("at", "said", "sentence"),
    [
        pytest.param("layers[3].id", "expected text, found 7", "layers[3].id: expected text, found 7", id="with a place"),
        pytest.param("", "expected text, found 7", "expected text, found 7", id="without one"),
    ],
)
def test_a_format_error_names_the_place(at: str, said: str, sentence: str) -> None:
    error = FormatError(at, said)
    assert (str(error), error.at, error.said) == (sentence, at, said)
