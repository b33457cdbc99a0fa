"""Names of images, normalised as podman does it."""

from __future__ import annotations

import re
from typing import Self

from attrs import frozen

from cstore.errors import FormatError
from cstore.model.digest import Digest, found

__all__ = ["Reference", "names_of"]

_DEFAULT_DOMAIN = "docker.io"
_DOMAIN_ALIASES = {
    "index.docker.io": _DEFAULT_DOMAIN,
    "registry.hub.docker.com": _DEFAULT_DOMAIN,
}
_LONGEST = 255
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*(?::[0-9]+)?")
_PATH = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_ID = re.compile(r"[0-9a-f]{64}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@frozen
class Reference:
    """A fully qualified name: `DOMAIN/PATH:TAG` or `DOMAIN/PATH@DIGEST` (spec R1 to R4)."""

    domain: str
    path: str
    tag: str = ""
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name and complete it: `debian` is `docker.io/library/debian:latest`.

        Raises:
            FormatError: podman would not take it for a name, or it has both a tag and a digest, which no record can hold.
        """

        def refuse(why: str) -> FormatError:
            return FormatError("name", f"expected an image name such as registry.example.org/path:tag, found {found(text)}: {why}")

        rest, at, digest_text = text.partition("@")
        digest = Digest.parse(digest_text, f"name {found(text)}") if at else None
        head, colon, tag = rest.rpartition(":")
        if colon and "/" not in tag:
            rest = head
            if not _TAG.fullmatch(tag):
                raise refuse("a tag is up to 128 letters, digits, underscores, dots and dashes")
        else:
            tag = ""
        if tag and digest:
            raise refuse("either a tag or a digest, not both")
        if _ID.fullmatch(rest):
            raise refuse("64 hexadecimal digits are an ID")
        domain, path = _split_domain(rest)
        if not _DOMAIN.fullmatch(domain):
            raise refuse("no domain name before the first slash")
        if not _PATH.fullmatch(path):
            raise refuse("a path is of lower-case letters and digits, parted by single dots, dashes, underscores and slashes")
        if len(domain) + 1 + len(path) > _LONGEST:
            raise refuse(f"longer than {_LONGEST} characters before the tag")
        return cls(domain, path, tag or ("" if digest else "latest"), digest)

    @property
    def repository(self) -> str:
        """The name without tag and digest."""
        return f"{self.domain}/{self.path}"

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"


def names_of(reference: Reference) -> tuple[str, ...]:
    """Return all ways to write the repository of a name, its own first: some domains stand for another one."""
    aliases = [alias for alias, domain in _DOMAIN_ALIASES.items() if domain == reference.domain]
    return tuple(f"{domain}/{reference.path}" for domain in (reference.domain, *aliases))


def _split_domain(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        first, rest = _DEFAULT_DOMAIN, text
    first = _DOMAIN_ALIASES.get(first, first)
    if first == _DEFAULT_DOMAIN and "/" not in rest:
        rest = f"library/{rest}"
    return first, rest
