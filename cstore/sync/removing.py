"""What is published and wished no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import field, frozen

from cstore.errors import FormatError
from cstore.hub.layout import METADATA, OTHERS, STORE, HubLayout, own_name
from cstore.model.offer import Offer
from cstore.model.reference import Reference, names_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from cstore.sync.assembly import Assembly
    from cstore.sync.expansion import Expansion
    from cstore.sync.published import Published

__all__ = ["Unwished", "spellings", "unwished"]


@frozen(kw_only=True)
class Unwished:
    """What is published under a name, and no wish stands for."""

    name: str
    """As it is public."""
    platform: str
    """What paths call it; empty for the usual one."""
    in_store: tuple[tuple[str, str], ...] = ()
    """Its store, and its name there; none where that is wished, or in no store."""
    paths: tuple[str, ...] = ()
    """Of its public name, and of its metadata; of these what is there and not wished."""
    is_wished: bool = False
    """Whether some wish stands for the name, but not for all that is offered under it."""
    is_protected: bool = False
    """Whether it may be wished all the same: a wishlist or a list of tags could not be read."""

    @property
    def offers(self) -> Iterator[Offer]:
        """What is offered under the name, and not wished."""
        if self.in_store:
            yield Offer.PODMAN
        if any(not path.startswith(f"{METADATA}/") for path in self.paths):
            yield Offer.FLAT
        if any(path.startswith(f"{METADATA}/") for path in self.paths):
            yield Offer.METADATA

    def remove(self, assembly: Assembly) -> None:
        """Have it removed."""
        for store, name in self.in_store:
            assembly.drop(store, name)
        for path in self.paths:
            assembly.withdraw(path)


def unwished(published: Published, expansion: Expansion) -> list[Unwished]:
    """Return what is published and no wish stands for, ordered by name and platform."""
    wished = _Wished.of(expansion)
    found: dict[tuple[str, str], Unwished] = {}
    holders: dict[tuple[str, str], tuple[str, str]] = {}
    names = _by_name(published.reading.names(), wished.names)
    described = _by_name(published.reading.described(), wished.described)
    for path in sorted(names.keys() | described.keys()):
        word, name = _split(path)
        paths = (*names.get(path, ()), *(f"{METADATA}/{other}" for other in described.get(path, ())))
        is_wished = path in wished.paths
        is_protected = _is_protected(expansion, name)
        found[word, name] = Unwished(name=name, platform=word, paths=paths, is_wished=is_wished, is_protected=is_protected)
        holders.setdefault((word, _stored_name(name)), (word, name))
    for store, name in sorted(_stored(published) - wished.stored):
        word = store.removeprefix(STORE).removeprefix(".")
        key = holders.get((word, name), (word, name.replace("@", ":")))
        is_wished = (store, name) in wished.references
        same = found.get(key)
        found[key] = Unwished(
            name=key[1],
            platform=word,
            in_store=((store, name),),
            paths=same.paths if same else (),
            is_wished=is_wished and (same is None or same.is_wished),
            is_protected=_is_protected(expansion, key[1]),
        )
    return [found[key] for key in sorted(found, key=lambda key: (key[1], key[0]))]


@frozen(kw_only=True)
class _Wished:
    """What is wished, as it would be found."""

    names: frozenset[str]
    """Paths of public names."""
    described: frozenset[str]
    """The same, of those that have metadata."""
    paths: frozenset[str]
    """The same, whatever is offered under them."""
    stored: frozenset[tuple[str, str]]
    """Stores, with names there."""
    references: frozenset[tuple[str, str]] = field(repr=False)
    """The same, whatever is offered."""

    @classmethod
    def of(cls, expansion: Expansion) -> _Wished:
        images = [(HubLayout(image.platform), image) for image in expansion.wanted]
        return cls(
            names=frozenset(layout.name(image.name) for layout, image in images if Offer.FLAT in image.offers),
            described=frozenset(layout.name(image.name) for layout, image in images if Offer.METADATA in image.offers),
            paths=frozenset(layout.name(image.name) for layout, image in images),
            stored=frozenset((layout.store, str(image.name.reference)) for layout, image in images if Offer.PODMAN in image.offers),
            references=frozenset((layout.store, str(image.name.reference)) for layout, image in images),
        )


def _by_name(paths: Iterable[str], wished: Collection[str]) -> dict[str, list[str]]:
    """Return paths by that of the name that they stand for, of those that are not wished: the converter has some names twice (spec H16)."""
    found: dict[str, list[str]] = {}
    for path in sorted(paths):
        own = own_name(path)
        if own not in wished:
            found.setdefault(own, []).append(path)
    return found


def _split(path: str) -> tuple[str, str]:
    """Split the path of a public name into what it calls the platform, and the name."""
    if not path.startswith(f"{OTHERS}/"):
        return "", path
    word, _, name = path.removeprefix(f"{OTHERS}/").partition("/")
    return word.replace(":", "."), name


def _stored(published: Published) -> set[tuple[str, str]]:
    return {(path, name) for path in published.reading.stores() for name in published.images(path)}


def _stored_name(name: str) -> str:
    """Return what a store calls an image by its public name."""
    repository, tag = _parts(name)
    try:
        return str(Reference.parse(f"{repository}{'@' if tag.startswith('sha256:') else ':'}{tag}"))
    except FormatError:
        return name


def _is_protected(expansion: Expansion, name: str) -> bool:
    """Whether a wish that could not be expanded may stand for a name, however it writes its registry."""
    return any(expansion.protects(spelling) for spelling in spellings(name))


def spellings(name: str) -> tuple[str, ...]:
    """Return all public names that an image may have that has this one: some registries are written in several ways."""
    repository, tag = _parts(name)
    try:
        return tuple(f"{spelled}:{tag}" for spelled in names_of(Reference.parse(repository)))
    except FormatError:
        return (name,)


def _parts(name: str) -> tuple[str, str]:
    """Split a public name into its repository, and its tag or digest."""
    repository, _, tag = name.rpartition(":")
    return (repository.removesuffix(":sha256"), f"sha256:{tag}") if repository.endswith(":sha256") else (repository, tag)
