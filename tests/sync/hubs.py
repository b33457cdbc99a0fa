"""A hub that follows a registry: both real, in a directory of a test."""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from attrs import define, field

from cstore.model.offer import ALL_OFFERS, Offer
from cstore.model.platform import Platform
from cstore.progress import Progress, silent
from cstore.publish.hub import DirectoryHub
from cstore.sync.round import Terms
from cstore.sync.rounds import Rounds
from cstore.sync.status import status_document
from tests.images import Image, directory, file, tar, whiteout, write_layout
from tools.registries.server import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pytest

    from cstore.publish.hub import Hub
    from cstore.registry.registries import Registries
    from cstore.sync.report import RoundReport

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
BASE = tar(directory("bin", mode=0o755), file("bin/run", b"#!/bin/sh\n", mode=0o755), directory("data"), file("data/old", b"old"))


def image(number: int, platform: str = "amd64") -> Image:
    """Return an image with a layer of its own on a base that all share."""
    own = tar(whiteout("data/old"), file(f"data/{number}", b"%d" % number * 40))
    return Image(layers=(BASE, own), labels={"number": str(number)}, platform=f"linux/{platform}")


@define
class Hubbed:
    """A hub, the registry that it follows, and a wishlist."""

    place: Path
    registry: Registry
    hub: Hub
    asked: Registries
    days: int = 0
    """How many days have gone by."""
    _layouts: int = field(default=0, init=False)

    def push(self, repository: str, images: Mapping[str, Image | Sequence[Image]]) -> None:
        """Put images into the registry, by tag."""
        self._layouts += 1
        layout = self.place / f"layout-{self._layouts}"
        write_layout(layout, images)
        self.registry.put(repository, layout)

    def wish(self, *entries: str, name: str = "wishes.yaml", more: str = "") -> Path:
        """Write a wishlist of names in this registry."""
        path = self.place / name
        lines = "".join(f"  - '{self.registry.address}/{entry}'\n" if entry[0] != "{" else f"  - {entry}\n" for entry in entries)
        path.write_text(f"version: 1\nuser: hub\ncvmfs_repo: r.example.org\noutput_format: ''\n{more}input:\n{lines or '  []'}")
        return path

    def rounds(
        self, hub: Hub | None = None, *, offers: frozenset[Offer] = ALL_OFFERS, prune: bool = False, progress: Progress = silent
    ) -> Rounds:
        """Return what carries out rounds anew, with nothing remembered."""
        terms = Terms(platform=Platform.parse("linux/amd64"), offers=offers, grace=dt.timedelta(days=14), is_pruned=prune)
        return Rounds(
            hub or self.hub,
            self.asked,
            terms,
            now=lambda: NOW + dt.timedelta(days=self.days),
            tell=status_document,
            progress=progress,
        )

    def run(self, *wishlists: Path, **options: Any) -> RoundReport:  # noqa: ANN401 - of rounds
        """Carry out a round."""
        return self.rounds(**options).run([*wishlists])

    def public(self, name: str) -> Path:
        """Return where a name of the registry is public."""
        return self.hub.root / f"{self.registry.address}/{name}"


def hubbed(place: Path, registry: Registry, asked: Registries) -> Hubbed:
    """Return a hub in a plain directory."""
    (place / "hub").mkdir()
    return Hubbed(place, registry, DirectoryHub(place / "hub"), asked)


@contextmanager
def commanded(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hubbed]:
    """Give a hub in a plain directory whose registry the command line knows too."""
    with Registry(place / "registry") as registry, registry.registries() as asked:
        (place / "conf").mkdir()
        for name, value in registry.environment(place / "conf").items():
            monkeypatch.setenv(name, value)
        yield hubbed(place, registry, asked)


def outcomes(report: RoundReport) -> dict[str, str]:
    """Return what became of each image, by its name without the registry."""
    return {image.name.partition("/")[2]: image.outcome.value for image in report.images}
