"""Long chains: what readers cannot mount, and how long a check of them takes."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from cstore.index.lock import announcement
from cstore.store import Store
from cstore.verification.store import verify
from tests.publish.stores import FORMS
from tests.verification.patience import patience
from tools.make_store import DEEP, make_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cstore.model.layout import Form

READERS = "/mnt/store"
OLD = "expected up to 128 layers, found {}"
ANY = "expected up to 500 layers, found {}"
PAGE = "expected less than 4096 bytes to mount at {}, found about {} for {} layers"
LONG = "/cvmfs/unpacked.example.org/a/rather/long/path/podmanStore"


@pytest.mark.parametrize(
    ("depth", "readers_root", "expected"),
    [
        (1, READERS, []),
        (111, READERS, []),
        (112, READERS, [("V17", PAGE.format(READERS, 4108, 112))]),
        (128, READERS, [("V17", PAGE.format(READERS, 4652, 128))]),
        (129, READERS, [("V46", OLD.format(129)), ("V17", PAGE.format(READERS, 4686, 129))]),
        (129, "/", [("V46", OLD.format(129))]),
        (45, LONG, []),
        (47, LONG, [("V17", PAGE.format(LONG, 4154, 47))]),
        (500, READERS, [("V46", OLD.format(500)), ("V17", PAGE.format(READERS, 17300, 500))]),
        (505, READERS, [("V16", ANY.format(505)), ("V17", PAGE.format(READERS, 17470, 505))]),
        (1005, READERS, [("V16", ANY.format(1005))]),
    ],
)
def test_a_long_chain(tmp_path: Path, depth: int, readers_root: str, expected: list[tuple[str, str]]) -> None:
    make_store(tmp_path / "store", images=0, depth=depth)
    image = Store.open(tmp_path / "store").image(DEEP).id
    found = [*verify(tmp_path / "store", readers_root=readers_root)]
    assert [(problem.code, problem.said) for problem in found] == expected
    assert {problem.subject for problem in found} <= {f"image {image}"}
    assert {problem.path for problem in found} <= {"overlay-images/images.json"}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: str(form.value))
def test_only_the_deep_image_is_told_of(tmp_path: Path, form: Form) -> None:
    make_store(tmp_path / "store", images=3, layers=2, depth=130, form=form)
    found = [*verify(tmp_path / "store", readers_root="/")]
    assert [(problem.code, problem.subject) for problem in found] == [("V46", f"image {Store.open(tmp_path / 'store').image(DEEP).id}")]
    assert [*verify(tmp_path / "store", image="registry.example.org/team-00/image-00000:1", readers_root="/")] == []


COUNT = 20_000


@pytest.mark.parametrize(
    ("name", "parent", "code", "told"),
    [
        ("a chain", lambda number: number - 1, "V15", 0),
        ("a loop", lambda number: (number - 1) % COUNT, "V15", COUNT),
        ("a chain onto a loop", lambda number: number - 1 if number else 9, "V15", 10),
        ("all on one that is not there", lambda _number: COUNT, "V14", COUNT),
    ],
)
def test_a_check_takes_its_time_by_the_records_however_long_the_chains(
    tmp_path: Path, name: str, parent: Callable[[int], int], code: str, told: int
) -> None:
    make_store(tmp_path / "store", images=1, layers=1)
    records = [{"id": _id(number), "parent": _id(parent(number)), "diff-digest": f"sha256:{_id(number)}"} for number in range(COUNT)]
    data = json.dumps(records).encode()
    (tmp_path / "store/overlay-layers/layers.json").write_bytes(data)
    (tmp_path / "store/overlay-layers/layers.lock").write_bytes(announcement(data, own=False))
    images = json.loads((tmp_path / "store/overlay-images/images.json").read_bytes())
    images[0]["layer"] = _id(COUNT - 1)
    (tmp_path / "store/overlay-images/images.json").write_text(json.dumps(images))
    with patience(60):
        found = [problem.code for problem in verify(tmp_path / "store", deep=True)]
    assert found.count(code) == told, name
    assert found.count("V51") == COUNT
    assert found.count("V16") == (1 if name == "a chain" else 0)


def _id(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest() if number >= 0 else ""
