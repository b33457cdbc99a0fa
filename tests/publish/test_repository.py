"""The calls of the program, one by one."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest
from attrs import evolve

from cstore.errors import PublishError, StoreError
from cstore.publish.program import BusyError
from cstore.publish.repository import Moment, Repository
from tests.images import device, directory, file, tar
from tests.publish.cvmfs import NAME, Publisher, publishing_machine


def pour(repository: Repository, error: Exception | None = None) -> None:
    """Write into an ingest for ever, or until an error."""
    with repository.ingest(base="/") as write:
        while True:
            write(b"no tar" if error else bytes(1 << 20))
            if error:
                raise error


def test_a_repository_that_this_machine_publishes(publisher: Publisher) -> None:
    found = Repository.parse(NAME, publisher.site)
    assert found == publisher.repository
    assert found.moment() == Moment(publisher.revision, publisher.root_hash)
    assert found.client == publisher.site.mount / NAME


@pytest.mark.parametrize("name", ["another.example.org", "", "..", "a b"])
def test_a_repository_that_it_does_not_publish(publisher: Publisher, name: str) -> None:
    with pytest.raises(StoreError) as raised:
        Repository.parse(name, publisher.site)
    place = publisher.site.spool / name / "rdonly"
    assert str(raised.value) == f"cvmfs://{name}: expected a repository that this machine publishes, found no {place}"


def test_a_mount_that_tells_no_revision(publisher: Publisher) -> None:
    site = evolve(publisher.site, spool=publisher.site.spool.with_name("empty"))
    (site.spool / NAME / "rdonly").mkdir(parents=True)
    with pytest.raises(PublishError, match=r"/rdonly: expected a mounted repository with its revision, found: .*No data available"):
        Repository(NAME, site).moment()


def test_settings_are_those_of_server_conf(publisher: Publisher) -> None:
    repository = publisher.repository
    assert (repository.has_gateway, repository.keeps_xattrs, repository.setting("NONE")) == (False, False, "")
    with (publisher.site.settings / NAME / "server.conf").open("a") as config:
        config.write("CVMFS_INCLUDE_XATTRS='true'\n  CVMFS_UPSTREAM_STORAGE = \"gw,/srv,http://gateway\"\n# CVMFS_INCLUDE_XATTRS=false\n")
    assert (repository.has_gateway, repository.keeps_xattrs) == (True, True)


@pytest.mark.parametrize("verb", ["setting", "has_gateway", "keeps_xattrs"])
def test_settings_that_cannot_be_read_are_not_guessed(publisher: Publisher, verb: str) -> None:
    config = publisher.site.settings / NAME / "server.conf"
    config.unlink()
    with pytest.raises(PublishError) as raised:
        publisher.repository.setting("CVMFS_USER") if verb == "setting" else getattr(publisher.repository, verb)
    assert str(raised.value) == f"{config}: expected the settings of the repository, found: No such file or directory"


def test_an_ingest_publishes_what_is_written(publisher: Publisher) -> None:
    with publisher.repository.ingest(base="/") as write:
        write(tar(directory("a"), file("a/x", b"1", uid=7), device("a/gone", 0, 0)))
    assert ((publisher.newest / "a/x").stat().st_uid, publisher.revision) == (7, 2)
    with publisher.repository.ingest(base="a", removes=["a/x", "a/gone"], keeps_owners=False) as write:
        write(tar(file("y", uid=7)))
    assert [(path.name, path.stat().st_uid) for path in (publisher.newest / "a").iterdir()] == [("y", 0)]
    publisher.repository.remove("a/y")
    assert (list((publisher.newest / "a").iterdir()), publisher.revision) == ([], 4)


def test_an_ingest_that_fails_says_why(publisher: Publisher) -> None:
    with pytest.raises(PublishError) as raised, publisher.repository.ingest(base="/") as write:
        write(b"\xff" * 4096)
    assert re.fullmatch(
        rf"cvmfs_server ingest {NAME}: expected it to publish, found exit code 1: .+ Synchronization failed", str(raised.value)
    )
    assert not isinstance(raised.value, BusyError)
    assert (publisher.revision, publisher.is_open) == (1, False)


def test_an_ingest_that_stops_reading_says_why(publisher: Publisher) -> None:
    with pytest.raises(PublishError, match=r"found exit code 1: made to fail: before$"):
        pour(publisher.failing("*:*:before").repository)
    assert (publisher.revision, publisher.is_open) == (1, False)


def test_an_ingest_that_stops_reading_and_is_pleased(publisher: Publisher) -> None:
    with pytest.raises(PublishError) as raised:
        pour(publisher.through("exit 0").repository)
    assert str(raised.value) == f"cvmfs_server ingest {NAME}: expected it to read the whole stream, found that it stopped"


def test_the_error_of_the_body_comes_first(publisher: Publisher) -> None:
    with pytest.raises(ZeroDivisionError):
        pour(publisher.repository, ZeroDivisionError())
    assert (publisher.revision, publisher.is_open) == (1, False)


def test_the_program_is_missing(publisher: Publisher) -> None:
    repository = Repository(NAME, evolve(publisher.site, command=("/no/such/program",)))
    with pytest.raises(PublishError) as raised:
        repository.remove("a")
    assert str(raised.value) == "/no/such/program: expected the program of CernVM-FS, found: No such file or directory"


def test_the_program_says_nothing(publisher: Publisher) -> None:
    with pytest.raises(PublishError) as raised:
        publisher.through("exit 5").repository.remove("a")
    assert str(raised.value) == f"cvmfs_server ingest {NAME}: expected it to publish, found exit code 5: it said nothing"


def test_somebody_else_is_publishing(publisher: Publisher) -> None:
    assert publisher.machine.run("transaction", NAME)[0] == 0
    repository = publisher.repository
    with pytest.raises(BusyError):
        repository.remove("a")
    with pytest.raises(BusyError), repository.ingest(base="/") as write:
        write(tar(file("x")))
    with pytest.raises(BusyError), repository.transaction():
        pass
    with pytest.raises(BusyError):
        repository.look()
    assert publisher.is_open
    assert "abort" not in publisher.verbs


def test_a_transaction_publishes_what_the_body_writes(publisher: Publisher) -> None:
    with publisher.repository.transaction() as writable:
        (writable / "x").write_bytes(b"1")
    assert ((publisher.newest / "x").read_bytes(), publisher.revision, publisher.is_open) == (b"1", 2, False)


def test_a_transaction_ends_with_the_error_of_the_body(publisher: Publisher) -> None:
    def body() -> None:
        with publisher.repository.transaction() as writable:
            (writable / "x").write_bytes(b"1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        body()
    assert (publisher.verbs, publisher.revision, publisher.is_open) == (["transaction", "abort"], 1, False)


def test_a_transaction_that_refuses_something(publisher: Publisher) -> None:
    with pytest.raises(PublishError) as raised, publisher.repository.transaction() as writable:
        (writable / "no/directory").write_bytes(b"1")
    place = publisher.site.mount / NAME / "no/directory"
    assert str(raised.value) == f"{place}: expected to write in a transaction, found: No such file or directory"
    assert (publisher.revision, publisher.is_open) == (1, False)


@pytest.mark.parametrize("point", ["before", "during"])
def test_a_transaction_that_cannot_be_published(publisher: Publisher, point: str) -> None:
    with (
        pytest.raises(PublishError, match=f"cvmfs_server transaction .*: made to fail: {point}$"),
        publisher.failing(f"publish:1:{point}").repository.transaction() as writable,
    ):
        (writable / "x").write_bytes(b"1")
    assert (publisher.revision, publisher.is_open) == (1, False)


def test_a_transaction_whose_program_is_killed_ends_without_a_trace(publisher: Publisher) -> None:
    child = os.fork()
    if child == 0:
        with publisher.repository.transaction() as writable:
            (writable / "x").write_bytes(b"1")
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    end = time.monotonic() + 30
    while publisher.is_open and time.monotonic() < end:
        time.sleep(0.01)
    assert (publisher.verbs, publisher.revision, publisher.is_open) == (["transaction", "abort"], 1, False)


def test_a_look_publishes_nothing(publisher: Publisher) -> None:
    publisher.repository.look()
    assert (publisher.verbs, publisher.revision, publisher.is_open) == (["transaction", "abort"], 1, False)


def test_a_gateway_lease_is_on_a_path(tmp_path: Path) -> None:
    with publishing_machine(tmp_path / "site", upstream="gw") as one:
        with one.repository.ingest(base="/") as write:
            write(tar(directory("a"), directory("b")))
        two = one.on("two")
        with one.repository.transaction("a") as writable:
            with two.repository.ingest(base="b") as write:
                write(tar(file("x")))
            with pytest.raises(BusyError), two.repository.ingest(base="a") as write:
                write(tar(file("x")))
            (writable / "a/y").touch()
        assert sorted(str(path.relative_to(one.newest)) for path in one.newest.rglob("*")) == ["a", "a/y", "b", "b/x"]


KILLED = 'case "$*" in *" $0 "*) kill -9 $$;; esac; exec "$@"'
"""A script that is killed instead of a call of the verb that is its name."""


@pytest.mark.parametrize("verb", ["ingest", "transaction"])
def test_somebody_elses_transaction_stays_when_the_program_is_killed_at_once(publisher: Publisher, verb: str) -> None:
    assert publisher.machine.run("transaction", NAME)[0] == 0
    repository = publisher.through(KILLED.replace("$0", verb)).repository
    with pytest.raises(PublishError, match=r"found exit code -?[0-9]+: "):
        repository.look() if verb == "transaction" else pour(repository)
    with pytest.raises(PublishError, match=r"found exit code -?[0-9]+: "):
        repository.remove("a")
    assert (publisher.is_open, "abort" in publisher.verbs) == (True, False)


def test_an_ingest_that_is_killed_leaves_no_transaction(publisher: Publisher) -> None:
    with pytest.raises(PublishError, match="found exit code -9"), publisher.failing("ingest:1:kill").repository.ingest(base="/") as write:
        write(tar(file("x")))
    assert (publisher.verbs, publisher.revision, publisher.is_open) == (["ingest", "abort"], 1, False)


def test_a_removal_that_is_killed_leaves_no_transaction(publisher: Publisher) -> None:
    publisher.publish_something("a/b")
    with pytest.raises(PublishError, match="found exit code -9"):
        publisher.failing("ingest:2:kill").repository.remove("a")
    assert (publisher.verbs, publisher.revision, publisher.is_open) == (["ingest", "ingest", "abort"], 2, False)


def test_a_guard_that_is_killed_leaves_no_transaction(publisher: Publisher) -> None:
    with pytest.raises(PublishError, match="found exit code -9"), publisher.repository.transaction() as writable:
        kill_guards(writable)
    assert (publisher.verbs, publisher.revision, publisher.is_open) == (["transaction", "abort"], 1, False)


def kill_guards(writable: Path) -> None:
    """Write something, kill the shells that this process has started, and wait until they are gone."""
    (writable / "x").write_bytes(b"1")
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    for child in children:
        if Path(f"/proc/{child}/comm").read_text() == "sh\n":
            os.kill(int(child), signal.SIGKILL)
    time.sleep(0.1)


def test_words_of_a_failure_in_an_own_transaction_blame_nobody(publisher: Publisher) -> None:
    words = publisher.through('case "$*" in *" publish "*) echo "a file is already open"; exit 17;; esac; exec "$@"')
    with pytest.raises(PublishError, match=r"a file is already open$") as raised, words.repository.transaction() as writable:
        (writable / "x").write_bytes(b"1")
    assert not isinstance(raised.value, BusyError)
    assert (publisher.revision, publisher.is_open) == (1, False)
    words = publisher.through('head -c 9 >/dev/null; echo "another process is busy"; exit 1')
    with pytest.raises(PublishError, match=r"another process is busy$") as raised, words.repository.ingest(base="/") as write:
        write(b"x" * 7)
    assert not isinstance(raised.value, BusyError)


def test_the_names_of_revisions(publisher: Publisher) -> None:
    assert "trunk" in publisher.repository.tags()
    publisher.repository.run("tag", "-a", "some")
    assert "some" in publisher.repository.tags()
    with pytest.raises(PublishError, match=f"^cvmfs_server tag {NAME}: expected it to publish, found exit code 5: it said nothing$"):
        publisher.through("exit 5").repository.tags()
