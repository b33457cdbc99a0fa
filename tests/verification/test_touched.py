"""What a delta touches is checked before it is published."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cstore.delta import Delta, ReplaceIndex
from cstore.errors import PublishError
from cstore.index.index import Index, own_form
from cstore.model.layout import IMAGES_INDEX, IMAGES_LOCK, LAYERS_INDEX, LAYERS_LOCK
from cstore.verification.touched import check_delta, refuse_unsound

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ID, OTHER = "a" * 64, "b" * 64
CREATED = "2026-01-02T03:04:05Z"
IMAGE = {"id": ID, "names": ["x.example.org/y:1"], "created": CREATED}


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


def numbered(number: int, created: str = CREATED) -> dict[str, Any]:
    return {"id": f"{number:064x}", "names": [f"x.example.org/y:{number}"], "created": created}


@settings(deadline=None, derandomize=True, max_examples=50)
@given(
    count=st.integers(0, 3000),
    edits=st.dictionaries(st.integers(0, 2999), st.sampled_from(["drop", "spoil"]), max_size=4),
    added=st.integers(0, 2),
    bad=st.sampled_from([0, 2, 7]),
)
def test_only_records_that_change_are_looked_at_wherever_they_are(count: int, edits: dict[int, str], added: int, bad: int) -> None:
    """P23: before anything is published, what a delta changes is checked by the quick rules."""
    old = [numbered(number, "bad" if bad and number % bad == 0 else CREATED) for number in range(count)]
    new = [
        record if number not in edits else numbered(number, "spoilt") for number, record in enumerate(old) if edits.get(number) != "drop"
    ]
    new += [numbered(count + number, "new and bad") for number in range(added)]
    before = images(*old)
    problems = list(check_delta(delta(IMAGES_INDEX, images(*new)), lambda _: before))
    spoilt = sum(1 for number, edit in edits.items() if edit == "spoil" and number < count)
    assert [problem.code for problem in problems] == ["V2"] * (spoilt + added)


@pytest.mark.parametrize("count", [1, 10, 100])
def test_names_that_are_shared_are_found_however_many_are_looked_at(count: int) -> None:
    shared = [{**numbered(number), "names": [f"x.example.org/y:{number}", "x.example.org/same:1"]} for number in range(count + 1)]
    problems = list(check_delta(delta(IMAGES_INDEX, images(*shared)), nothing))
    assert [problem.code for problem in problems] == ["V3"] * (count + 1)


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
