"""Catalogs of CernVM-FS, and what its clients would make of a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cstore.publish.batch import publishing
from cstore.verification import catalogs
from cstore.verification.store import verify
from tests.images import Image, file, symlink, tar, write_layout

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.verification.target import Target


def found(root: Path) -> list[str]:
    return [str(problem) for problem in verify(root, deep=True)]


def test_a_small_layer_needs_no_catalog(target: Target) -> None:
    (target.layer(target.base) / ".cvmfscatalog").touch()
    assert found(target.root) == [f"V91 layer {target.base}: expected no catalog for fewer than 100 entries, found one for 5"]


def test_behind_a_gateway_a_layer_with_whiteouts_does(target: Target) -> None:
    (target.layer(target.top) / ".cvmfscatalog").touch()
    assert found(target.root) == []


def test_a_catalog_is_not_too_large(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogs, "_MOST", 20)
    monkeypatch.setattr(catalogs, "_MOST_ABOVE", 10)
    assert found(target.root) == []
    (target.root / "overlay-images/.cvmfscatalog").touch()
    assert found(target.root) == ["V91 store: expected up to 10 entries in one catalog, found 49"]
    (target.root / "overlay/.cvmfscatalog").touch()
    assert found(target.root) == ["V91 overlay/.cvmfscatalog: expected up to 20 entries in one catalog, found 44"]


def test_a_symlink_that_clients_expand_is_told(tmp_path: Path) -> None:
    image = Image(layers=(tar(symlink("link", "$(HOME)/x"), file(".cvmfsbundles", b"x")),))
    with publishing(tmp_path / "store") as batch:
        batch.add(write_layout(tmp_path / "image", image), name="x.example.org/y:1")
    layer = image.diff_ids[0].removeprefix("sha256:")
    assert found(tmp_path / "store") == [
        f'V93 layer {layer}: link: expected no text that clients expand, found "$(HOME)/x"',
        f"V94 layer {layer}: .cvmfsbundles: expected no name of CernVM-FS's own, found one",
    ]
