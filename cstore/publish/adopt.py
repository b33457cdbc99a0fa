"""Adopting the images of the present converter's store into one of cstore's, wherever that is."""

from __future__ import annotations

import os
import platform as machine
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen

from cstore.errors import StoreError
from cstore.location import place_of
from cstore.mend.adopt import Findings, find, plan_adopt
from cstore.mend.converter import Converter, Origin
from cstore.mend.remarks import remarks_on
from cstore.model.about import About
from cstore.model.platform import Platform
from cstore.progress import silent
from cstore.publish.cvmfs import CvmfsPlace
from cstore.publish.find import find_place
from cstore.publish.place import Published
from cstore.publish.views import refuse_place_of_view
from cstore.store import Store
from cstore.views import refuse_view

if TYPE_CHECKING:
    from cstore.delta import Delta
    from cstore.mend.listed import LeftImage
    from cstore.progress import Progress
    from cstore.publish.place import Place

__all__ = ["Adopted", "AdoptedImage", "Adoption", "adopt"]


@frozen(kw_only=True)
class AdoptedImage:
    """An image that the store has now."""

    id: str
    names: tuple[str, ...]
    """Those that it got."""
    remarks: tuple[str, ...] = ()
    """How it differs from the same image added from its registry."""


@frozen(kw_only=True)
class Adopted:
    """What was adopted, and what was not."""

    published: Published = field(repr=False)
    images: tuple[AdoptedImage, ...]
    """Images that were adopted, or got further names."""
    there: tuple[AdoptedImage, ...]
    """Images that the store had already."""
    passed_over: tuple[LeftImage, ...]
    """Images whose names all belong to others."""
    left: tuple[LeftImage, ...]
    """Images that must be converted anew."""


class Adoption:
    """The images of a converter's store, to be taken over together. Nothing is written before `publish`, and then all or nothing.

    Args:
        location: the store's directory, or `cvmfs://REPOSITORY[/PATH]`, or a place. Where nothing is, a store is made.
        origin: the directory of the converter's store, by the path under which readers see it; in the directory above it are
            the layers. It may be in the repository of the location.
        copy: whether trees of layers are copied, and not used where they lie.
        platform: of the image that gets a name which several claim; None takes this machine's.
        progress: is told of trees that are looked through and written.

    Raises:
        StoreError: the origin is the store of the location itself, or this machine publishes no such repository.
    """

    def __init__(
        self, location: Place | Path | str, origin: Path | str, *, copy: bool, platform: Platform | None = None, progress: Progress = silent
    ) -> None:
        self._place = find_place(location, progress) if isinstance(location, Path | str) else location
        self._copies = copy
        self._platform = platform or Platform.of_machine(machine.machine())
        where = _origin(self._place, Path(os.path.abspath(place_of(origin))))  # noqa: PTH100 - it takes `..` away, and follows no symlink
        if where.store.resolve() == self._place.root.resolve():
            raise StoreError(f"{origin}: expected another store than the one that is to have the images, found the same")
        self._converter = Converter(where, progress)

    def publish(self) -> Adopted:
        """Adopt what can be adopted, and return what was done. What cannot be adopted is no error.

        Raises:
            StoreError: there is no store of the converter's, or something else than a store at the location.
            FormatError: an index is damaged.
            ContentError: a tree that is to be copied cannot be read.
            PublishError: the store cannot be written.
        """
        planned: list[Findings] = []

        def plan() -> Delta:
            findings, delta = self._plan()
            planned.append(findings)
            return delta

        published = self._place.publish(plan)
        return self._adopted(planned[-1], published)

    def preview(self) -> Adopted:
        """Return what `publish` would do now, without writing anything.

        Raises:
            StoreError: as `publish` does, but for what only writing shows.
        """
        findings, delta = self._plan()
        if delta:
            self._place.check(delta)
        return self._adopted(findings, Published(delta=delta))

    def _plan(self) -> tuple[Findings, Delta]:
        root = self._place.root
        if self._place.is_vacant():
            refuse_place_of_view(root)
            store = Store.new(root, About(form=self._place.form))
        else:
            store = Store.open(root)
            refuse_view(store)
        findings = find(store, self._converter, self._platform)
        return findings, plan_adopt(store, findings, self._converter.measures, copies=self._copies)

    def _adopted(self, findings: Findings, published: Published) -> Adopted:
        found = tuple(
            AdoptedImage(id=image.listed.id, names=tuple(map(str, image.listed.names)), remarks=remarks_on(image, copies=self._copies))
            for image in findings.images
        )
        renamed = tuple(AdoptedImage(id=image.id, names=tuple(map(str, image.names))) for image in findings.renamed)
        return Adopted(
            published=published,
            images=(*found, *renamed),
            there=tuple(AdoptedImage(id=image.id, names=tuple(map(str, image.names))) for image in findings.there),
            passed_over=findings.passed_over,
            left=findings.left,
        )


def adopt(
    location: Place | Path | str, origin: Path | str, *, copy: bool = False, platform: Platform | None = None, progress: Progress = silent
) -> Adopted:
    """Take over the images of the present converter's store; doing it again does nothing.

    The arguments are those of `Adoption`, and so is what is raised, with that of `Adoption.publish`.
    """
    return Adoption(location, origin, copy=copy, platform=platform, progress=progress).publish()


def _origin(place: Place, path: Path) -> Origin:
    """Return where a converter's store is read and where readers see it.

    One in the repository that is published into is read as it is published now: that is what the new revision is made from.
    """
    if isinstance(place, CvmfsPlace):
        repository = place.repository
        for top in (repository.client, repository.published):
            if path.is_relative_to(top):
                inside = path.relative_to(top)
                return Origin(repository.published / inside, repository.client / inside)
    return Origin(path, path)
