"""The changes that are disturbed: a store as it is before, and the command line that changes it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from attrs import frozen

from cstore.index.lock import announcement
from cstore.publish.batch import publishing
from cstore.publish.views import create_view
from tests.converter import layered
from tests.images import Image, file, tar
from tests.publish.stores import DAY, NEW, OLD, SCENARIOS, TOOL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cstore.model.layout import Form

__all__ = ["CHANGES", "STORE", "Change", "break_store"]

STORE = "podmanStore"
"""The name of the store's directory; what else the change needs is beside it."""

_CONVERTED = "converter/podmanStore"
_NOBODY = "f" * 64
_VIEW, _MATCHING = "team", "*/team/app:*"


@frozen
class Change:
    """A verb of the command line that changes a store."""

    name: str
    verb: tuple[str, ...]
    """The verb, then what follows the location: `oci:TAG` stands for a source, `beside:PATH` for what lies beside the store."""
    prepare: Callable[[Path, dict[str, str], Form], None]
    """Makes the store from sources, and what is to lie beside it."""

    def arguments(self, location: str, beside: Path, made: dict[str, str], form: Form) -> list[str]:
        """Return the arguments of the command line.

        Args:
            location: of the store.
            beside: the directory in which the store is.
            made: sources by their tags.
            form: of a store that is made.
        """
        verb, *rest = [self._word(word, beside, made) for word in self.verb]
        return [*verb.split(), location, *rest, *(("--layout", form.value) if verb == "add" else ())]

    def _word(self, word: str, beside: Path, made: dict[str, str]) -> str:
        kind, _, name = word.partition(":")
        return made[name] if kind == "oci" else str(beside / name) if kind == "beside" else word


def break_store(root: Path, made: dict[str, str], form: Form) -> None:
    """Make a store in which there is something for each kind of step that a repair makes, and beside it a layer's tree."""
    with publishing(root, form=form, today=DAY) as batch:
        for tag, name in (("old", OLD), ("new", NEW), ("tool", TOOL)):
            batch.add(made[tag], name=name)
    with publishing(root, today=DAY) as batch:
        batch.remove(TOOL)
    first, second = sorted(path.parent.resolve() for path in root.glob("overlay/*/lower"))
    (base,) = (path.parent for path in root.glob("overlay/*/empty"))
    for name in ("lower", "lower-layers"):
        (first / name).write_text("nothing")
    (first / "work").mkdir()
    link = root / "overlay/l" / (second / "link").read_text()
    link.unlink()
    link.symlink_to("elsewhere")
    (second / "link").unlink()
    (base / "empty").rmdir()
    elsewhere = root.with_name("layers")
    (first / "diff").rename(elsewhere)
    (first / "diff").symlink_to(os.path.relpath(elsewhere, first))
    (root / "overlay-layers" / f"{_NOBODY}.tar-split.gz").touch()
    (root / "overlay" / _NOBODY / "diff").mkdir(parents=True)
    (root / "overlay-layers/layers.lock").write_bytes(b"")
    _break_records(root)


def _break_records(root: Path) -> None:
    """Give all images one name more, and take the digest away from each."""
    index = root / "overlay-images/images.json"
    records = json.loads(index.read_bytes())
    for record in records:
        record["names"].append("both")
        item = f"manifest-{record.pop('digest')}"
        record["big-data-names"].remove(item)
    index.write_bytes(json.dumps(records).encode())
    (root / "overlay-images/images.lock").write_bytes(announcement(b"[]", own=False))


def _prepare_two(root: Path, made: dict[str, str], form: Form) -> None:
    with publishing(root, form=form, today=DAY) as batch:
        batch.add(made["old"], name=OLD)
        batch.add(made["tool"], name=TOOL)


def _prepare_view(root: Path, made: dict[str, str], form: Form) -> None:
    _prepare_two(root, made, form)
    create_view(root, _VIEW, [_MATCHING], DAY)


def _prepare_adoption(root: Path, made: dict[str, str], form: Form) -> None:
    """Make a converter's store with two images, of which one shares a layer with what the store has."""
    below = tar(file("base", b"base"))
    images = {f"registry.example.org/team/adopted:{number}": Image(layers=(below, tar(file(f"top-{number}")))) for number in (1, 2)}
    layered(root.parent / _CONVERTED.partition("/")[0], images)
    with publishing(root, form=form, today=DAY) as batch:
        batch.add(made["old"], name=OLD)


CHANGES = (
    *(Change(scenario.name, scenario.verb, scenario.prepare) for scenario in SCENARIOS),
    Change("repair", ("repair", "--grace", "0d"), break_store),
    Change("create a view", ("view create", _VIEW, "--match", _MATCHING), _prepare_two),
    Change("remove a view", ("view remove", _VIEW), _prepare_view),
    Change("add with a view", ("add", "oci:new", "--name", NEW), _prepare_view),
    Change("adopt", ("adopt", "--from", f"beside:{_CONVERTED}"), _prepare_adoption),
    Change("adopt copies", ("adopt", "--from", f"beside:{_CONVERTED}", "--copy"), _prepare_adoption),
)
