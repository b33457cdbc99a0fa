"""What a delta touches is checked before it is published."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cstore.delta import Delta, ReplaceIndex
from cstore.errors import PublishError
from cstore.index.index import Index, own_form
from cstore.model.layout import IMAGES_INDEX, IMAGES_LOCK, LAYERS_INDEX, LAYERS_LOCK
from cstore.verification.touched import check_delta, refuse_unsound

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ID, OTHER = "a" * 64, "b" * 64
IMAGE = {"id": ID, "names": ["x.example.org/y:1"], "created": "2026-01-02T03:04:05Z"}


def line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode()


def images(*records: dict[str, Any]) -> bytes:
    return own_form([line(record) for record in records])


def delta(path: str, data: bytes, lock: bytes | None = None) -> Delta:
    lock_path = IMAGES_LOCK if path == IMAGES_INDEX else LAYERS_LOCK
    made = Index.read("x", data).lock if lock is None else lock
    return Delta((ReplaceIndex(path=path, lock_path=lock_path, data=data, lock=made),))


def nothing(_path: str) -> bytes:
    return b""


CASES = (
    ("V1", delta(IMAGES_INDEX, b"{}", bytes(64)), nothing, "V75 V1"),
    ("V1", delta(IMAGES_INDEX, b"[", bytes(64)), nothing, "V75 V1"),
    ("V2", delta(IMAGES_INDEX, images({**IMAGE, "created": ""})), nothing, "V2"),
    ("V3", delta(IMAGES_INDEX, images(IMAGE, {**IMAGE, "id": OTHER})), nothing, "V3 V3"),
    ("V4", delta(IMAGES_INDEX, images({**IMAGE, "digest": "sha256:x"})), nothing, "V4"),
    ("V74", delta(IMAGES_INDEX, images(IMAGE), b""), nothing, "V74"),
    ("V75", delta(IMAGES_INDEX, images(IMAGE), bytes(64)), nothing, "V75"),
    ("V2 layers", delta(LAYERS_INDEX, own_form([line({"id": ID, "diff-size": "1"})])), nothing, "V2"),
    ("a record that was there", delta(IMAGES_INDEX, images({**IMAGE, "created": ""})), lambda _: images({**IMAGE, "created": ""}), ""),
    ("a name that was in a history", delta(IMAGES_INDEX, images(IMAGE, {"id": OTHER, "names-history": IMAGE["names"]})), nothing, ""),
    ("no records", delta(IMAGES_INDEX, b"[]"), nothing, ""),
)


@pytest.mark.parametrize(("name", "made", "old", "codes"), CASES, ids=[case[0] for case in CASES])
def test_what_changes_is_checked(name: str, made: Delta, old: Callable[[str], bytes], codes: str) -> None:
    assert " ".join(problem.code for problem in check_delta(made, old)) == codes, name


def test_what_would_stop_every_reader_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PublishError) as raised:
        refuse_unsound(delta(IMAGES_INDEX, images(IMAGE, {**IMAGE, "id": OTHER})), tmp_path)
    assert str(raised.value) == (
        f'overlay-images/images.json: image {ID}: expected "x.example.org/y:1" at one image, found it at several (spec V3); '
        "nothing was published"
    )


def test_what_reaches_less_far_is_not_refused(tmp_path: Path) -> None:
    refuse_unsound(delta(IMAGES_INDEX, images({**IMAGE, "names": ["short"]})), tmp_path)
