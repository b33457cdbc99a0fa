"""Names and texts of anybody tell a terminal nothing: no escapes, no other direction of writing, no further lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cstore.cli import show
from cstore.publish.batch import publishing
from tests.cli.program import call
from tests.images import TAG, Image, put_image, put_index, write_layout
from tests.publish.stores import OLD

if TYPE_CHECKING:
    from pathlib import Path

TELLING = "a\x1b]0;title\x07\x1b[2J\x9b31m\u202egnp.exe\r\nsecond\x7f"


def is_plain(text: str) -> bool:
    return all(line.isprintable() for line in text.splitlines()) and "second" not in [line[:6] for line in text.splitlines()]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store in whose records somebody has written what tells a terminal something."""
    with publishing(tmp_path / "store") as batch:
        batch.add(write_layout(tmp_path / "image", Image()), name=OLD)
    index = tmp_path / "store/overlay-images/images.json"
    records = json.loads(index.read_bytes())
    records[0]["names"] = [TELLING]
    records[0]["big-data-names"].append(TELLING)
    index.write_text(json.dumps(records))
    return tmp_path / "store"


@pytest.mark.parametrize(
    "verb", [("list",), ("inspect", "IMAGE"), ("verify", "--deep"), ("repair", "--dry-run"), ("diff", "OTHER"), ("tag", TELLING, "x")]
)
@pytest.mark.parametrize("form", ["text", "JSON"])
def test_what_stands_in_a_store(tmp_path: Path, store: Path, verb: tuple[str, ...], form: str) -> None:
    with publishing(tmp_path / "other") as batch:
        batch.add(write_layout(tmp_path / "image", Image(labels={"of": "other"})), name=OLD)
    image = json.loads((store / "overlay-images/images.json").read_bytes())[0]["id"]
    words = [{"IMAGE": image, "OTHER": str(tmp_path / "other")}.get(word, word) for word in verb[1:]]
    options = ["--json"] if form == "JSON" and verb[0] != "repair" else []
    done = call(verb[0], store, *words, *options)
    assert "Traceback" not in done.err
    assert is_plain(done.out)
    assert is_plain(done.err)
    assert done.out or done.err


def test_what_stands_in_a_source(tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    put_index(layout, [put_image(layout, Image(labels={"a": tag}), annotations={TAG: tag}) for tag in (TELLING, "other")])
    done = call("add", tmp_path / "store", f"oci:{layout}:none", "--name", OLD)
    assert (done.code, is_plain(done.err)) == (3, True)
    assert "\\x1b]0;title\\x07" in done.sentence


def test_json_says_the_same_in_other_letters() -> None:
    told = show.as_json({TELLING: [TELLING]})
    assert is_plain(told)
    assert json.loads(told) == {TELLING: [TELLING]}
