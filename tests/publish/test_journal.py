from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from cstore.delta import Delta, PutSymlink, PutTree, Remove, ReplaceIndex, file_of
from cstore.errors import FormatError
from cstore.layer.entry import Entry, Kind
from cstore.model.layout import WORK, WORK_LOCK
from cstore.publish.directory import apply
from cstore.publish.journal import Journal, recover
from cstore.publish.owners import Owners
from cstore.publish.writer import Writer
from tests.publish.soundness import is_visible, problems
from tests.publish.stores import FORMS, SCENARIOS, listing
from tests.publish.trees import Given

if TYPE_CHECKING:
    from pathlib import Path

    from cstore.model.layout import Form

FIRST = Delta(
    (
        ReplaceIndex(path="a/a.json", lock_path="a/a.lock", data=b"[]", lock=b"0" * 64),
        file_of("b/big", b"big"),
        PutSymlink(path="l/link", target="../b"),
    )
)
SECOND = Delta(
    (
        file_of("about", b"new"),
        file_of("new/below/file", b"new"),
        ReplaceIndex(path="a/a.json", lock_path="a/a.lock", data=b"[1]", lock=b"1" * 64),
        Remove(path="b"),
        Remove(path="l/link"),
    )
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    place = tmp_path / "store"
    place.mkdir()
    (place / "about").write_bytes(b"old")
    (place / "about").chmod(0o644)
    apply(FIRST, place)
    return place


def interrupted(root: Path, delta: Delta, steps: int) -> None:
    """Leave a store as if its writer had died after some steps."""
    writer = Writer(root, Owners.of(root))
    writer.put_directory(WORK)
    (root / WORK_LOCK).write_bytes(b"")
    Journal.of(delta, root).write(Writer(root, Owners(None)))
    kept = root / WORK
    kept.rename(root.parent / "kept")
    apply(Delta(delta.steps[:steps]), root)
    (root.parent / "kept").rename(kept)


def test_it_comes_back_as_it_was_written(root: Path) -> None:
    (root / WORK).mkdir()
    journal = Journal.of(SECOND, root)
    journal.write(Writer(root, Owners(None)))
    assert Journal.read(root) == journal
    assert journal.puts == ("new/below/file",)
    assert journal.replaced == ("about", "a/a.json")
    assert journal.removes == ("b", "l/link")
    assert journal.directories == ("new", "new/below")
    assert journal.old_locks == {"a/a.lock": (b"0" * 64).hex()}
    assert journal.decisive == "a/a.json"


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_before_the_decisive_step_all_is_undone(root: Path, steps: int) -> None:
    before = listing(root)
    interrupted(root, SECOND, steps)
    recover(Writer(root, Owners.of(root)))
    (root / WORK_LOCK).unlink()
    (root / WORK).rmdir()
    assert listing(root) == before


@pytest.mark.parametrize("steps", [3, 4, 5])
def test_after_the_decisive_step_all_is_finished(root: Path, steps: int) -> None:
    interrupted(root, SECOND, steps)
    (root / "a/a.lock").write_bytes(b"0" * 64)
    recover(Writer(root, Owners.of(root)))
    assert [place.name for place in (root / WORK).iterdir()] == ["lock"]
    assert (root / "a/a.lock").read_bytes() == b"1" * 64
    assert not (root / "b").exists()
    assert not (root / "l/link").is_symlink()
    assert (root / "about").read_bytes() == b"new"


@pytest.mark.parametrize("steps", [0, 1, 2])
@pytest.mark.parametrize("inside", ["diff", ""])
def test_a_tree_is_undone_wherever_it_is_in_its_directory(root: Path, inside: str, steps: int) -> None:
    before = listing(root)
    tree = Given(((Entry(b"d", Kind.DIRECTORY, 0o500, 0, 0, 0), b""), (Entry(b"d/f", Kind.FILE, 0o400, 0, 0, 0, 1), b"x")), 0o555)
    step = PutTree(path=".flat/aa/tree", tree=tree, files={}, directories=(), entries=3, size=1, inside=inside)
    delta = Delta((step, PutSymlink(path="name", target=".flat/aa/tree"), file_of("last", b"")))
    interrupted(root, delta, steps)
    assert (root / ".flat/aa/tree" / inside / "d/f").exists() == (steps > 0)
    recover(Writer(root, Owners.of(root)))
    (root / WORK_LOCK).unlink()
    (root / WORK).rmdir()
    assert listing(root) == before


def test_recovering_twice_is_the_same_as_once(root: Path) -> None:
    before = listing(root)
    interrupted(root, SECOND, 2)
    keep = (root / WORK / "journal").read_bytes()
    recover(Writer(root, Owners.of(root)))
    (root / WORK / "journal").write_bytes(keep)
    recover(Writer(root, Owners.of(root)))
    (root / WORK_LOCK).unlink()
    (root / WORK).rmdir()
    assert listing(root) == before


class Ending(Writer):
    """Removes a few paths, and then no more."""

    left: ClassVar[int] = 0

    def remove(self, path: str) -> None:
        if not Ending.left:
            raise KeyboardInterrupt
        Ending.left -= 1
        super().remove(path)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: str(form.value))
def test_an_undo_that_is_cut_leaves_no_broken_store(tmp_path: Path, made: dict[str, str], form: Form) -> None:
    """Spec P3: it is taken back in an order in which readers see no half of a store that was not there before."""
    with SCENARIOS[0].planned(tmp_path / "store", made, form) as delta:
        last = max(number for number, step in enumerate(delta.steps) if isinstance(step, ReplaceIndex))
        removals = len(delta.steps)
        for number in range(removals):
            root = tmp_path / str(number) / "store"
            root.mkdir(parents=True)
            interrupted(root, delta, last)
            Ending.left = number
            with suppress(KeyboardInterrupt):
                recover(Ending(root, Owners.of(root)))
            assert not is_visible(root) or problems(root) == [], number
            recover(Writer(root, Owners.of(root)))
            assert [*root.rglob("*")] == [root / WORK, root / WORK_LOCK]


def test_a_delta_without_indexes_is_decided_by_its_last_file(root: Path) -> None:
    delta = Delta((file_of("about", b"other"),))
    assert Journal.of(delta, root).decisive == "about"
    interrupted(root, delta, 1)
    recover(Writer(root, Owners.of(root)))
    assert (root / "about").read_bytes() == b"other"


def test_a_delta_of_nothing_decisive_is_always_undone(root: Path) -> None:
    delta = Delta((PutSymlink(path="l/other", target="x"),))
    interrupted(root, delta, 1)
    recover(Writer(root, Owners.of(root)))
    assert not (root / "l/other").is_symlink()


def test_where_nothing_was_interrupted_nothing_is_done(root: Path) -> None:
    before = listing(root)
    recover(Writer(root, Owners.of(root)))
    assert Journal.read(root) is None
    assert listing(root) == before


@pytest.mark.parametrize("outside", ["absolute", "upwards"])
@pytest.mark.parametrize("member", ["puts", "replaced", "removes", "directories", "old_locks", "new_locks", "decisive"])
def test_a_journal_that_names_a_path_outside_is_an_error(root: Path, member: str, outside: str) -> None:
    """The paths lead to a decoy beside the store, never to anything real: this must stay harmless where the check is missing."""
    decoy = root.parent / "decoy"
    decoy.write_text("precious")
    path = str(decoy) if outside == "absolute" else "../decoy"
    change = {"old_locks": {path: "00"}, "new_locks": {path: "00"}, "decisive": path}.get(member, [path])
    _refused(root, {member: change}, "inside the store")
    assert decoy.read_text() == "precious"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "expected version 1, found another: finish with the cstore that wrote it"),
        ({"removes": [""]}, 'expected a path inside the store, found ""'),
        ({"directories": [3]}, "found 3"),
        ({"old_locks": {"a/a.lock": "xx"}}, "expected bytes in hexadecimal"),
        ({"new_locks": {"a/a.lock": 3}}, "3"),
        ({"sha256": None}, "sha256"),
    ],
)
def test_a_damaged_journal_is_an_error_and_nothing_is_done(root: Path, change: dict[str, Any], said: str) -> None:
    _refused(root, change, said)


def _refused(root: Path, change: dict[str, Any], said: str) -> None:
    interrupted(root, SECOND, 2)
    path = root / WORK / "journal"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **change}))
    before = listing(root)
    with pytest.raises(FormatError) as caught:
        recover(Writer(root, Owners.of(root)))
    assert said in str(caught.value)
    assert str(caught.value).startswith(".cstore-work/journal")
    assert listing(root) == before


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b"null"])
def test_a_journal_that_is_none_is_an_error(root: Path, data: bytes) -> None:
    (root / WORK).mkdir()
    (root / WORK / "journal").write_bytes(data)
    with pytest.raises(FormatError, match=r"^\.cstore-work/journal"):
        recover(Writer(root, Owners.of(root)))
