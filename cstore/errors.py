"""The errors that cstore raises: one base, and a child for each thing that a caller may want to treat differently.

Every message names the place and says what was expected there and what was found.
"""

from __future__ import annotations


class StoreError(Exception):
    """Anything that keeps cstore from doing what it was asked to do."""


class FormatError(StoreError):
    """A file or a value does not have the form that its format requires.

    Args:
        at: the place, as in `layers[3].diff-digest` or `sha256:…: member "a/b"`.
        said: what was expected there and what was found.
    """

    def __init__(self, at: str, said: str) -> None:
        super().__init__(f"{at}: {said}" if at else said)
        self.at = at
        self.said = said


class ContentError(StoreError):
    """Bytes are not what was promised of them: a digest, a size, a layer that ends too early or tries to leave its tree."""


class SourceError(StoreError):
    """A source has no such image, or one that cannot be put into a store."""


class NotFoundError(StoreError):
    """The store holds no image of that name or ID."""


class PublishError(StoreError):
    """A change could not be written; the store holds what it held before."""
