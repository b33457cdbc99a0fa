"""What other users can check of a store, and stores in which podman keeps things of its own."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from cstore.publish.batch import publishing
from cstore.verification.store import verify
from tests.images import Image, directory, file, tar, write_layout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.verification.target import Target

USER = 12345


@contextmanager
def another_user() -> Iterator[None]:
    if os.geteuid():
        pytest.skip("only root can be another user")
    os.seteuid(USER)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A store with a directory that is root's alone, as Debian's `/root`."""
    image = Image(layers=(tar(directory("root", 0o700), file("root/secret", b"s\n"), file("closed", b"c\n", 0o600), file("open", b"o\n")),))
    for above in tmp_path.parents:
        if above.stat().st_uid == os.geteuid() and str(above).startswith("/tmp/"):  # noqa: S108 - pytest's own, closed to others
            above.chmod(0o711)
    tmp_path.chmod(0o755)
    with publishing(tmp_path / "store") as batch:
        batch.add(write_layout(tmp_path / "image", image), name="x.example.org/y:1")
    return tmp_path / "store"


def test_what_a_user_may_not_read_is_no_damage(private: Path) -> None:
    with another_user():
        quick, deep = list(verify(private)), list(verify(private, deep=True))
    assert quick == []
    (found,) = deep
    assert (found.code, found.said.split("; ")) == (
        "V76",
        [
            "root: expected a directory that can be read, found: Permission denied",
            "root/secret: expected a file that can be read, found: Permission denied",
            "closed: expected a file that can be read, found: Permission denied",
        ],
    )


def test_a_tree_that_a_user_may_not_enter_is_told(private: Path) -> None:
    (diff,) = private.glob("overlay/*/diff")
    diff.chmod(0o700)
    with another_user():
        assert [(found.code, found.said) for found in verify(private, deep=True)] == [
            ("V76", "expected a tree that can be read, found one that cannot")
        ]


def test_a_store_in_a_directory_that_cannot_be_listed(private: Path) -> None:
    private.parent.chmod(0o711)
    with another_user():
        assert list(verify(private)) == []


def keep_container(target: Target, layer: str) -> None:
    """Have podman keep a container with a layer of its own."""
    record = next(record for record in target.records("layers") if record["id"] == layer)
    own = {"id": "c" * 64, "parent": layer, "created": record["created"]}
    target.write_records("layers", [*target.records("layers"), own])
    place = target.layer(own["id"])
    for name in ("diff", "work", "merged"):
        (place / name).mkdir(parents=True)
    (place / "link").write_text("CONTAINER")
    (target.root / "overlay/l/CONTAINER").symlink_to(f"../{own['id']}/diff")
    (target.root / "overlay-containers").mkdir()
    (target.root / "overlay-containers/containers.json").write_text(json.dumps([{"id": "d" * 64, "layer": own["id"]}]))


def test_a_container_of_podman_s_is_no_mistake(target: Target) -> None:
    keep_container(target, target.top)
    assert [str(found) for found in verify(target.root, deep=True)] == []


def test_a_list_of_manifests_is_no_image(target: Target) -> None:
    target.write_records(
        "images", [*target.records("images"), {"id": "e" * 64, "names": ["localhost/list:1"], "big-data-names": ["manifest"]}]
    )
    place = target.root / "overlay-images" / ("e" * 64)
    place.mkdir()
    (place / "manifest").write_text('{"schemaVersion":2,"manifests":[]}')
    assert [str(found) for found in verify(target.root, deep=True)] == []
