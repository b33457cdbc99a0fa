from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from cstore.publish.batch import publishing
from cstore.verification.store import verify
from tests.cli.program import call
from tests.publish.stores import FORMS, IMAGES, NEW, OLD, exact

if TYPE_CHECKING:
    from pathlib import Path

    from cstore.model.layout import Form

MACHINE_FORMS = ("--json", "--sarif", "--junit")


@pytest.fixture
def broken(store: Path) -> Path:
    """A store of which no reader can read the images."""
    (store / "overlay-images/images.json").write_bytes(b"garbage")
    return store


@pytest.fixture
def halved(store: Path) -> Path:
    """A store of which a service would not see a change: a problem of reach feature, and no other."""
    (store / "overlay-images/images.lock").write_bytes(b"")
    return store


@pytest.fixture
def littered(store: Path) -> Path:
    """A store with a directory of nobody's: a note."""
    (store / "overlay" / ("f" * 64)).mkdir()
    return store


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.value)
def test_a_store_of_cstore_is_sound(tmp_path: Path, made: dict[str, str], form: Form) -> None:
    root = tmp_path / "sound"
    with publishing(root, form=form) as batch:
        batch.add(made["old"], name=OLD)
        batch.add(made["new"], name=NEW)
    for options in ((), ("--deep",), ("--sample", 2), ("--mount-path", "/cvmfs/unpacked.example.org/podmanStore"), ("--fail-on", "note")):
        done = call("verify", root, *options)
        assert (done.code, done.out, done.err) == (0, "sound: 2 images, 3 layers\n", ""), options


def test_one_image_is_sound(store: Path) -> None:
    for image in (NEW, IMAGES["new"].id):
        done = call("verify", store, "--image", image)
        assert (done.code, done.out) == (0, f"sound: image {image}\n")


def test_an_image_that_is_not_there_is_an_error(store: Path) -> None:
    done = call("verify", store, "--image", "example.org/none:1")
    assert (done.code, done.sentence) == (3, f'cstore: {store}: expected an image "example.org/none:1", found none')


def test_garbage_is_a_problem_of_the_store(broken: Path) -> None:
    done = call("verify", broken)
    lines = done.out.splitlines()
    assert done.code == 1
    assert lines[:2] == [
        "store: every command of every reader fails",
        "  V1 an index is a JSON array of objects; broken otherwise: images, run, save, build, pull (podman 4, 5, 6)",
    ]
    assert "overlay-images/images.json" in lines[2]
    assert "problems: 1 store" in lines[-1]


def test_the_text_has_each_problem_once(broken: Path) -> None:
    problems = list(verify(broken))
    lines = call("verify", broken).out.splitlines()
    assert lines[-1].startswith(f"{len(problems)} problem")
    assert sum(line.startswith("    ") for line in lines) == len(problems)


@pytest.mark.parametrize(
    ("spoiled", "codes"),
    [
        pytest.param("broken", {"image": 1, "feature": 1, "note": 1}, id="store"),
        pytest.param("halved", {"image": 0, "feature": 1, "note": 1}, id="feature"),
        pytest.param("littered", {"image": 0, "feature": 0, "note": 1}, id="note"),
    ],
)
def test_the_exit_code_tells_how_far_problems_reach(request: pytest.FixtureRequest, spoiled: str, codes: dict[str, int]) -> None:
    root = request.getfixturevalue(spoiled)
    assert call("verify", root).code == codes["image"]
    for form in ("", *MACHINE_FORMS):
        for fail_on, code in codes.items():
            done = call("verify", root, "--fail-on", fail_on, *([form] if form else []))
            assert (done.code, done.err) == (code, ""), (form, fail_on)


def test_json_is_a_line_for_each_problem(broken: Path) -> None:
    done = call("verify", broken, "--json")
    assert [json.loads(line) for line in done.out.splitlines()] == [problem.to_dict() for problem in verify(broken)]


def test_json_of_a_sound_store_is_empty(store: Path) -> None:
    done = call("verify", store, "--json")
    assert (done.code, done.out) == (0, "")


def test_sarif_has_each_problem_and_where_the_store_is(broken: Path) -> None:
    (run,) = call("verify", broken, "--sarif").json["runs"]
    assert sorted(result["ruleId"] for result in run["results"]) == sorted(problem.code for problem in verify(broken))
    assert run["originalUriBaseIds"] == {"STORE": {"uri": f"{broken.as_uri()}/"}}


def test_junit_has_each_rule_that_failed(broken: Path) -> None:
    root = ET.fromstring(call("verify", broken, "--junit").out.encode())  # noqa: S314 - of our own making
    failed = {case.attrib["name"].split()[0] for case in root.iter("testcase") if case.find("failure") is not None}
    assert failed == {problem.code for problem in verify(broken) if problem.reach.value in ("store", "image")}


@pytest.mark.parametrize("form", ["", *MACHINE_FORMS])
@pytest.mark.parametrize("place", ["none", "empty", "file"])
def test_where_no_store_is_nothing_can_be_read(tmp_path: Path, place: str, form: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("file")
    done = call("verify", tmp_path / place, *([form] if form else []))
    assert (done.code, done.out) == (3, "")
    assert done.sentence.startswith(f"cstore: {tmp_path / place}: expected an image store, found")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--json", "--sarif"), "--json, --sarif and --junit are forms of the same: expected one of them"),
        (("--sarif", "--junit"), "--json, --sarif and --junit are forms of the same: expected one of them"),
        (("--deep", "--sample", "2"), "--deep reads the content of all layers, --sample that of some: expected one of them"),
        (("--sample", "0"), "Invalid value for '--sample'"),
        (("--fail-on", "store"), "Invalid value for '--fail-on'"),
        (("--image",), "Option '--image' requires an argument"),
    ],
    ids=" ".join,
)
def test_wrong_usage(store: Path, options: tuple[str, ...], said: str) -> None:
    done = call("verify", store, *options)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_verifying_touches_nothing(store: Path) -> None:
    before = exact(store)
    for options in ((), ("--deep", "--json"), ("--sarif",), ("--junit",)):
        call("verify", store, *options)
    assert exact(store) == before


def test_on_a_terminal_it_tells_how_far_it_is(store: Path) -> None:
    shown, terminal = pty.openpty()
    done = subprocess.run([sys.executable, "-m", "cstore", "verify", store], stdout=subprocess.PIPE, stderr=terminal, check=False)
    os.close(terminal)
    assert (done.returncode, done.stdout) == (0, b"sound: 2 images, 3 layers\n")
    assert b"checking" in os.read(shown, 1 << 16)
    os.close(shown)


def test_it_ends_as_a_program_with_the_same_code(broken: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "cstore", "verify", broken, "--json"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (1, b"")
