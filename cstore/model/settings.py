"""What an image's config says of running it (spec E9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from attrs import field, frozen

from cstore.model.fields import Fields, text

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Settings"]


@frozen(kw_only=True)
class Settings:
    """What is run, in which environment, and how the image is labelled."""

    env: tuple[str, ...] = ()
    """`NAME=VALUE`, or `NAME` alone."""
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(factory=dict)

    @classmethod
    def from_dict(cls, value: object, at: str = "") -> Self:
        """Read them from a whole config, as the JSON decoder gave it; one that has none of them is as good as any.

        Raises:
            FormatError: a member has the wrong type; it names the member.
        """
        whole = Fields(value, at)
        inner = whole.raw("config")
        if inner is None:
            return cls()
        take = Fields(inner, whole.at("config"))
        made = cls(
            env=take.texts("Env"),
            entrypoint=_words(take, "Entrypoint"),
            cmd=_words(take, "Cmd"),
            labels=take.mapping("Labels", _text_or_null),
        )
        take.unrecognized()
        return made


def _words(take: Fields, key: str) -> tuple[str, ...]:
    """Return the words of a command; Docker takes a text for a command of one word."""
    value = take.raw(key)
    return (value,) if isinstance(value, str) else take.texts(key)


def _text_or_null(value: object, at: str) -> str:
    return "" if value is None else text(value, at)
