from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cstore.errors import FormatError
from cstore.hub.flat import flat_step, flat_tree, readable
from cstore.layer.entry import Entry, Kind
from cstore.layer.merging import Part
from tests.images import json_of

if TYPE_CHECKING:
    from collections.abc import Sequence

D, F, S = Kind.DIRECTORY, Kind.FILE, Kind.SYMLINK


def part(*entries: Entry) -> Part:
    made = [Entry(b"", D, 0o700, 1, 2, 3), *entries]
    return Part(id="l", headers=lambda: iter(made), walk=lambda: ((entry, iter([bytes(entry.size)])) for entry in made))


def paths(*parts: Part, config: dict[str, Any] | None = None) -> dict[str, Entry]:
    tree = flat_tree(parts, json_of(config or {}), "image")
    found = [entry for entry, _ in tree.walk()]
    assert tree.counts.entries == len(found)
    return {entry.path.decode(): entry for entry in found}


@pytest.mark.parametrize(
    ("kind", "mode", "expected"),
    [
        (D, 0o700, 0o755),
        (D, 0o000, 0o755),
        (D, 0o1777, 0o1777),
        (D, 0o2750, 0o2755),
        (D, 0o770, 0o775),
        (F, 0o600, 0o644),
        (F, 0o000, 0o444),
        (F, 0o640, 0o644),
        (F, 0o700, 0o755),
        (F, 0o010, 0o555),
        (F, 0o755, 0o755),
        (F, 0o4755, 0o4755),
        (F, 0o6711, 0o6755),
        (F, 0o4750, 0o755),
        (F, 0o2710, 0o755),
        (F, 0o4644, 0o4644),
        (S, 0o777, 0o777),
        (Kind.CHARACTER, 0o666, None),
        (Kind.BLOCK, 0o666, None),
        (Kind.FIFO, 0o666, None),
    ],
)
def test_modes(kind: Kind, mode: int, expected: int | None) -> None:
    entry = Entry(b"x", kind, mode, 5, 6, 7, size=3, target=b"t", xattrs=(("user.a", b"1"),), pieces=((0, 3),))
    seen = readable(entry)
    if expected is None:
        assert seen is None
    else:
        assert seen == Entry(b"x", kind, expected, 5, 6, 7, size=3, target=b"t", pieces=((0, 3),))


def test_an_entry_that_everybody_can_read_stays_as_it_is() -> None:
    entry = Entry(b"x", F, 0o644, 5, 6, 7)
    assert readable(entry) is entry


ALL = {"", "proc", "sys", "dev", "tmp", "var", "var/tmp", "home", "root"}
OWN = {
    ".singularity.d/env",
    ".singularity.d",
    ".singularity.d/env/10-docker2singularity.sh",
    ".singularity.d/labels.json",
    ".singularity.d/runscript",
}


def test_an_image_without_layers() -> None:
    found = paths()
    assert found.keys() == ALL | OWN
    assert {path: f"{found[path].mode:o}" for path in ALL} == {path: "1777" if path.endswith("tmp") else "755" for path in ALL}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([Entry(b"var", S, 0o777, 0, 0, 0, target=b"/elsewhere")], ALL - {"var/tmp"}),
        ([Entry(b"tmp", S, 0o777, 0, 0, 0, target=b"var/tmp")], ALL),
        ([Entry(b"var", D, 0o700, 0, 0, 0), Entry(b"var/tmp", S, 0o777, 0, 0, 0, target=b"../tmp")], ALL),
        ([Entry(b"home", F, 0o644, 0, 0, 0)], ALL),
    ],
)
def test_mount_points_take_the_place_of_nothing(entries: Sequence[Entry], expected: set[str]) -> None:
    found = paths(part(*entries))
    assert found.keys() - OWN == expected
    assert {entry.path: entry.kind for entry in entries} == {entry.path: found[entry.path.decode()].kind for entry in entries}


def test_apptainers_own_files_win_and_the_rest_of_the_room_stays() -> None:
    room = [Entry(b".singularity.d", D, 0o700, 0, 0, 0), Entry(b".singularity.d/env", D, 0o700, 0, 0, 0)]
    files = [Entry(b".singularity.d/" + name, F, 0o600, 9, 9, 9, size=1) for name in (b"env/90-environment.sh", b"runscript", b"actions")]
    found = paths(part(*room, *files), config={"config": {"Cmd": ["x"]}})
    assert (found[".singularity.d"].mode, found[".singularity.d/runscript"].uid, found[".singularity.d/runscript"].mode) == (
        0o755,
        0,
        0o755,
    )
    assert found[".singularity.d/actions"].uid == found[".singularity.d/env/90-environment.sh"].uid == 9


def test_a_room_of_apptainers_that_is_no_directory_gives_way() -> None:
    found = paths(part(Entry(b".singularity.d", S, 0o777, 0, 0, 0, target=b"/etc")))
    assert found.keys() == ALL | OWN


def test_the_step() -> None:
    entries = [
        Entry(b"a", F, 0o600, 1, 2, 3, size=5),
        Entry(b"d", D, 0o700, 1, 2, 3),
        Entry(b"d/.cvmfscatalog", F, 0o600, 1, 2, 3),
        Entry(b"n", Kind.CHARACTER, 0o600, 1, 2, 3, device=(1, 3)),
        Entry(b"s", F, 0o600, 1, 2, 3, size=100, pieces=((10, 2),)),
        Entry(b"x", F, 0o644, 1, 2, 3, xattrs=(("security.capability", b"1"),)),
    ]
    tree = flat_tree([part(*entries)], b"{}", "image")
    own = sum(entry.size for entry, _ in tree.walk() if entry.path.startswith(b".singularity.d/"))
    step = flat_step(".flat/aa/id", tree)
    assert (step.path, step.top, step.inside, dict(step.files), step.directories) == (".flat/aa/id", ".flat/aa/id", "", {}, ())
    assert (step.entries, step.size, step.holes, step.special, step.xattrs, step.longest_xattr) == (19, 7 + own, 98, 0, 0, 0)
    assert step.reserved == ("d/.cvmfscatalog",)
    assert len([*step.tree.walk()]) == step.entries
    assert dict(flat_step("p", tree, is_catalog=True).files) == {".cvmfscatalog": b""}


def test_a_config_that_is_none_is_told() -> None:
    with pytest.raises(FormatError) as error:
        flat_tree([], b"[]", "image")
    assert str(error.value) == "image: config: expected an object, found an array"
