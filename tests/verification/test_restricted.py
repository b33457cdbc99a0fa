"""Checks of a part of a store: of one image, or of the content of some layers; and of what is no store."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from cstore.errors import NotFoundError, StoreError
from cstore.verification.store import verify
from tests.verification.target import BYSTANDER, VICTIM

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.verification.target import Target


def _spoil(target: Target) -> None:
    """Break what belongs to the other image, and leave what belongs to none."""
    image = target.bystander
    shutil.rmtree(target.layer(image["layer"]))
    target.tar_split(image["layer"]).unlink()
    shutil.rmtree(target.root / "overlay-images" / image["id"])
    target.layer("f" * 64).mkdir()


def test_only_an_image_and_its_chain_are_looked_at(target: Target) -> None:
    _spoil(target)
    for wanted in (VICTIM, target.image["id"]):
        assert [str(problem) for problem in verify(target.root, image=wanted, deep=True)] == []
    assert {problem.code for problem in verify(target.root, image=BYSTANDER)} == {"V31", "V32", "V42", "V51", "V71"}
    assert {problem.code for problem in verify(target.root)} == {"V31", "V32", "V42", "V51", "V71", "V81", "V82"}


def test_all_the_chain_of_an_image_is_looked_at(target: Target) -> None:
    for layer in target.chain:
        target.tar_split(layer).unlink()
    found = [*verify(target.root, image=VICTIM)]
    assert sorted((problem.code, problem.subject) for problem in found) == sorted(("V71", f"layer {layer}") for layer in target.chain)
    assert [*verify(target.root, image=BYSTANDER)] == []


@pytest.mark.parametrize("wanted", ["nothing", "victim", "f" * 64, VICTIM.upper(), "../..", "\0", "\ud800"])
def test_an_image_that_is_not_there(target: Target, wanted: str) -> None:
    with pytest.raises(NotFoundError) as raised:
        list(verify(target.root, image=wanted))
    assert str(raised.value) == f'{target.root}: expected an image "{wanted}", found none'


@pytest.mark.parametrize(("sample", "expected"), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (100, 4)])
def test_a_sample_reads_so_many_layers(target: Target, sample: int, expected: int) -> None:
    for layer in (*target.chain, target.bystander["layer"]):
        (target.diff(layer) / "more").touch()
    found = [*verify(target.root, sample=sample)]
    assert [problem.code for problem in found] == ["V63"] * expected
    assert len({problem.subject for problem in found}) == expected
    assert found == [*verify(target.root, sample=sample)]


def test_a_sample_of_an_image_is_one_of_its_layers(target: Target) -> None:
    for layer in (*target.chain, target.bystander["layer"]):
        (target.diff(layer) / "more").touch()
    subjects = {problem.subject for problem in verify(target.root, sample=2, image=VICTIM)}
    assert len(subjects) == 2
    assert subjects < {f"layer {layer}" for layer in target.chain}


def _files_for_directories(place: Path) -> None:
    place.mkdir()
    for name in ("overlay-images", "overlay-layers"):
        (place / name).touch()


NO_STORE: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (lambda _place: None, "expected an image store, found: No such file or directory"),
    "a file": (lambda place: place.write_bytes(b""), "expected an image store, found: Not a directory"),
    "a fifo": (os.mkfifo, "expected an image store, found: Not a directory"),
    "a symlink to itself": (lambda place: place.symlink_to(place), "expected an image store, found: Too many levels of symbolic links"),
    "an empty directory": (
        lambda place: place.mkdir(),
        "expected an image store, found a directory without overlay-images and overlay-layers",
    ),
    "files for directories": (
        _files_for_directories,
        "expected an image store, found a directory without overlay-images and overlay-layers",
    ),
}


@pytest.mark.parametrize("name", NO_STORE)
def test_what_is_no_store(tmp_path: Path, name: str) -> None:
    plant, said = NO_STORE[name]
    plant(tmp_path / "store")
    with pytest.raises(StoreError) as raised:
        list(verify(tmp_path / "store"))
    assert type(raised.value) is StoreError
    assert str(raised.value) == f"{tmp_path / 'store'}: {said}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else for a while")
def test_a_store_that_cannot_be_read(target: Target) -> None:
    target.root.chmod(0o700)
    os.seteuid(65534)
    try:
        with pytest.raises(StoreError) as raised:
            list(verify(target.root))
    finally:
        os.seteuid(0)
    assert str(raised.value) == f"{target.root}: expected an image store, found: Permission denied"
