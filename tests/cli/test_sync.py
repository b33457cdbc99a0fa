"""`cstore sync`, with a real registry."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.cli.program import call
from tests.publish.cvmfs import NAME, publishing_machine
from tests.sync.hubs import Hubbed, commanded, image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.program import Outcome

pytestmark = pytest.mark.skipif(shutil.which("docker-registry") is None, reason="docker-registry is not installed")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hubbed]:
    with commanded(tmp_path, monkeypatch) as made:
        yield made


def sync(hub: Hubbed, *arguments: object) -> Outcome:
    return call("sync", *arguments, "--to", hub.hub.root, "--cache", hub.place / "cache")


def test_it_tells_what_it_published(hub: Hubbed, tmp_path: Path) -> None:
    hub.push("team/app", {"1": image(1), "2": image(2)})
    done = sync(hub, hub.wish("team/app:*"))
    name = f"{hub.registry.address}/team/app"
    lines = done.out.splitlines()
    assert (done.code, lines[:2]) == (0, [f"added {name}:1", f"added {name}:2"])
    assert lines[2].startswith("2 added; published, 3 new layers, ")
    done = sync(hub, hub.wish("team/app:1"))
    assert (done.code, done.out.splitlines()) == (
        0,
        [
            "1 name that no wish stands for, kept; --prune removes them, where all wishes could be read",
            "1 unchanged, 1 kept; nothing to publish",
        ],
    )
    lost = tmp_path / "lost.yaml"
    done = sync(hub, hub.wish("team/app:1"), lost, "--prune")
    assert (done.code, done.out.splitlines()) == (
        1,
        [
            f"{lost}: expected a wishlist, found: No such file or directory",
            "names that no wish is known to stand for, kept since not all wishlists could be read: 1",
            "1 unchanged, 1 kept; nothing to publish",
        ],
    )
    done = sync(hub, hub.wish("team/app:1"), "--prune")
    assert (done.code, done.out.splitlines()[0]) == (0, f"removed {name}:2")


def test_what_fails_is_told_and_the_exit_code_is_1(hub: Hubbed) -> None:
    hub.push("team/app", {"1": image(1)})
    done = sync(hub, hub.wish("team/app:1", "team/app:gone", "team/none:*", "team/app:x*"))
    assert done.code == 1
    assert f"added {hub.registry.address}/team/app:1" in done.out
    assert f"{hub.registry.address}/team/app:gone: docker://{hub.registry.address}/team/app:gone: " in done.out
    assert "wishes.yaml:8:5: " in done.out
    assert "wishes.yaml:9:5: " in done.out
    assert "takes none of the tags that there are" in done.out


def test_a_dry_run_writes_nothing(hub: Hubbed) -> None:
    hub.push("team/app", {"1": image(1)})
    done = sync(hub, hub.wish("team/app:1"), "--dry-run")
    assert done.code == 0
    assert "put symlink " in done.out
    said = done.out.splitlines()
    assert said[-2] == f"would add {hub.registry.address}/team/app:1"
    assert said[-1].startswith("1 to add; would publish, 2 new layers, ")
    assert [*hub.hub.root.iterdir()] == []


def test_its_json_tells_each_image(hub: Hubbed) -> None:
    hub.push("team/app", {"1": image(1)})
    told = sync(hub, hub.wish("team/app:1", "team/app:gone"), "--json", "--forms", "podman,flat").json
    assert (told["complete"], told["changed"], told["revision"], told["layers"]) == (False, True, None, 2)
    assert {found["name"].rpartition(":")[2]: found["outcome"] for found in told["images"]} == {"1": "added", "gone": "failed"}
    assert set(told["seconds"]) == {"expand", "look", "fetch", "verify", "publish"}
    assert not (hub.hub.root / ".layers").exists()


def test_a_wishlist_says_where_to_publish(hub: Hubbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with publishing_machine(tmp_path / "site") as publisher:
        for name, value in publisher.environment.items():
            monkeypatch.setenv(name, value)
        hub.push("team/app", {"1": image(1)})
        wishes = hub.wish("team/app:1")
        wishes.write_text(wishes.read_text().replace("r.example.org", NAME))
        done = call("sync", wishes, "--cache", tmp_path / "cache", "--tag", "first")
        assert (done.code, done.out.splitlines()[-1].partition(",")[0]) == (0, f"1 added; revision {publisher.revision}")
        assert (publisher.newest / hub.registry.address / "team/app:1/data/1").exists()
        assert "first" in publisher.repository.tags()

        hub.push("team/app", {"1": image(2)})
        lost = tmp_path / "lost.yaml"
        done = call("sync", lost, wishes, "--prune", "--cache", tmp_path / "cache")
        assert (done.code, done.out.splitlines()[-1].partition(",")[0]) == (1, f"1 updated; revision {publisher.revision}")
        assert f"{lost}: expected a wishlist, found: No such file or directory" in done.out.splitlines()

        other = hub.wish("team/app:1", name="other.yaml")
        other.write_text(other.read_text().replace(NAME, "none.example.org"))
        done = call("sync", other, wishes, "--cache", tmp_path / "cache")
        assert (done.code, done.out.splitlines()) == (3, ["1 unchanged; nothing to publish"])
        assert "cstore: cvmfs://none.example.org: expected a repository that this machine publishes" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["none.yaml", "--to", "."], 1, "none.yaml: expected a wishlist, found: No such file or directory"),
        (["none.yaml"], 3, "none.yaml: expected a wishlist, found: No such file or directory"),
        (["wishes.yaml", "--to", "none"], 3, "none: expected a directory for a hub, found nothing; make an empty one first"),
        (["wishes.yaml", "--to", ".", "--tag", "x"], 2, "--wait, --tag, --message and --skip-reserved are for a ROOT in CernVM-FS"),
        (
            ["wishes.yaml", "--to", "docker://x"],
            3,
            "docker://x: expected a directory or cvmfs://REPOSITORY[/SUBDIRECTORY] to publish to, found ",
        ),
        (["wishes.yaml", "--to", "cvmfs://"], 3, "cvmfs://: expected cvmfs://REPOSITORY or cvmfs://REPOSITORY/PATH, found another form"),
        (["bare.yaml"], 2, "bare.yaml: expected a cvmfs_repo, found none; --to ROOT says where to publish"),
        ([], 2, "Missing argument 'WISHLIST...'"),
    ],
)
def test_wrong_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, said: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wishes.yaml").write_text("version: 1\ninput: []\n")
    (tmp_path / "bare.yaml").write_text("version: 1\ninput: []\n")
    done = call("sync", *arguments, *(["--cache", tmp_path / "cache"] if arguments else []))
    assert (done.code, said in done.out + done.err) == (code, True), done.out + done.err
    assert "Traceback" not in done.err
    assert json.dumps(sorted(place.name for place in tmp_path.iterdir() if place.name != "cache")) == '["bare.yaml", "wishes.yaml"]'
