from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.cli.program import call
from tests.converter import Flaw, flat, layered
from tests.images import Image, file, tar, whiteout
from tests.publish.cvmfs import STORE, Publisher, publishing_machine
from tests.publish.soundness import names
from tests.publish.stores import exact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

APP = "registry.example.org/team/app:1"
HIDES = "registry.example.org/team/hides:1"
BASE = tar(file("base", b"base"))
IMAGES = {APP: Image(layers=(BASE, tar(file("top")))), HIDES: Image(layers=(BASE, tar(whiteout("base"))))}
REASON = 'layers[1]: expected a tree with whiteouts that overlay knows, found the file ".wh.base" instead of one'

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files away")


@pytest.fixture
def publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    """Yield a machine that publishes an empty repository, as the command line finds it."""
    with publishing_machine(tmp_path / "site") as machine:
        for name, value in machine.environment.items():
            monkeypatch.setenv(name, value)
        yield machine


def test_it_tells_what_it_adopted_and_what_it_left(tmp_path: Path) -> None:
    origin = layered(tmp_path / "r", IMAGES)
    done = call("adopt", tmp_path / "store", "--from", origin)
    assert done.code == 1
    assert done.out.splitlines() == [
        f"adopted {APP}",
        "  the registry's manifest is not kept, so its digest is unknown",
        "  its files belong to user 998, whatever the image says",
        "  containers see .cvmfscatalog",
        f"to be converted anew: {HIDES}",
        f"  {REASON}",
        "1 image, 11 entries, 2.7 kB",
    ]
    assert names(tmp_path / "store") == {APP: IMAGES[APP].id}


def test_a_second_time_it_does_nothing(tmp_path: Path) -> None:
    origin = layered(tmp_path / "r", IMAGES)
    call("adopt", tmp_path / "store", "--from", origin)
    before = exact(tmp_path / "store")
    done = call("adopt", tmp_path / "store", "--from", origin)
    assert (done.code, done.out.splitlines()) == (1, [f"{APP}: already there", f"to be converted anew: {HIDES}", f"  {REASON}"])
    assert exact(tmp_path / "store") == before


def test_where_nothing_is_left_it_ends_well(tmp_path: Path) -> None:
    origin = flat(tmp_path / "r", {APP: IMAGES[APP]}, Flaw.NO_CATALOGS, Flaw.AS_IN_IMAGE)
    done = call("adopt", tmp_path / "store", "--from", origin, "--copy")
    assert (done.code, done.out.splitlines()) == (0, [f"adopted {APP}", "1 image, 14 entries, 3.7 kB"])
    assert [line.split()[0] for line in done.err.splitlines()] == ["looking", "looking", "unpacking", "unpacking"]


def test_images_whose_name_has_gone_to_another_are_passed_over(tmp_path: Path) -> None:
    origin = flat(tmp_path / "r", [(APP, IMAGES[HIDES]), (APP, IMAGES[APP])], Flaw.NO_CATALOGS, Flaw.AS_IN_IMAGE)
    done = call("adopt", tmp_path / "store", "--from", origin)
    assert (done.code, done.out.splitlines()[:2]) == (
        0,
        [
            f"adopted {APP}",
            f"passed over {IMAGES[HIDES].id[:12]} ({APP}): expected a name of its own, found that they all belong to other images",
        ],
    )


def test_without_any_image_it_says_so(tmp_path: Path) -> None:
    origin = layered(tmp_path / "r", {APP: IMAGES[APP]})
    (origin / "overlay-images/images.json").write_bytes(b"[]")
    done = call("adopt", tmp_path / "store", "--from", origin)
    assert (done.code, done.out, (tmp_path / "store").exists()) == (0, "no images\n", False)


@pytest.mark.parametrize("copy", [(), ("--copy",)])
def test_a_dry_run_prints_the_steps_and_writes_nothing(tmp_path: Path, copy: tuple[str, ...]) -> None:
    origin = layered(tmp_path / "r", IMAGES)
    done = call("adopt", tmp_path / "store", "--from", origin, "--dry-run", *copy)
    lines = done.out.splitlines()
    assert done.code == 1
    assert lines[0].startswith("replace index overlay-layers/layers.json")
    assert lines[lines.index(f"would adopt {APP}") - 1].startswith("11 steps, ")
    assert lines[-1] == f"  {REASON}"
    assert not (tmp_path / "store").exists()


def test_its_json_has_all_of_it(tmp_path: Path) -> None:
    origin = flat(tmp_path / "r", [(APP, Image()), *IMAGES.items()])
    done = call("adopt", tmp_path / "store", "--from", origin, "--json")
    remarks = ["its files belong to user 998, whatever the image says", "containers see .cvmfscatalog"]
    assert done.code == 1
    assert {key: value for key, value in done.json.items() if key not in ("entries", "bytes")} == {
        "adopted": [{"id": IMAGES[APP].id, "names": [APP], "remarks": remarks}],
        "already_there": [],
        "passed_over": [
            {"id": Image().id, "names": [APP], "reason": "expected a name of its own, found that they all belong to other images"}
        ],
        "left": [{"id": IMAGES[HIDES].id, "names": [HIDES], "reason": REASON}],
        "revision": None,
        "root_hash": None,
        "bytes_streamed": 0,
    }
    again = call("adopt", tmp_path / "store", "--from", origin, "--json", "--dry-run").json
    assert (again["adopted"], again["already_there"], again["steps"]) == ([], [{"id": IMAGES[APP].id, "names": [APP]}], [])


def test_a_record_of_control_characters_is_shown_legibly(tmp_path: Path) -> None:
    origin = flat(tmp_path / "r", {APP: IMAGES[APP]})
    (origin / "overlay-images/images.json").write_text(f'[{{"id": "{IMAGES[APP].id}", "names": ["\\u001b[31mred"]}}]')
    done = call("adopt", tmp_path / "store", "--from", origin)
    assert done.code == 1
    assert done.out.splitlines() == [
        r"to be converted anew: \x1b[31mred",
        r'  expected a name with a tag, found "\x1b[31mred"',
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "Missing option '--from'"),
        (("--from", "{tmp}/none"), 3, "cstore: {tmp}/none/overlay-images/images.json: expected a file, found nothing"),
        (("--from", "{tmp}/r/podmanStore", "--tag", "x"), 2, "are for a LOCATION in CernVM-FS"),
        (("--from", "cvmfs://x"), 3, "cstore: cvmfs://x: expected the directory of a store, found a location of the kind cvmfs://"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    layered(tmp_path / "r", IMAGES)
    done = call("adopt", tmp_path / "store", *(word.format(tmp=tmp_path) for word in arguments))
    assert done.code == code
    assert said.format(tmp=tmp_path) in done.err
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("make", [layered, flat])
def test_in_cernvm_fs_it_makes_one_revision(tmp_path: Path, publisher: Publisher, make: Callable[..., Path]) -> None:
    origin = make(tmp_path / "r", IMAGES)
    done = call("adopt", publisher.location, "--from", origin, "--tag", "adopted", "--message", "all of it")
    assert (done.code, publisher.revision) == (1, 2)
    assert done.out.splitlines()[-1] == f"revision 2, root hash {publisher.root_hash}"
    assert names(publisher.newest / STORE) == {APP: IMAGES[APP].id}
    done = call("adopt", publisher.location, "--from", origin)
    assert (done.code, publisher.revision) == (1, 2)
