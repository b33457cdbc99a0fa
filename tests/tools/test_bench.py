from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.images import Image, directory, file, tar, whiteout, write_layout
from tests.tools.benches import bench, run, values

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

READINGS = ("first reading: verify", "second reading: stream", "both readings")
LIMITS = ("unpacking alone", "unpacking and SHA-256", "tar -x", "tar -c of the tree")


@pytest.fixture
def image(tmp_path: Path) -> str:
    """A tiny image in an OCI layout, as the benchmarks take it."""
    base = tar(directory("etc"), file("etc/motd", b"hello\n" * 1000), file("etc/gone", b"x"))
    write_layout(tmp_path / "image", {"v1": Image(layers=(base, tar(directory("etc"), whiteout("etc/gone"))))})
    return f"{tmp_path / 'image'}:v1"


def test_bench_add_times_cstore_and_whatever_else_is_there(tmp_path: Path, image: str) -> None:
    made = bench("bench_add.py", tmp_path, image, "--files", "150", "--runs", "1")
    assert {(figure.group, figure.x) for figure in made.figures} == {("files of 10 kB", 150), ("image v1", 3)}
    for group in ("files of 10 kB", "image v1"):
        seconds = values(made, group, "s")
        assert next(iter(seconds)) == "cstore add"
        assert {"cstore add", "unpacking the blobs alone"} <= set(seconds)
        assert ("umoci unpack" in seconds) == (shutil.which("umoci") is not None)
        assert [*values(made, group, "MB")] == [*seconds]
        assert all(value and value > 0 for one in seconds.values() for value in one)


def test_bench_stream_measures_both_readings_beside_their_limits(tmp_path: Path, image: str) -> None:
    made = bench("bench_stream.py", tmp_path, image, "--files", "150", "--runs", "2")
    for group in ("files of 10 kB", "image v1"):
        seconds = values(made, group, "s")
        assert {*READINGS, *LIMITS} == set(seconds)
        assert all(value and value > 0 for one in seconds.values() for value in one)
        assert first(seconds[READINGS[2]]) >= first(seconds[READINGS[1]])
        assert set(values(made, group, "MB/s")) == set(seconds)
        # Those of a shell's pipe would be the shell's.
        assert set(seconds) - set(values(made, group, "MB")) == {"tar -x", "tar -c of the tree"}
    assert first(values(made, "image v1", "entries")["stream"]) > 20
    assert first(values(made, "files of 10 kB", "entries")["stream"]) > 150


def test_bench_flat_measures_the_merged_stream_beside_that_of_the_layers(tmp_path: Path, image: str) -> None:
    made = bench("bench_flat.py", tmp_path, image, "--files", "150", "--runs", "1")
    streams = {"layers streamed", "flat tree streamed", "flat tree streamed from a store"}
    for group in ("files of 10 kB", "image v1"):
        for unit in ("s", "MB/s", "entries/s", "MB"):
            found = values(made, group, unit)
            assert set(found) == streams | ({"headers merged"} if unit in ("s", "entries/s") else set())
            assert all(value and value > 0 for one in found.values() for value in one)
    entries = values(made, "image v1", "entries")
    # Two tops, etc twice, two files, a whiteout, and above each layer its directory; one top, etc, a file, and thirteen of Apptainer's.
    assert entries == {name: [9 if name == "layers streamed" else 16] for name in sorted(streams)}


@pytest.mark.skipif(os.geteuid() != 0, reason="the stand-in mounts and makes devices, which needs root")
def test_bench_publish_counts_one_revision_for_each_change_and_none_for_nothing(tmp_path: Path) -> None:
    made = bench("bench_publish.py", tmp_path, "--layers", "12", "--images", "2")
    counted = {
        form: {unit: values(made, f"{form} store", unit) for unit in dict.fromkeys(figure.unit for figure in made.figures)}
        for form in ("direct", "sharded")
    }
    for form, units in counted.items():
        assert [*units] == ["revisions", "entries", "kB", "catalogs", "entries in catalogs", "CPU s"]
        changes = {"add 2 images": 1, "add one image": 1, "add it again": 0, "tag": 1, "remove": 1}
        assert units["revisions"] == {change: [revisions] for change, revisions in changes.items()}
        for unit in ("entries", "kB", "catalogs", "entries in catalogs"):
            assert {change: values[0] == 0 for change, values in units[unit].items()} == {change: not changes[change] for change in changes}
        # images.json and its lock; where an image goes, cstore.json notes the retired layers
        assert units["entries"]["tag"] == [2]
        assert units["entries"]["remove"] == [3]
        assert units["catalogs"]["tag"] == [{"direct": 1, "sharded": 2}[form]]
    assert first(counted["sharded"]["entries in catalogs"]["tag"]) < first(counted["direct"]["entries in catalogs"]["tag"])
    assert "117 revisions" in made.about


@pytest.mark.skipif(os.geteuid() != 0, reason="who is not root is told so first")
@pytest.mark.parametrize("options", [["--images", "0"], ["--layers", "-1"]])
def test_bench_publish_refuses_what_it_cannot_make(tmp_path: Path, options: Sequence[str]) -> None:
    code, _, said = run("bench_publish.py", tmp_path, *options)
    assert code == 2
    assert "expected at least one image" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="the stand-in mounts and makes devices, which needs root")
@pytest.mark.skipif(not all(map(shutil.which, ("docker-registry", "skopeo", "umoci"))), reason="needs a registry, and its peers")
def test_bench_sync_makes_one_revision_where_something_changed_and_asks_little_where_nothing_did(tmp_path: Path) -> None:
    made = bench("bench_sync.py", tmp_path, "--images", "2", "--layers", "3", "--files", "5", "--runs", "1")
    rounds = {"first round": (1, 6), "nothing new": (0, 0), "a moved tag": (1, 1)}
    for hub in ("a directory", "CernVM-FS"):
        for name, (revisions, layers) in rounds.items():
            group = f"{name}, {hub}"
            assert values(made, group, "revisions") == ({"cstore sync": [revisions]} if hub == "CernVM-FS" else {})
            assert values(made, group, "new layers") == {"cstore sync": [layers]}
            assert all(value and value > 0 for unit in ("s", "CPU s", "MB") for one in values(made, group, unit).values() for value in one)
            parts = values(made, f"{group}: parts of it", "s")
            streamed = ["the stream, within publish", "waiting for the stream, within that"] if revisions and hub == "CernVM-FS" else []
            assert [*parts][name == "first round" :] == ["expand", "look", "fetch", "verify", "publish", *streamed]
            longest = [first(parts[part]) for part in ("publish", *streamed)]
            assert longest == sorted(longest, reverse=True)
        assert first(values(made, f"nothing new, {hub}", "requests a wish")["cstore sync"]) <= 2
        fetched = [first(values(made, f"{name}, {hub}", "MB fetched")["cstore sync"]) for name in rounds]
        assert fetched[1] == 0 < fetched[2] < fetched[0] / 3
        assert first(values(made, f"first round, {hub}", "MB")["cstore sync"]) <= 300


@pytest.mark.skipif(os.geteuid() != 0, reason="who is not root is told so first")
@pytest.mark.parametrize("options", [["--images", "0"], ["--runs", "0"]])
def test_bench_sync_refuses_what_it_cannot_make(tmp_path: Path, options: Sequence[str]) -> None:
    code, _, said = run("bench_sync.py", tmp_path, *options)
    assert code == 2
    assert "expected at least one image and one run" in said


def first(values: Sequence[float | None]) -> float:
    assert values[0] is not None
    return values[0]
