"""What is published and wished no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from cstore.errors import FormatError
from cstore.hub.layout import METADATA, OTHERS, STORE, HubLayout
from cstore.model.offer import Offer
from cstore.model.reference import Reference, names_of

if TYPE_CHECKING:
    from cstore.sync.assembly import Assembly
    from cstore.sync.expansion import Expansion
    from cstore.sync.published import Published

__all__ = ["Unwished", "unwished"]


@frozen(order=True)
class Unwished:
    """A name that is published, and that no wish stands for."""

    name: str
    """As it is public."""
    platform: str
    """What paths call it; empty for the usual one."""
    in_store: tuple[tuple[str, str], ...] = ()
    """Its store, and its name there; none where it is in no store."""
    paths: tuple[tuple[str, str], ...] = ()
    """Its public path, and that of its metadata; none where neither is."""
    is_protected: bool = False
    """Whether it may be wished all the same: a wishlist or a list of tags could not be read."""

    def remove(self, assembly: Assembly) -> None:
        """Have the name removed."""
        for store, name in self.in_store:
            assembly.drop(store, name)
        for path, metadata in self.paths:
            assembly.withdraw(path, metadata)


def unwished(published: Published, expansion: Expansion) -> list[Unwished]:
    """Return the names that are published and that no wish stands for, ordered."""
    wished = {(HubLayout(image.platform).store, str(image.name.reference)) for image in expansion.wanted if Offer.PODMAN in image.offers}
    paths = {HubLayout(image.platform).name(image.name) for image in expansion.wanted}
    found: dict[tuple[str, str], Unwished] = {}
    for path in sorted({*published.reading.names(), *published.reading.described()} - paths):
        word, name = _split(path)
        found[word, name] = Unwished(name, word, (), ((path, f"{METADATA}/{path}"),), _is_protected(expansion, name))
    for store, name in sorted(_stored(published) - wished):
        word, public = store.removeprefix(STORE).removeprefix("."), name.replace("@", ":")
        same = found.get((word, public))
        is_protected = _is_protected(expansion, public)
        found[word, public] = Unwished(public, word, ((store, name),), same.paths if same else (), is_protected)
    return sorted(found.values())


def _split(path: str) -> tuple[str, str]:
    """Split the path of a public name into what it calls the platform, and the name."""
    if not path.startswith(f"{OTHERS}/"):
        return "", path
    word, _, name = path.removeprefix(f"{OTHERS}/").partition("/")
    return word.replace(":", "."), name


def _stored(published: Published) -> set[tuple[str, str]]:
    return {(path, name) for path in published.reading.stores() for name in published.images(path)}


def _is_protected(expansion: Expansion, name: str) -> bool:
    """Whether a wish that could not be expanded may stand for a name, however it writes its registry."""
    return any(expansion.protects(spelling) for spelling in _spellings(name))


def _spellings(name: str) -> tuple[str, ...]:
    repository, _, tag = name.rpartition(":")
    if repository.endswith(":sha256"):
        repository = repository.removesuffix(":sha256")
        tag = f"sha256:{tag}"
    try:
        return tuple(f"{spelled}:{tag}" for spelled in names_of(Reference.parse(repository)))
    except FormatError:
        return (name,)
