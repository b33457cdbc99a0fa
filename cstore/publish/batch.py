"""A batch of changes to one store, published together."""

from __future__ import annotations

import datetime as dt
import os
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cstore.errors import PublishError, SourceError, StoreError
from cstore.model.about import About
from cstore.model.platform import Platform
from cstore.model.reference import Reference
from cstore.planning import Add, Change, Drop, Tag, plan
from cstore.progress import silent
from cstore.publish.find import find_place
from cstore.publish.place import Place, Published
from cstore.publish.receipt import Receipt, receipt_of
from cstore.publish.views import refuse_place_of_view
from cstore.store import Store
from cstore.views import refuse_view

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cstore.delta import Delta
    from cstore.model.chain import LayerID
    from cstore.model.layout import Form
    from cstore.progress import Progress
    from cstore.registry.registries import Registries
    from cstore.source.fetch import FetchedLayer, Fetcher
    from cstore.source.image import SourceImage

__all__ = ["Batch", "Receipt", "publishing"]


class Batch:
    """Changes that are to be published together. Nothing is written before `publish`, and then all or nothing.

    Args:
        location: the store's directory, or `cvmfs://REPOSITORY[/PATH]`, or a place. Where nothing is, or an empty directory, a store
            is made if an image is added.
        form: the form of a new store; None takes the one that is there, or else the place's own.
        platform: which image to take where a source has several; None takes this machine's.
        today: the day to note for layers that are retired; None asks the clock.
        progress: is told of blobs that are read and trees that are written.
        registries: what asks registries; None takes those of this machine, without a cache, once one is asked for.

    Raises:
        FormatError: the platform is malformed.
    """

    def __init__(  # noqa: PLR0913 - keywords, each of them one thing to choose
        self,
        location: Place | Path | str,
        *,
        form: Form | None = None,
        platform: str | None = None,
        today: dt.date | None = None,
        progress: Progress = silent,
        registries: Registries | None = None,
    ) -> None:
        self._place = find_place(location, progress) if isinstance(location, Path | str) else location
        self._form = form
        self._asked = Platform.parse(platform) if platform else None
        self._platform = self._asked or Platform.of_machine(os.uname().machine)
        self._today = today or dt.datetime.now(tz=dt.UTC).date()
        self._changes: list[Change] = []
        self._progress = progress
        self._registries = registries
        self._made: Fetcher | None = None
        self._store: Store | None = None
        self._planned: tuple[Store, int, Delta] | None = None
        self._opened = ExitStack()
        self.receipt: Receipt | None = None
        """What was published; None before that."""

    def add(self, source: str, *, name: str | None = None) -> tuple[str, ...]:
        """Have an image in the store, and return its names.

        Args:
            source: `docker://REGISTRY/REPOSITORY[:TAG|@DIGEST]`, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]` or `docker-archive:FILE[:NAME]`.
            name: its name in the store; None takes those that the source gives.

        Raises:
            SourceError: no such image, one that a store cannot hold, or one without a name; a registry cannot be asked.
            ContentError: its manifest or config is not what its digest says.
            FormatError: its manifest, config or name is malformed.
        """
        # Other changes need no source, and importing this takes its time.
        from cstore.source import REGISTRY, open_source  # noqa: PLC0415

        wanted = () if name is None else (Reference.parse(name),)
        if source.startswith(REGISTRY) and self._registries is None:
            self._registries = self._opened.enter_context(_usual_registries())
        image = open_source(source, self._platform, asked=self._asked is not None, registries=self._registries)
        self._opened.callback(image.close)
        names = wanted or tuple(Reference.parse(given) for given in image.names)
        if not names:
            raise SourceError(f"{source}: expected a name for the image, found none in the source; give it one")
        self.take(image, names)
        return tuple(map(str, names))

    def take(self, image: SourceImage, names: Sequence[Reference]) -> None:
        """Have an image of a source that the caller has opened, and closes, in the store under these names."""
        self._changes.append(Add(image=image, names=tuple(names)))

    def verify(self, image: SourceImage) -> None:
        """Read the layers of an image that the store lacks, before it is taken or not.

        Raises:
            ContentError: one is not what manifest and config promise, is damaged, or holds what no tree can.
            SourceError: the source lacks a blob.
        """
        self._fetch([image], self.read())

    def read(self) -> Store:
        """Return the store as it was when `plan` read it last, or as it is now where it has not yet; a new one where there is none.

        Raises:
            StoreError: there is something else.
        """
        # Reading a store of CernVM-FS for each question about it would take too long.
        return self._read(makes=True) if self._store is None else self._store

    @property
    def has_changes(self) -> bool:
        """Whether anything is to change."""
        return bool(self._changes)

    @property
    def layers(self) -> Mapping[LayerID, FetchedLayer]:
        """The layers that were read, since the store lacks them or did."""
        return self._fetcher.layers

    def tag(self, name: str, new_name: str) -> None:
        """Give another name to an image; whichever image has that name now loses it.

        Raises:
            FormatError: the new name is malformed.
        """
        self._changes.append(Tag(name=name, new_name=Reference.parse(new_name)))

    def remove(self, name: str, *, may_be_gone: bool = False) -> None:
        """Take a name away; an image that loses its last name goes, and its layers are retired.

        Args:
            name: of the image.
            may_be_gone: whether it is as good if there is none, since somebody else took it away.
        """
        self._changes.append(Drop(name=name, may_be_gone=may_be_gone))

    def plan(self) -> Delta:
        """Return the delta that `publish` would carry out now; it reads all layers that the store lacks.

        Raises:
            StoreError: as `publish` does, but for what only writing shows.
        """
        store = self._read()
        adds = [change for change in self._changes if isinstance(change, Add)]
        if not adds:
            # All that this depends on is in the reading, but for views: pruning and repair can change one without its store.
            if store.about.all_views or self._planned is None or self._planned[:2] != (store, len(self._changes)):
                self._planned = store, len(self._changes), plan(store, self._changes, {}, store.ground({}), self._today)
            return self._planned[2]
        self._fetch([change.image for change in adds], store)
        layers = self._fetcher.layers
        lacking = [layers[layer] for change in adds for layer in change.image.chain if store.lacks(layer)]
        ground = store.ground({layer.id: layer.parent for layer in lacking}, [change.image.id for change in adds])
        return plan(store, self._changes, layers, ground, self._today)

    @property
    def _fetcher(self) -> Fetcher:
        """What reads layers; a change that adds nothing needs no such thing."""
        if self._made is None:
            from cstore.source.fetch import Fetcher  # noqa: PLC0415

            self._made = Fetcher(self._progress)
            self._opened.callback(self._made.close)
        return self._made

    def _fetch(self, images: Sequence[SourceImage], store: Store) -> None:
        try:
            self._fetcher.fetch_all(images, store)
        except OSError as error:
            if error.filename is not None:
                raise
            from tempfile import gettempdir  # noqa: PLC0415

            # What a layer's tar-split needs is kept in a file without a name.
            raise PublishError(f"{gettempdir()}: expected to keep what layers need meanwhile, found: {error.strerror}") from None

    def publish(self) -> Receipt:
        """Carry out all changes, and return what was done.

        Raises:
            NotFoundError: a change names an image that is not there.
            ContentError: a layer is not what manifest and config promise, is damaged, or holds what no tree can.
            SourceError: a source lacks a blob.
            PublishError: the store cannot be written.
            StoreError: there is something else than a store at the location, or one of another form.
            FormatError: the store is damaged.
        """
        start = time.monotonic()
        published = self._place.publish(self.plan)
        self.receipt = self._receipt(published, time.monotonic() - start)
        return self.receipt

    def preview(self) -> Receipt:
        """Return what `publish` would do now, without writing anything.

        Raises:
            StoreError: as `publish` does, but for what only writing shows.
        """
        start = time.monotonic()
        delta = self.plan()
        if delta:
            self._place.check(delta)
        return self._receipt(Published(delta=delta), time.monotonic() - start)

    def close(self) -> None:
        """Let go of all sources and fetched layers."""
        # What is kept meanwhile need not be written any more, even where there is no room for it.
        with suppress(OSError):
            self._opened.close()

    def _read(self, *, makes: bool = False) -> Store:
        """Return the store as it is now; one that has not changed since it was read is not read again."""
        if self._store is None or not self._place.is_current(self._store):
            self._store = self._opened_store(makes=makes or any(isinstance(change, Add) for change in self._changes))
        else:
            self._store = self._store.looked_at_anew()
        return self._store

    def _opened_store(self, *, makes: bool) -> Store:
        root = self._place.root
        if makes and self._place.is_vacant():
            refuse_place_of_view(root)
            return Store.new(root, About(form=self._form or self._place.form))
        store = Store.open(root)
        refuse_view(store)
        if self._form not in (None, store.about.form):
            raise StoreError(f"{root}: expected a store of the form {self._form.value}, found one of {store.about.form.value}")
        return store

    def _receipt(self, published: Published, seconds: float) -> Receipt:
        return receipt_of(published, self._changes, self._place, self._fetcher.layers if self._made else {}, seconds)


@contextmanager
def publishing(  # noqa: PLR0913 - as above
    location: Place | Path | str,
    *,
    form: Form | None = None,
    platform: str | None = None,
    today: dt.date | None = None,
    progress: Progress = silent,
    registries: Registries | None = None,
) -> Iterator[Batch]:
    """Collect changes in the body of a `with`, and publish them together on leaving it; after an exception nothing is written.

    The arguments, and what publishing raises, are those of `Batch` and `Batch.publish`.
    """
    batch = Batch(location, form=form, platform=platform, today=today, progress=progress, registries=registries)
    try:
        yield batch
        batch.publish()
    finally:
        batch.close()


def _usual_registries() -> Registries:
    from cstore.registry.registries import Registries  # noqa: PLC0415 - most changes ask no registry, and importing this takes its time

    return Registries.usual({}, Path.home())
