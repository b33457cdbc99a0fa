"""Names of images in registries, as people write them in wishlists and on command lines."""

from __future__ import annotations

import re
from typing import Self

from attrs import evolve, frozen

from cstore.errors import FormatError
from cstore.model.digest import Digest, found
from cstore.model.reference import Reference

__all__ = ["RemoteName"]

_SCHEMES = ("docker://", "https://", "http://")
_HUB = "docker.io"
_HOST = re.compile(r"(?:localhost|[^:/]*\.[^:/]*)(?::[0-9]{1,5}$|(?=:|$))")
"""What can only be a registry: at Docker Hub no image of one word has a dot."""


@frozen
class RemoteName:
    """Where an image is: a registry, a repository in it, and a tag, a digest, or both (then the digest decides).

    The registry is kept as it was written, since public names are made of it: `registry.hub.docker.com/library/debian:12` and
    `docker.io/library/debian:12` are one image of one registry under two public names.
    """

    registry: str
    """Its host, with the port where one is given."""
    repository: str
    """Its path there; at Docker Hub an image of one word is below `library/`."""
    tag: str = ""
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str, at: str = "name") -> Self:
        """Read `[docker://|https://|http://][REGISTRY/]REPOSITORY[:TAG][@DIGEST]`; without tag and digest it is `latest`.

        Args:
            text: as people write it; without a registry it is Docker Hub's.
            at: what errors call it.

        Raises:
            FormatError: it is no such name.
        """
        scheme = next((scheme for scheme in _SCHEMES if text.startswith(scheme)), "")
        rest, _, digest = text.removeprefix(scheme).partition("@")
        parsed = Digest.parse(digest, at) if "@" in text else None
        try:
            reference = Reference.parse(rest)
        except FormatError as error:
            raise FormatError(at, f"expected [docker://]REGISTRY/REPOSITORY[:TAG][@DIGEST], found {found(text)}: {error.said}") from None
        first, _, path = rest.partition("/")
        if not path and (lone := _HOST.match(rest)):
            raise FormatError(
                at, f"expected [docker://]REGISTRY/REPOSITORY[:TAG][@DIGEST], found {found(text)}: no repository after {lone[0]}"
            )
        written = first if "/" in rest and re.search(r"[.:]|^localhost$", first) else _HUB
        tag = "" if parsed and ":" not in rest.rpartition("/")[2] else reference.tag
        return cls(written, reference.path, tag, parsed)

    @property
    def home(self) -> str:
        """Its repository with the registry, as that was written."""
        return f"{self.registry}/{self.repository}"

    @property
    def public(self) -> str:
        """The name below which readers find what is published of it: the tag where there is one, or else the digest."""
        return f"{self.home}:{self.tag or self.digest}"

    @property
    def reference(self) -> Reference:
        """Its name in a store, as podman normalises it."""
        return Reference.parse(self.home + (f":{self.tag}" if self.tag else f"@{self.digest}"))

    @property
    def identifier(self) -> str:
        """What a registry is asked for: the digest where there is one, or else the tag."""
        return str(self.digest or self.tag)

    def tagged(self, tag: str) -> Self:
        """Return the same with another tag, and without a digest."""
        return evolve(self, tag=tag, digest=None)

    def __str__(self) -> str:
        return f"docker://{self.home}" + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")
