"""What keeps cstore from writing: no room, no permission, something else at a place of the store."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cstore.model.layout import Form
from cstore.publish.batch import publishing
from cstore.store import Store
from tests.cli.program import USER, call, call_as_user
from tests.images import Image, directory, file, symlink, tar, write_layout
from tests.publish.soundness import names, problems, unfinished
from tests.publish.stores import DAY, FORMS, NEW, OLD, TOOL, exact, listing, sources

if TYPE_CHECKING:
    from collections.abc import Iterator

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk and becomes another user")
EACH_FORM = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.value)


@pytest.fixture
def made(tmp_path: Path) -> dict[str, str]:
    return sources(tmp_path / "images")


@pytest.fixture
def users() -> Iterator[Path]:
    """A directory of a plain user's, in which the images are too."""
    place = Path(tempfile.mkdtemp())
    sources(place / "images")
    os.chown(place, USER, USER)
    yield place
    shutil.rmtree(place)


@contextmanager
def disk(place: Path, options: str) -> Iterator[Path]:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@AS_ROOT
@EACH_FORM
@pytest.mark.parametrize("options", ["size=12k", *(f"nr_inodes={count}" for count in range(5, 40, 5))])
def test_a_full_disk_changes_nothing(tmp_path: Path, made: dict[str, str], options: str, form: Form) -> None:
    with disk(tmp_path / "disk", options) as place:
        done = call("add", place / "store", made["old"], "--name", OLD, "--layout", form.value)
        assert done.code == 3
        assert "space" in done.sentence
        assert list(place.iterdir()) == []


@AS_ROOT
@EACH_FORM
def test_a_disk_that_gets_full_leaves_the_store_as_it_was(tmp_path: Path, made: dict[str, str], form: Form) -> None:
    with publishing(tmp_path / "store", form=form, today=DAY) as batch:
        batch.add(made["old"], name=OLD)
    entries = len(listing(tmp_path / "store"))
    failed = 0
    for more in range(1, 60, 6):
        with disk(tmp_path / f"disk-{more}", f"nr_inodes={entries + more}") as place:
            subprocess.run(["cp", "-a", tmp_path / "store", place], check=True)
            before = listing(place / "store")
            done = call("add", place / "store", made["new"], "--name", OLD)
            if done.code == 0:
                assert problems(place / "store") == []
                break
            failed += 1
            assert (done.code, "no space is left on the device" in done.sentence) == (3, True)
            assert listing(place / "store") == before
    assert failed > 2


@AS_ROOT
@EACH_FORM
def test_a_users_store_is_all_his(users: Path, form: Form) -> None:
    source = f"oci:{users / 'images'}"
    root = users / "store"
    done = call_as_user(users.parent / f"{users.name}.log", "add", root, f"{source}:new", "--name", NEW, "--layout", form.value)
    (users.parent / f"{users.name}.log").unlink()
    assert (done.code, problems(root), unfinished(root)) == (0, [], [])
    assert call("add", root, f"{source}:old", "--name", OLD).code == 0
    assert sorted(names(root)) == [OLD, NEW]
    found = listing(root)
    assert {(told[1], told[2]) for told in found.values()} == {(USER, USER)}
    whiteouts = [path for path, told in found.items() if stat.S_ISCHR(int(told[0], 8))]
    assert {path.rpartition("/")[2] for path in whiteouts} == {"motd", "one", "two", "empty"}
    assert all(found[path][3] == os.makedev(0, 0) for path in whiteouts)
    assert not any(path.endswith("tmp/null") for path in found)


@AS_ROOT
def test_what_a_users_store_lacks_is_reported(users: Path) -> None:
    (users / "store").mkdir()
    os.chown(users / "store", USER, USER)
    done = call("add", users / "store", f"oci:{users / 'images'}:new", "--name", NEW)
    assert f"owners: all files belong to user {USER}, devices are left out" in done.out
    assert "left out 1 device that only root can make: tmp/null" in done.out
    assert call("list", users / "store", "--json").json["owners"].startswith(f"all files belong to user {USER}")


@AS_ROOT
def test_a_user_can_undo_and_prune_directories_that_refuse_him(users: Path) -> None:
    closed = tar(
        directory("a", 0), directory("a/b", 0), file("a/b/c", b"c", 0), directory("d", 0o111), directory("d/e", 0o300), file("d/e/f")
    )
    write_layout(users / "closed", {"1": Image(layers=(closed,))})
    log = users.parent / f"{users.name}.log"
    for arguments in (
        ("add", users / "store", f"oci:{users / 'closed'}:1", "--name", OLD),
        ("remove", users / "store", OLD),
        ("prune", users / "store", "--grace", "0d"),
    ):
        done = call_as_user(log, *arguments)
        assert (done.code, done.err.count("cstore: ")) == (0, 0), done.err
    log.unlink()
    assert list(Store.open(users / "store").all_layers()) == []
    assert unfinished(users / "store") == []


@AS_ROOT
@pytest.mark.parametrize(
    ("verb", "rest"),
    [("add", ("SOURCE", "--name", NEW)), ("tag", (OLD, TOOL)), ("remove", (OLD,)), ("prune", ("--grace", "0d")), ("list", ())],
)
@pytest.mark.parametrize("what", ["all", "the indexes", "nothing"])
def test_who_may_not_write_is_told_and_changes_nothing(users: Path, verb: str, rest: tuple[str, ...], what: str) -> None:
    """The store is root's: the user may read all, all but the indexes, or not even look into it."""
    root = users / "store"
    with publishing(root, today=DAY) as batch:
        batch.add(f"oci:{users / 'images'}:old", name=OLD)
        batch.add(f"oci:{users / 'images'}:tool", name="example.org/tool:1")
    with publishing(root, today=DAY) as batch:
        batch.remove(OLD)
        batch.tag("example.org/tool:1", OLD)
    root.chmod(0o700 if what == "nothing" else 0o755)
    if what == "the indexes":
        (root / "overlay-images/images.json").chmod(0o600)
    before = exact(root)
    log = users.parent / f"{users.name}.log"
    done = call_as_user(log, verb, root, *(f"oci:{users / 'images'}:new" if word == "SOURCE" else word for word in rest))
    log.unlink()
    if verb == "list" and what == "all":
        assert done.code == 0
    else:
        assert done.code == 3
        assert done.sentence.startswith("cstore: ")
    assert exact(root) == before


@pytest.mark.parametrize(
    "place", ["overlay", "overlay/l", "overlay-layers", "overlay-images", "pool", "pool/XX", "overlay-images/IMAGE", ".cstore-work"]
)
@pytest.mark.parametrize("verb", ["add", "add and move a name", "remove", "prune"])
def test_nothing_outside_is_touched_through_a_planted_symlink(tmp_path: Path, made: dict[str, str], place: str, verb: str) -> None:
    root = tmp_path / "store"
    with publishing(root, form=Form.SHARDED, today=DAY) as batch:
        batch.add(made["new"], name=NEW)
        batch.add(made["old"], name=OLD)
    delta = None
    if verb in ("add", "prune"):
        with publishing(root, today=DAY) as batch:
            batch.remove(NEW)
        delta = Store.open(root).about.retired
    if verb == "add":
        call("prune", root, "--grace", "0d")
    top = next(iter(delta)) if delta else next(layer.id for layer in Store.open(root).all_layers() if layer.parent)
    image = Store.open(root).named(OLD)
    assert image is not None
    planted = root / place.replace("XX", top[:2]).replace("IMAGE", image.id)
    elsewhere = tmp_path / "elsewhere"
    if planted.exists():
        planted.rename(elsewhere)
    else:
        elsewhere.mkdir()
    for name in (top, "tree", "precious"):
        if not os.path.lexists(elsewhere / name):
            (elsewhere / name).mkdir()
            (elsewhere / name / "precious").write_text("precious")
    planted.parent.mkdir(exist_ok=True)
    planted.symlink_to(elsewhere)
    before = exact(elsewhere)
    arguments = {
        "add": ("add", root, made["new"], "--name", NEW),
        "add and move a name": ("add", root, made["tool"], "--name", OLD),
        "remove": ("remove", root, OLD),
        "prune": ("prune", root, "--grace", "0d"),
    }[verb]
    done = call(*arguments)
    assert done.code in (0, 3)
    assert "Traceback" not in done.err
    after = exact(elsewhere)
    assert after.keys() == before.keys()
    assert {path: after[path][4] for path in after} == {path: before[path][4] for path in before}


@AS_ROOT
def test_no_room_for_what_is_kept_meanwhile_names_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image(layers=(tar(*(file(os.urandom(60).hex()) for _ in range(3000))),))
    source = write_layout(tmp_path / "image", image)
    with disk(tmp_path / "temporary", "size=64k") as place:
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        done = call("add", tmp_path / "store", source, "--name", NEW)
    assert (done.code, done.sentence) == (
        3,
        f"cstore: {place}: expected to keep what layers need meanwhile, found: No space left on device",
    )
    assert not (tmp_path / "store").exists()


@AS_ROOT
def test_no_room_in_a_tree_names_the_whole_path(tmp_path: Path) -> None:
    source = write_layout(tmp_path / "image", Image(layers=(tar(*(file(f"f{number}") for number in range(100))),)))
    with disk(tmp_path / "disk", "size=4m,nr_inodes=60") as place:
        done = call("add", place / "store", source, "--name", NEW)
    assert done.code == 3
    assert re.fullmatch(
        rf"cstore: {place}/store/overlay/[0-9a-f]{{64}}/diff/f\d+: expected to write the store, found: no space is left on the device",
        done.sentence,
    )


@AS_ROOT
def test_a_dry_run_tells_that_there_is_no_room(tmp_path: Path) -> None:
    source = write_layout(tmp_path / "image", Image(layers=(tar(file("large", bytes(3 << 20))),)))
    with disk(tmp_path / "disk", "size=1m") as place:
        done = call("add", place / "store", source, "--name", NEW, "--dry-run")
        assert (done.code, done.sentence.endswith(" bytes of free space, found 1048576")) == (3, True)
        assert list(place.iterdir()) == []


@AS_ROOT
def test_attributes_that_a_symlink_cannot_have_are_left_out(tmp_path: Path) -> None:
    image = Image(layers=(tar(file("a"), symlink("l", "a", xattrs={"user.y": b"1", "trusted.z": b"2"})),))
    done = call("add", tmp_path / "store", write_layout(tmp_path / "image", image), "--name", NEW)
    assert (done.code, "left out 1 extended attribute" in done.out) == (0, True)
    (link,) = (tmp_path / "store").glob("overlay/*/diff/l")
    assert os.listxattr(link, follow_symlinks=False) == ["trusted.z"]
