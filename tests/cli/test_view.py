from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.program import call
from tests.publish.stores import NEW, OLD, exact

if TYPE_CHECKING:
    from pathlib import Path

MATCH = ("--match", "*/team/app:1", "--match", "nothing/*")


@pytest.fixture
def viewed(store: Path) -> Path:
    assert call("view", "create", store, "team", *MATCH).code == 0
    return store


def test_making_a_view_prints_its_steps_and_making_it_again_nothing_to_do(store: Path) -> None:
    planned = call("view", "create", store, "team", *MATCH, "--dry-run")
    assert not (store / "views").exists()
    done = call("view", "create", store, "team", *MATCH)
    assert (done.code, done.out) == (0, planned.out)
    assert "replace index views/team/overlay-images/images.json" in done.out
    before = exact(store)
    again = call("view", "create", store, "team", *MATCH)
    assert (again.code, again.out) == (0, "nothing to do\n")
    assert exact(store) == before
    assert call("view", "create", store, "team", "--match", "*", "--json").json["changed"]


def test_views_are_listed(viewed: Path) -> None:
    index_bytes = sum(
        (viewed / "views/team" / path).stat().st_size for path in ("overlay-images/images.json", "overlay-layers/layers.json")
    )
    (told,) = call("view", "list", viewed, "--json").json["views"]
    assert told == {
        "name": "team",
        "root": f"{viewed}/views/team",
        "match": ["*/team/app:1", "nothing/*"],
        "removed": None,
        "images": 1,
        "layers": 2,
        "retired": 0,
        "index_bytes": index_bytes,
    }
    head, line = call("view", "list", viewed).out.splitlines()
    assert head.split() == ["NAME", "IMAGES", "LAYERS", "INDEXES", "MATCH"]
    assert line.split() == ["team", "1", "2", f"{index_bytes / 1000:.1f}", "kB", "*/team/app:1", "nothing/*"]


def test_a_store_without_views_lists_none(store: Path) -> None:
    assert call("view", "list", store, "--json").json == {"views": []}


def test_a_removed_view_is_listed_until_it_is_pruned(viewed: Path) -> None:
    planned = call("view", "remove", viewed, "team", "--dry-run")
    done = call("view", "remove", viewed, "team")
    assert (done.code, done.out) == (0, planned.out)
    (told,) = call("view", "list", viewed, "--json").json["views"]
    assert (told["match"], told["images"], told["retired"], told["removed"] is None) == ([], 0, 2, False)
    assert "removed on 20" in call("view", "list", viewed).out
    assert call("view", "remove", viewed, "team").out == "nothing to do\n"
    assert call("prune", viewed).out == "nothing to do\n"
    assert "remove views/team" in call("prune", viewed, "--grace", "0d").out
    assert not (viewed / "views/team").exists()
    assert call("view", "remove", viewed, "team").err == f'cstore: {viewed}: expected a view "team", found none\n'


def test_a_view_is_listed_inspected_and_verified_like_a_store(viewed: Path) -> None:
    view = viewed / "views/team"
    listed = call("list", view, "--json").json
    assert ([image["names"] for image in listed["images"]], listed["layers"], listed["layout"]) == ([[OLD]], 2, "view")
    assert len(call("inspect", view, OLD, "--json").json["layers"]) == 2
    assert call("inspect", view, NEW).code == 3
    assert call("verify", view, "--deep", "--fail-on", "note").out == "sound: 1 image, 2 layers\n"
    assert call("verify", viewed, "--deep", "--fail-on", "note").out == "sound: 2 images, 3 layers\n"


@pytest.mark.parametrize("verb", ["add", "remove", "tag", "prune", "repair", "adopt", "view"])
def test_a_view_is_not_changed_by_itself(viewed: Path, made: dict[str, str], verb: str) -> None:
    view = viewed / "views/team"
    arguments = {
        "add": (view, made["new"], "--name", NEW),
        "remove": (view, OLD),
        "tag": (view, OLD, NEW),
        "prune": (view, "--grace", "0d"),
        "repair": (view,),
        "adopt": (view, "--from", viewed),
        "view": ("create", view, "inner", "--match", "*"),
    }
    before = exact(viewed)
    done = call(verb, *(arguments[verb][:1] if verb == "view" else ()), *(arguments[verb][1:] if verb == "view" else arguments[verb]))
    assert (done.code, done.sentence) == (
        3,
        f"cstore: {view}: expected a store, found a view of one; change the store, {viewed}",
    )
    assert exact(viewed) == before


def test_no_store_is_made_where_views_are(viewed: Path, made: dict[str, str]) -> None:
    place = viewed / "views/other"
    done = call("add", place, made["new"], "--name", NEW)
    assert (done.code, done.sentence) == (
        3,
        f"cstore: {place}: expected a place for a store, found one for a view of {viewed}: `cstore view create` makes that",
    )
    assert not place.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("create", "STORE", "team"), 2, "Missing option '--match'"),
        (
            ("create", "STORE", "../team", "--match", "*"),
            3,
            'view: expected a name of up to 100 letters, digits and _.+=-, found "../team"',
        ),
        (("create", "STORE", "team", "--match", ""), 3, "--match[0]: expected a pattern of up to 500 printable characters"),
        (("create", "STORE/none", "team", "--match", "*"), 3, "expected an image store, found nothing"),
        (("remove", "STORE", "none"), 3, 'expected a view "none", found none'),
        (("list", "STORE/none"), 3, "expected an image store, found nothing"),
        (("create", "STORE", "team", "--match", "*", "--tag", "x"), 2, "are for a LOCATION in CernVM-FS"),
    ],
    ids=str,
)
def test_what_is_wrong_is_told(store: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = call("view", *(argument.replace("STORE", str(store)) for argument in arguments))
    assert done.code == code
    assert said in done.err
    assert not (store / "views").exists()
