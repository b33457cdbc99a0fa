from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.cli.program import call
from tests.images import Image, docker_archive, oci_archive, tar
from tests.publish.soundness import names, problems, unfinished
from tests.publish.stores import IMAGES, NEW, OLD, exact

if TYPE_CHECKING:
    from pathlib import Path


def test_it_tells_what_it_added(tmp_path: Path, made: dict[str, str]) -> None:
    done = call("add", tmp_path / "store", made["new"], "--name", NEW)
    assert done.code == 0
    assert done.out.splitlines()[0] == f"added {NEW}"
    assert re.fullmatch(r"2 new layers, \d+ entries, [\d.]+ kB in \d+\.\d s; owners: .+", done.out.splitlines()[1])
    assert names(tmp_path / "store") == {NEW: IMAGES["new"].id}
    assert problems(tmp_path / "store") == []
    assert unfinished(tmp_path / "store") == []


def test_it_tells_its_progress_in_lines_where_there_is_no_terminal(tmp_path: Path, made: dict[str, str]) -> None:
    done = call("add", tmp_path / "store", made["new"], "--name", NEW)
    assert [line.split()[0] for line in done.err.splitlines()] == ["verifying", "verifying", "unpacking", "unpacking"]


def test_what_is_there_already_is_not_touched(store: Path, made: dict[str, str]) -> None:
    before = exact(store)
    done = call("add", store, made["new"], "--name", NEW)
    assert (done.code, done.out) == (0, f"{NEW}: already there\n")
    assert exact(store) == before


def test_its_json_has_what_was_written(tmp_path: Path, made: dict[str, str]) -> None:
    told = call("add", tmp_path / "store", made["old"], "--name", OLD, "--json").json
    assert set(told) >= {"names", "layers", "entries", "bytes", "owners", "devices_left_out", "xattrs_left_out"}
    assert told["names"] == [OLD]
    assert (told["images"], told["layers"]) == (1, 2)
    again = call("add", tmp_path / "store", made["old"], "--name", OLD, "--json").json
    assert again["images"] == 1
    assert (again["layers"], again["entries"], again["bytes"]) == (0, 0, 0)


@pytest.mark.parametrize("form", ["direct", "sharded"])
def test_a_dry_run_prints_the_steps_and_writes_nothing(tmp_path: Path, made: dict[str, str], form: str) -> None:
    done = call("add", tmp_path / "store", made["new"], "--name", NEW, "--layout", form, "--dry-run")
    assert done.code == 0
    steps = done.out.splitlines()
    assert steps[0].startswith("replace index overlay-layers/layers.json")
    assert steps[-2].startswith("replace index overlay-images/images.json")
    assert steps[-1].startswith(f"{len(steps) - 1} steps, ")
    assert not (tmp_path / "store").exists()


def test_a_dry_run_on_a_store_touches_nothing(store: Path, made: dict[str, str]) -> None:
    before = exact(store)
    told = call("add", store, made["tool"], "--name", "example.org/tool:2", "--dry-run", "--json").json
    assert [step["step"] for step in told["steps"]] == ["put file"] * 3 + ["replace index"]
    assert list(told["steps"][0]) == ["step", "path", "bytes", "entries"]
    assert sum(step["bytes"] for step in told["steps"]) == told["bytes"]
    assert sum(step["entries"] for step in told["steps"]) == told["entries"]
    assert exact(store) == before


def test_several_sources_are_added_together(tmp_path: Path) -> None:
    image = Image(layers=(tar(),))
    first = oci_archive(tmp_path / "first.tar", {"example.org/a:1": image})
    second = docker_archive(tmp_path / "second.tar", {"example.org/b:1": Image(layers=(tar(),), family="docker", labels={"b": "b"})})
    done = call("add", tmp_path / "store", first, second)
    assert done.out.splitlines()[:2] == ["added example.org/a:1", "added example.org/b:1"]
    assert sorted(names(tmp_path / "store")) == ["example.org/a:1", "example.org/b:1"]


def test_none_of_several_is_added_if_one_fails(tmp_path: Path, made: dict[str, str]) -> None:
    archive = oci_archive(tmp_path / "first.tar", {"example.org/a:1": Image(layers=(tar(),))})
    done = call("add", tmp_path / "store", archive, made["old"].replace(":old", ":no-such-tag"))
    assert done.code == 3
    assert "no-such-tag" in done.sentence
    assert not (tmp_path / "store").exists()


def test_a_name_is_completed_as_podman_does(tmp_path: Path, made: dict[str, str]) -> None:
    assert call("add", tmp_path / "store", made["old"], "--name", "debian").out.startswith("added docker.io/library/debian:latest\n")
    done = call("add", tmp_path / "store", made["old"], "--name", "registry.hub.docker.com/library/debian:latest")
    assert done.out == "docker.io/library/debian:latest: already there\n"


def test_a_name_names_one_source(tmp_path: Path, made: dict[str, str]) -> None:
    done = call("add", tmp_path / "store", made["old"], made["new"], "--name", NEW)
    assert done.code == 2
    assert "--name names one image, so it takes one SOURCE" in done.err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--name", "example.org/UPPER"), "UPPER"),
        (("--name", ""), "expected"),
        (("--name", "a b"), "a b"),
        (("--name", NEW, "--platform", "linux/s390x"), "linux/s390x"),
    ],
)
def test_wrong_values_are_told_in_one_sentence(tmp_path: Path, made: dict[str, str], more: tuple[str, ...], said: str) -> None:
    done = call("add", tmp_path / "store", made["old"], *more)
    assert done.code == 3
    assert done.sentence.startswith("cstore: ")
    assert said in done.sentence
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    "source",
    [
        "",
        "oci:",
        "oci",
        "nonsense:x",
        "docker:debian",
        "oci:/no/such/place:1",
        "oci-archive:/no/such/file",
        "docker-archive:/etc",
        "oci:/etc",
    ],
)
def test_wrong_sources_are_told_in_one_sentence(tmp_path: Path, source: str) -> None:
    done = call("add", tmp_path / "store", source, "--name", NEW)
    assert done.code == 3
    assert done.sentence.startswith("cstore: ")
    assert not (tmp_path / "store").exists()


def test_a_store_of_the_other_form_is_refused(store: Path, made: dict[str, str]) -> None:
    before = exact(store)
    done = call("add", store, made["tool"], "--name", "example.org/tool:1", "--layout", "sharded")
    assert (done.code, done.sentence) == (3, f"cstore: {store}: expected a store of the form sharded, found one of direct")
    assert exact(store) == before


def test_a_name_from_two_sources_is_a_wrong_usage(tmp_path: Path) -> None:
    first = oci_archive(tmp_path / "first.tar", {"example.org/a:1": Image(layers=(tar(),))})
    second = oci_archive(tmp_path / "second.tar", {"example.org/a:1": Image(layers=(tar(),), labels={"b": "b"})})
    done = call("add", tmp_path / "store", first, second)
    assert done.code == 2
    assert "example.org/a:1: expected each name from one SOURCE, found it from several" in " ".join(done.err.split())
    assert not (tmp_path / "store").exists()
