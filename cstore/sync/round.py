"""One round: what is wished is looked up, what is lacking is fetched, and all of it published together (spec Z1 to Z11)."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Self

from attrs import evolve, frozen

from cstore.errors import SourceError, StoreError
from cstore.model.digest import Digest
from cstore.model.offer import Offer
from cstore.progress import Progress, silent
from cstore.registry.client import AbsentError
from cstore.source.registry import from_registry
from cstore.sync.asking import ask
from cstore.sync.assembly import Assembly
from cstore.sync.expansion import Expansion, expand
from cstore.sync.narrowing import asked_for, is_among, narrowed
from cstore.sync.published import Published
from cstore.sync.removing import spellings, unwished
from cstore.sync.wishlist import read_wishlists

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from cstore.model.platform import Platform
    from cstore.model.remote import RemoteName
    from cstore.publish.hub import Hub
    from cstore.registry.registries import Registries
    from cstore.source.image import SourceImage
    from cstore.sync.expansion import Wanted
    from cstore.sync.removing import Unwished
    from cstore.sync.wish import Wish
    from cstore.sync.wishlist import Wishlist

__all__ = ["Round", "Terms"]

_TELLING = frozenset([Offer.PODMAN, Offer.METADATA])
"""Where these are offered, what is published tells its digest."""


@frozen(kw_only=True)
class Terms:
    """On which terms rounds are carried out."""

    platform: Platform
    """Of wishes that name none."""
    offers: frozenset[Offer]
    """Of wishes that name none."""
    grace: dt.timedelta
    """How long readers may still use what is retired, in whole days."""
    is_pruned: bool = False
    """Whether names go that no wish stands for."""


class Round:
    """One round, step by step; a context manager that lets go of what was fetched.

    Args:
        hub: where images are published.
        registries: where they come from.
        terms: on which.
        day: of today.
        progress: is told of what goes on.
    """

    def __init__(self, hub: Hub, registries: Registries, terms: Terms, *, day: dt.date, progress: Progress = silent) -> None:
        self._registries = registries
        self._terms = terms
        self._progress = progress
        self._published = Published(hub)
        self._before = (registries.requests, registries.bytes_fetched)
        self.assembly = Assembly(hub, day=day, grace=terms.grace, progress=progress)
        self.wishlists: tuple[Wishlist, ...] = ()
        self.expansion = Expansion()
        self.told: dict[Wanted, Digest] = {}
        """What registries have."""
        self.former: dict[Wanted, Digest | None] = {}
        """The digests under which registries had what is published."""
        self.errors: dict[Wanted, str] = {}
        """Why images could not be taken."""
        self.taken: set[Wanted] = set()
        """What is new, or another image than before."""
        self.kept: list[Unwished] = []
        self.removed: list[Unwished] = []
        self.doubts: dict[str, str] = {}
        """Why names are kept that were to be removed."""
        self.seconds: dict[str, float] = {}
        self.only: frozenset[str] | None = None
        """The names to look at, as they were asked for; None for everything."""
        self._is_partial = False
        """Whether some images are not looked at of which only registries tell the layers."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.assembly.close()

    @property
    def is_pruned(self) -> bool:
        """Whether names go that no wish stands for."""
        return self._terms.is_pruned

    @property
    def requests(self) -> int:
        """How many requests were sent to registries."""
        return self._registries.requests - self._before[0]

    @property
    def bytes_fetched(self) -> int:
        """How many bytes came from registries."""
        return self._registries.bytes_fetched - self._before[1]

    def look(self, wishlists: Sequence[Path], only: Collection[str] | None = None) -> None:
        """Find out what is wished, what registries have of it, and what is published.

        Args:
            wishlists: the files.
            only: the `registry/repository[:tag]` names to look at; None for everything.

        Raises:
            StoreError: the hub cannot be read.
        """
        with self.timed("expand"):
            read, unread = read_wishlists(wishlists)
            self.only = None if only is None else frozenset(only)
            asked = None if only is None else frozenset(map(asked_for, only))
            self._is_partial = only is not None and any(self._tells_nothing(wish) for wishlist in read for wish in wishlist.wishes)
            self.wishlists = read if asked is None else tuple(narrowed(wishlist, asked) for wishlist in read)
            expansion = expand(
                self.wishlists,
                self._registries,
                platform=self._terms.platform,
                offers=self._terms.offers,
                unread=unread,
                progress=self._progress,
            )
            wanted = tuple(image for image in expansion.wanted if asked is None or is_among(image.name, asked))
            self.expansion = evolve(expansion, wanted=wanted)
        with self.timed("look"):
            # A store has one name for all that a registry is called: what it has under that is asked once, and all agree.
            asking: dict[tuple[str, Digest | None], Callable[[], Digest]] = {}
            for image in wanted:
                asking.setdefault(_one_image(image.name), partial(self._digest, image.name))
            answers = ask("looking up", "names", asking, self._progress)
            if only is None:
                # First, since it reads the records of all images, which otherwise each question about one would.
                self._look_for_unwished()
            for image in wanted:
                answer = answers[_one_image(image.name)]
                if isinstance(answer, Digest):
                    self.told[image] = answer
                else:
                    self.errors[image] = str(answer)
                self.former[image] = self._published.digest(image, self.told.get(image))

    def fetch(self) -> None:
        """Fetch and verify what is lacking, and take it; what fails is noted, and keeps what it has.

        Raises:
            StoreError: a store cannot be read.
        """
        with self.timed("fetch"):
            lacking = [image for image, digest in self.told.items() if not self._published.is_whole(image, digest)]
            opened = ask("opening", "images", {image: partial(self._open, image) for image in lacking}, self._progress)
            images: dict[Wanted, SourceImage] = {}
            for wanted, image in opened.items():
                if isinstance(image, StoreError):
                    self.errors[wanted] = str(image)
                elif not (wanted.offers & _TELLING) and self._published.has_trees(wanted, image.manifest_bytes):
                    self.assembly.uses(wanted, image)
                else:
                    images[wanted] = image
            self._download(images)
        with self.timed("verify"):
            for wanted, image in images.items():
                if wanted not in self.errors:
                    self._take(wanted, image)
        self.assembly.is_uncertain = self._is_uncertain()

    def _is_uncertain(self) -> bool:
        """Whether an image may be published of which only its registry tells the layers, and that was not asked, or did not say."""
        return (
            bool(self.expansion.unread)
            or self._is_partial
            or any(self._tells_nothing(failure.wish) for failure in self.expansion.failures)
            or any(self._tells_nothing(image) for image in self.errors)
        )

    def _tells_nothing(self, wish: Wish | Wanted) -> bool:
        """Whether layers are offered, and nothing of which a hub keeps the manifest."""
        offers = wish.offers or self._terms.offers
        return Offer.LAYERS in offers and not offers & _TELLING

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Note how long a part of the round takes."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[part] = time.monotonic() - start

    def _digest(self, name: RemoteName) -> Digest:
        return name.digest or self._registries.digest(name)

    def _open(self, wanted: Wanted) -> SourceImage:
        image = from_registry(evolve(wanted.name, digest=self.told[wanted]), wanted.platform, self._registries)
        there = image.config.platform
        if there.architecture and not wanted.platform.runs(there):
            raise SourceError(f"{wanted.name}: expected an image for {wanted.platform}, found one for {there}")
        return image

    def _download(self, images: dict[Wanted, SourceImage]) -> None:
        """Bring all blobs into the cache that are needed, several at once, each once."""
        needed: dict[tuple[Digest, int], list[Wanted]] = {}
        for wanted, image in images.items():
            for number in self.assembly.lacks(wanted, image):
                layer = image.manifest.layers[number]
                needed.setdefault((layer.digest, layer.size), []).append(wanted)
        questions = {blob: partial(self._bring, *blob, [wanted.name for wanted in those]) for blob, those in needed.items()}
        for blob, answer in ask("fetching", "layers", questions, self._progress).items():
            for wanted in needed[blob] if isinstance(answer, StoreError) else ():
                self.errors.setdefault(wanted, str(answer))

    def _bring(self, digest: Digest, size: int, names: Sequence[RemoteName]) -> None:
        """Bring a blob into the cache, from the first of several repositories that has it; the error is that of the first.

        Of a registry that has something else, or does not answer, no other repository is asked: it would be the same there.
        """
        errors: list[StoreError] = []
        useless: set[str] = set()
        for name in names:
            if useless & {name.registry, name.home}:
                continue
            try:
                self._registries.blob(name, digest, size).close()
            except StoreError as error:
                errors.append(error)
                useless.add(name.home if isinstance(error, AbsentError) else name.registry)
            else:
                return
        raise errors[0]

    def _take(self, wanted: Wanted, image: SourceImage) -> None:
        try:
            is_same = self._published.is_noted(wanted, image) and self.assembly.is_sound(wanted, image)
            self.assembly.take(wanted, image)
        except StoreError as error:
            self.errors[wanted] = str(error)
        else:
            # What a converter noted of an image is put right; of the image itself nothing changes.
            self.taken.update(() if is_same else (wanted,))

    def _look_for_unwished(self) -> None:
        for found in unwished(self._published, self.expansion):
            (self.removed if self.is_pruned and not found.is_protected else self.kept).append(found)
        self._doubt()
        for found in self.removed:
            found.remove(self.assembly)

    def _doubt(self) -> None:
        """Keep what registries still have, though a wished list of tags lacks it: a list that is not whole may look as if it were."""
        unlisted = {found.name: self._unlisted(found.name) for found in self.removed if not found.is_wished}
        asking = {name: partial(self._registries.has, remote) for name, remote in unlisted.items() if remote is not None}
        for name, answer in ask("looking up", "names", asking, self._progress).items():
            if isinstance(answer, StoreError):
                self.doubts[name] = f"{name}: expected it in a list of tags, or no such tag; nothing tells whether there is one: {answer}"
            elif answer:
                self.doubts[name] = f"{name}: expected it in a list of tags, since its registry has it, found a list without it"
        self.kept += [found for found in self.removed if found.name in self.doubts]
        self.removed = [found for found in self.removed if found.name not in self.doubts]

    def _unlisted(self, name: str) -> RemoteName | None:
        return next(filter(None, map(self.expansion.unlisted, spellings(name))), None)


def _one_image(name: RemoteName) -> tuple[str, Digest | None]:
    """Return what is the same of all names of one image, however they write the registry."""
    return str(name.reference), name.digest
