"""Defects beside those of `tests.verification.defects` that show what else a rule's breaking breaks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from cstore.publish.batch import publishing
from tests.compat.victims import image_of, layers
from tests.images import file, tar, write_layout
from tests.verification.defects import Defect
from tests.verification.target import VICTIM

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.verification.target import Target

__all__ = ["VARIANTS"]


def _shorter(target: Target) -> None:
    target.edit_layer(target.top, lambda record: record.update(parent=target.base))


def _no_digest(target: Target) -> None:
    def forget(record: dict[str, Any]) -> None:
        del record["digest"], record["big-data-digests"]

    target.edit_image(forget)


def _shown(target: Target) -> None:
    place = target.layer(target.top) / "diff1/etc"
    place.mkdir(parents=True)
    (place / "more").touch()


def _opaque(attribute: str) -> Callable[[Target], None]:
    """Hide for readers of one kind only what a layer hides, and more."""

    def plant(target: Target) -> None:
        (target.diff(target.top) / "etc/gone").unlink()
        os.setxattr(target.diff(target.top) / "etc", attribute, b"y")

    return plant


def _mapped(target: Target) -> None:
    mapping = [{"container_id": 0, "host_id": 100000, "size": 65536}]
    target.edit_layer(target.top, lambda record: record.update(uidmap=mapping, gidmap=mapping))


def _higher(count: int) -> Callable[[Target], None]:
    def plant(target: Target) -> None:
        more = (tar(file(f"more/{number}")) for number in range(count - len(layers())))
        source = write_layout(target.root.parent / "higher", image_of(*layers(), *more))
        with publishing(target.root) as batch:
            batch.remove(VICTIM)
            batch.add(source, name=VICTIM)

    return plant


VARIANTS = (
    Defect("V17", "an image has 80 layers", _higher(80)),
    Defect("V36", "the chain has a layer less", _shorter, also=("V55", "V56", "V85")),
    Defect("V40", "an image has no digest at all", _no_digest, also=("V41",)),
    Defect("V46", "an image has 130 layers", _higher(130), also=("V17",)),
    Defect("V58", "there is a diff1 with a file", _shown),
    Defect("V62", "what is deleted is hidden for rootless readers only", _opaque("user.overlay.opaque"), also=("V64",), is_deep=True),
    Defect("V65", "what is deleted is hidden for root only", _opaque("trusted.overlay.opaque"), also=("V64",), is_deep=True),
    Defect("V77", "a layer has mapped owners", _mapped),
)
