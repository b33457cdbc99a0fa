"""The verbs on stores in CernVM-FS, as a person calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.program import USER, Outcome, call
from tests.images import Image, directory, file, symlink, tar, write_layout
from tests.publish.cvmfs import NAME, STORE, publishing_machine
from tests.publish.soundness import names, problems, unfinished
from tests.publish.stores import IMAGES, NEW, OLD, TOOL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.publish.cvmfs import Publisher

STORE_AT = f"cvmfs://{NAME}/{STORE}"


@pytest.fixture
def publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    """Yield a machine that publishes, of which the environment tells."""
    with publishing_machine(tmp_path / "site") as machine:
        for name, value in machine.environment.items():
            monkeypatch.setenv(name, value)
        yield machine


def lines(outcome: Outcome) -> list[str]:
    assert outcome.code == 0, outcome.err
    return outcome.out.splitlines()


def sentence(outcome: Outcome) -> str:
    """Return the only line that tells no progress."""
    assert (outcome.code, outcome.out) == (3, "")
    (line,) = [line for line in outcome.err.splitlines() if not line.startswith(("verifying ", "streaming "))]
    return line


def test_add_tells_the_revision(publisher: Publisher, made: dict[str, str]) -> None:
    added = call("add", f"cvmfs://{NAME}", made["old"], "--name", OLD)
    streamed = f"revision 2, root hash {publisher.root_hash}, 51.2 kB streamed"
    told = lines(added)
    assert [told[0], told[2][:60]] == [f"added {OLD}", streamed[:60]]
    assert told[1].startswith("2 new layers, ")
    assert told[1].endswith("; owners: as in the images")
    assert "streaming " in added.err
    assert names(publisher.store) == {OLD: IMAGES["old"].id}
    assert lines(call("add", STORE_AT, made["old"], "--name", OLD)) == [f"{OLD}: already there"]
    assert publisher.verbs == ["ingest"]


def test_add_tells_it_as_json(publisher: Publisher, tmp_path: Path) -> None:
    image = Image(layers=(tar(file("x", b"12", xattrs={"user.note": b"1"}), symlink("l", "$(X)")),))
    outcome = call("add", STORE_AT, write_layout(tmp_path / "image", image), "--name", NEW, "--json")
    told = outcome.json
    assert told.pop("seconds") > 0
    assert told.pop("bytes_streamed") % 512 == 0
    assert told.pop("bytes") > 0
    assert told == {
        "names": [NEW],
        "images": 1,
        "layers": 1,
        "entries": told["entries"],
        "owners": "as in the images",
        "devices_left_out": [],
        "xattrs_left_out": 1,
        "expanding_symlinks": ["l"],
        "revision": 2,
        "root_hash": publisher.root_hash,
    }


def test_add_reports_what_clients_will_not_see(publisher: Publisher, tmp_path: Path) -> None:
    image = Image(layers=(tar(file("x", xattrs={"user.note": b"1"}), symlink("l", "$(X)")),))
    told = lines(call("add", STORE_AT, write_layout(tmp_path / "image", image), "--name", NEW))
    assert told[2:4] == ["left out 1 extended attribute", "clients expand $( in 1 symlink: l"]
    assert publisher.revision == 2


def test_a_dry_run_calls_nothing(publisher: Publisher, made: dict[str, str]) -> None:
    told = lines(call("add", STORE_AT, made["old"], "--name", OLD, "--dry-run"))
    assert any(line.startswith("put tree pool/") for line in told)
    assert (publisher.machine.calls(), publisher.revision) == ([], 1)


def test_the_forms_of_a_new_store(publisher: Publisher, made: dict[str, str]) -> None:
    lines(call("add", STORE_AT, made["old"], "--name", OLD))
    lines(call("add", f"cvmfs://{NAME}/other", made["old"], "--name", OLD, "--layout", "direct"))
    assert [(publisher.newest / path / "pool").is_dir() for path in (STORE, "other")] == [True, False]
    assert problems(publisher.newest / "other") == unfinished(publisher.newest / "other") == []


def test_names_change_and_layers_go(publisher: Publisher, made: dict[str, str]) -> None:
    for tag, name in (("old", OLD), ("new", NEW)):
        lines(call("add", STORE_AT, made[tag], "--name", name))
    assert lines(call("tag", STORE_AT, OLD, TOOL)) == [f"tagged {OLD} as {TOOL}", f"revision 4, root hash {publisher.root_hash}"]
    assert lines(call("remove", STORE_AT, NEW)) == [f"removed {NEW}", f"revision 5, root hash {publisher.root_hash}"]
    assert lines(call("prune", STORE_AT)) == ["nothing to do"]
    assert publisher.revision == 5
    planned = lines(call("prune", STORE_AT, "--grace", "0d", "--dry-run"))
    assert publisher.revision == 5
    assert lines(call("prune", STORE_AT, "--grace", "0d")) == [*planned, f"revision 6, root hash {publisher.root_hash}"]
    assert (publisher.revision, publisher.verbs) == (6, ["ingest"] * 5)
    assert set(names(publisher.store)) == {OLD, TOOL}
    assert problems(publisher.store) == unfinished(publisher.store) == []


def test_each_verb_names_its_revision(publisher: Publisher, made: dict[str, str]) -> None:
    lines(call("add", STORE_AT, made["old"], "--name", OLD, "--tag", "first", "--message", "one image"))
    lines(call("tag", STORE_AT, OLD, NEW, "--tag", "second"))
    lines(call("remove", STORE_AT, OLD, "--tag", "third", "--message", "gone"))
    lines(call("remove", STORE_AT, NEW))
    lines(call("prune", STORE_AT, "--grace", "0d", "--tag", "fourth"))
    tags = [line.split(" ") for line in publisher.machine.run("tag", "-l", "-x", NAME)[1].splitlines()]
    named = {tag[0]: (int(tag[2]), " ".join(tag[4:])) for tag in tags if tag[0] in ("first", "second", "third", "fourth")}
    assert named == {"first": (2, "one image"), "second": (3, ""), "third": (4, "gone"), "fourth": (6, "")}


def test_stores_are_read_where_they_are_published_and_on_clients(publisher: Publisher, made: dict[str, str], tmp_path: Path) -> None:
    lines(call("add", STORE_AT, made["new"], "--name", NEW))
    client = tmp_path / "client"
    assert publisher.machine.run("client", NAME, str(client)) == (0, "")
    for verb in (("list",), ("list", "--json"), ("inspect", NEW), ("inspect", NEW, "--json")):
        name, *rest = verb
        there = lines(call(name, STORE_AT, *rest))
        assert lines(call(name, client / STORE, *rest)) == there
    assert NEW in lines(call("list", STORE_AT))[1]
    union = publisher.machine.repository(NAME).union / STORE
    assert f'additionalimagestores = ["{union}"]' in lines(call("config", STORE_AT))
    assert publisher.verbs == ["ingest", "client"]


def test_a_client_cannot_be_written(publisher: Publisher, made: dict[str, str], tmp_path: Path) -> None:
    lines(call("add", STORE_AT, made["new"], "--name", NEW))
    assert publisher.machine.run("client", NAME, str(tmp_path / "client")) == (0, "")
    assert sentence(call("tag", tmp_path / "client" / STORE, NEW, OLD)).endswith("Read-only file system")
    assert publisher.revision == 2


def test_errors_are_one_sentence_each(publisher: Publisher, made: dict[str, str], tmp_path: Path) -> None:
    source = write_layout(tmp_path / "image", Image(layers=(tar(file(".cvmfscatalog", b"1"), file("x")),)))
    spool = publisher.site.spool
    assert sentence(call("list", "cvmfs://another")) == (
        f"cstore: cvmfs://another: expected a repository that this machine publishes, found no {spool}/another/rdonly"
    )
    assert sentence(call("list", STORE_AT)) == f"cstore: {spool}/{NAME}/rdonly/{STORE}: expected an image store, found nothing"
    assert sentence(call("add", STORE_AT, source, "--name", NEW)).endswith("found .cvmfscatalog; --skip-reserved leaves them out")
    assert sentence(call("add", STORE_AT, made["new"], "--name", NEW, "--xattrs")) == (
        f"cstore: {NAME}: expected a repository with CVMFS_INCLUDE_XATTRS=true, found one without"
    )
    assert (publisher.machine.calls(), publisher.revision) == ([], 1)
    lines(call("add", STORE_AT, source, "--name", NEW, "--skip-reserved"))
    assert publisher.revision == 2


def test_an_open_transaction_is_reported(publisher: Publisher, made: dict[str, str]) -> None:
    assert publisher.machine.run("transaction", NAME)[0] == 0
    told = sentence(call("add", STORE_AT, made["new"], "--name", NEW))
    assert f"somebody else is publishing: `ls -l {publisher.site.spool / NAME}` shows since when and as whom" in told
    assert publisher.is_open


@pytest.mark.parametrize("options", [("--wait", "3"), ("--tag", "x"), ("--message", "x"), ("--xattrs",), ("--skip-reserved",)])
def test_options_of_revisions_are_for_repositories(made: dict[str, str], options: tuple[str, ...], tmp_path: Path) -> None:
    outcome = call("add", tmp_path / "store", made["new"], "--name", NEW, *options)
    assert outcome.code == 2
    assert outcome.err.endswith("Error: --wait, --tag, --message, --xattrs and --skip-reserved are for a LOCATION in CernVM-FS\n")
    assert not (tmp_path / "store").exists()


def test_where_nothing_is_said_the_usual_places_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CSTORE_CVMFS_SPOOL", raising=False)
    assert sentence(call("list", "cvmfs://no.such.repository")) == (
        "cstore: cvmfs://no.such.repository: expected a repository that this machine publishes, "
        "found no /var/spool/cvmfs/no.such.repository/rdonly"
    )


def test_what_changed_is_told_as_json_with_its_revision(publisher: Publisher, made: dict[str, str]) -> None:
    lines(call("add", STORE_AT, made["old"], "--name", OLD))
    for arguments in (
        ("tag", STORE_AT, OLD, TOOL),
        ("remove", STORE_AT, OLD),
        ("remove", STORE_AT, TOOL),
        ("prune", STORE_AT, "--grace=0d"),
    ):
        told = call(*arguments, "--json").json
        assert (told["changed"], told["revision"], told["root_hash"]) == (True, publisher.revision, publisher.root_hash)


def test_a_message_without_a_name_is_a_wrong_usage(publisher: Publisher) -> None:
    done = call("remove", STORE_AT, OLD, "--message", "gone")
    assert done.code == 2
    assert "--message tells what a named revision is, so it takes --tag" in " ".join(done.err.split())
    assert publisher.machine.calls() == []


def test_a_name_for_a_revision_that_is_none_is_told(publisher: Publisher, made: dict[str, str]) -> None:
    lines(call("add", STORE_AT, made["old"], "--name", OLD))
    none = "no revision is named nightly, since there was nothing to publish"
    assert lines(call("add", STORE_AT, made["old"], "--name", OLD, "--tag", "nightly")) == [f"{OLD}: already there", none]
    assert lines(call("tag", STORE_AT, OLD, OLD, "--tag", "nightly")) == [f"{OLD}: already there", none]
    assert lines(call("prune", STORE_AT, "--tag", "nightly")) == ["nothing to do", none]
    assert publisher.revision == 2


def test_attributes_of_layers_that_are_there_already_are_told(publisher: Publisher, made: dict[str, str]) -> None:
    lines(call("add", STORE_AT, made["old"], "--name", OLD))
    told = lines(call("add", STORE_AT, made["old"], "--name", OLD, "--xattrs"))
    assert told == [f"{OLD}: already there", "extended attributes are set in new layers only: 2 layers were there already"]
    assert publisher.revision == 2


def test_the_owner_of_the_directory_says_nothing_of_the_layers(publisher: Publisher, made: dict[str, str]) -> None:
    ingest = ("ingest", "-k", "-t", "-", "-b", "/", NAME)
    assert publisher.machine.run(*ingest, data=tar(directory(STORE, uid=USER, gid=USER)))[0] == 0
    lines(call("add", STORE_AT, made["old"], "--name", OLD))
    assert publisher.store.stat().st_uid == USER
    assert lines(call("list", STORE_AT))[-1].endswith("owners: as in the images")
    assert call("list", STORE_AT, "--json").json["owners"] == "as in the images"


@pytest.mark.parametrize("program", ["", "  ", '"', "a 'b"])
def test_a_program_that_is_none_is_a_wrong_usage(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, program: str, tmp_path: Path
) -> None:
    assert publisher.environment
    monkeypatch.setenv("CSTORE_CVMFS_SERVER", program)
    done = call("list", STORE_AT)
    assert done.code == 2
    assert "CSTORE_CVMFS_SERVER: expected a program with its arguments, as a shell takes them" in " ".join(done.err.split())
    assert call("list", tmp_path).code == 3, "a directory needs none"


@pytest.mark.parametrize("seconds", ["nan", "-1", "x"])
def test_what_is_no_time_to_wait_is_a_wrong_usage(publisher: Publisher, seconds: str) -> None:
    assert call("remove", STORE_AT, OLD, "--wait", seconds).code == 2
    assert publisher.machine.calls() == []


def test_a_dry_run_refuses_what_add_would(publisher: Publisher, tmp_path: Path) -> None:
    source = write_layout(tmp_path / "image", Image(layers=(tar(file(".cvmfscatalog", b"1"), file("x")),)))
    assert sentence(call("add", STORE_AT, source, "--name", NEW, "--dry-run")).endswith("--skip-reserved leaves them out")
    assert publisher.machine.calls() == []


def test_odd_paths_are_told_in_one_sentence(publisher: Publisher) -> None:
    for path in (".wh.x", "a/.cvmfscatalog/x", "$(HOME)x", "-x", "a\nb", "\udcff"):
        assert sentence(call("list", f"cvmfs://{NAME}/{path}")).startswith("cstore: ")
    assert publisher.machine.calls() == []


def test_a_store_is_verified_and_repaired(publisher: Publisher, made: dict[str, str]) -> None:
    lines(call("add", STORE_AT, made["new"], "--name", NEW))
    assert lines(call("verify", STORE_AT, "--deep")) == ["sound: 1 image, 2 layers"]
    publisher.publish_something(f"{STORE}/overlay-images/images.lock", b"")
    found = call("verify", STORE_AT, "--fail-on", "feature", "--json")
    assert (found.code, found.json["code"], found.json["path"]) == (1, "V74", "overlay-images/images.lock")
    assert [line.split(" (")[0] for line in lines(call("repair", STORE_AT))][:1] == ["replace index overlay-images/images.json"]
    assert (publisher.revision, publisher.check()) == (4, "")
    assert lines(call("repair", STORE_AT)) == ["nothing to do"]
    assert lines(call("verify", STORE_AT, "--sample", "1", "--image", NEW)) == [f"sound: image {NEW}"]
    assert publisher.revision == 4


def test_two_stores_are_compared(publisher: Publisher, made: dict[str, str]) -> None:
    lines(call("add", STORE_AT, made["new"], "--name", NEW))
    lines(call("add", f"cvmfs://{NAME}/other", made["new"], "--name", NEW))
    assert call("diff", STORE_AT, f"cvmfs://{NAME}/other").code == 0
    lines(call("tag", STORE_AT, NEW, OLD))
    assert call("diff", STORE_AT, f"cvmfs://{NAME}/other", "--json").code == 1
    assert publisher.revision == 4
