"""What a converter has left beside the stores, and nothing needs any more (spec H15)."""

from __future__ import annotations

import datetime as dt
import shutil
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from cstore.delta import Delta
from cstore.hub.planning import HubChange, plan_hub
from cstore.hub.reading import HubReading
from cstore.publish.directory import apply
from tests.converter import layered, tree_of
from tests.images import Image, file, tar
from tests.stores import lines

if TYPE_CHECKING:
    from pathlib import Path

BASE, TOP = tar(file("base", b"b")), tar(file("top", b"t"))
ONE, TWO = Image(layers=(BASE, TOP)), Image(layers=(BASE,))
DAY = dt.date(2026, 11, 24)
GRACE = dt.timedelta(days=14)
GONE = ("example.org/one:1", ".metadata/example.org/one:1")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository of the converter's whose podman store was moved away."""
    store = layered(tmp_path / "hub", {"example.org/one:1": ONE, "example.org/two:1": TWO})
    store.rename(tmp_path / "store")
    return tmp_path / "hub"


def change(days: int = 0, *, removed: tuple[str, ...] = (), status: bytes | None = None) -> HubChange:
    return HubChange(removed=removed, day=DAY + dt.timedelta(days=days), grace=GRACE, has_catalogs=False, status=status)


def do(root: Path, wanted: HubChange, *, also: bool = False) -> list[str]:
    beside = plan_hub(HubReading(root), wanted, also=also)
    for part in (beside.before, beside.after):
        apply(part, root)
    return lines(beside.around(Delta()))


def layer(root: Path, number: int) -> str:
    return str(tree_of(root, ONE, number).parent.relative_to(root))


def retired(root: Path) -> list[str]:
    return [path for path in HubReading(root).about().retired if path.startswith(".layers/")]


def test_a_layer_that_nothing_names_goes_after_the_grace_with_some_other_change(root: Path) -> None:
    do(root, change(removed=GONE))
    assert retired(root) == []
    assert do(root, change(1, status=b"{}"), also=True) == ["file .metadata/cstore.json", "file status.json"]
    assert retired(root) == [layer(root, 1)]
    assert do(root, change(13)) == []
    assert do(root, change(14)) == [f"remove .flat/{ONE.id[:2]}/{ONE.id}", "file .metadata/cstore.json"]
    assert do(root, change(15)) == []
    assert do(root, change(15, status=b"{}"), also=True) == [f"remove {layer(root, 1)}", "file .metadata/cstore.json", "file status.json"]
    assert retired(root) == []
    assert (root / layer(root, 0) / "layerfs/base").read_bytes() == b"b"


def test_nothing_is_looked_for_where_nothing_changes(root: Path) -> None:
    shutil.rmtree(root / GONE[1])
    assert do(root, change()) == []


@pytest.mark.parametrize("user", ["a manifest that cannot be read", "another manifest", "a store", "another store", "no notes"])
def test_a_layer_stays_that_something_may_need(root: Path, user: str) -> None:
    do(root, change(removed=GONE))
    wanted = change(1, status=b"{}")
    if user == "a manifest that cannot be read":
        (root / ".metadata/example.org/two:1/manifest.json").write_bytes(b"{")
    elif user == "another manifest":
        (root / ".metadata/.multiarch/amd64/example.org/one:1").mkdir(parents=True)
        (root / ".metadata/.multiarch/amd64/example.org/one:1/manifest.json").write_text(f'{{"Layers": [{{"Digest": "{blob(1)}"}}]}}')
    elif user == "a store":
        wanted = evolve(wanted, stored=lambda: {blob(1).removeprefix("sha256:")})
    elif user == "another store":
        (root.parent / "store").rename(root / "podmanStore")
    else:
        shutil.rmtree(root / layer(root, 1) / ".metadata")
    do(root, wanted, also=True)
    assert retired(root) == []


def test_a_layer_stays_to_which_a_store_under_another_name_leads(root: Path) -> None:
    """Spec H11: what a store is called does not tell whether somebody reads it."""
    (root.parent / "store").rename(root / "former")
    do(root, change(removed=GONE))
    do(root, change(1, status=b"{}"), also=True)
    assert f"remove {layer(root, 1)}" not in do(root, change(30, status=b"{}"), also=True)
    assert retired(root) == [layer(root, 1)]
    shutil.rmtree(root / "former")
    assert f"remove {layer(root, 1)}" in do(root, change(30, status=b"{}"), also=True)


def test_what_is_retired_stays_so_while_a_manifest_cannot_be_read(root: Path) -> None:
    do(root, change(removed=GONE))
    do(root, change(1, status=b"{}"), also=True)
    (root / ".metadata/example.org/two:1/manifest.json").write_bytes(b"{")
    do(root, change(30, status=b"{}"), also=True)
    assert retired(root) == [layer(root, 1)]
    assert (root / layer(root, 1) / "layerfs/top").exists()


def blob(number: int) -> str:
    return str(ONE.manifest["layers"][number]["digest"])
