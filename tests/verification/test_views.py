"""Rules about views: the defect that breaks one is found under its code, and mended."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen

from cstore.index.gojson import encode
from cstore.index.index import own_form
from cstore.index.lock import announcement
from cstore.mend.repair import MENDED
from cstore.model.layout import Form
from cstore.publish.batch import publishing
from cstore.publish.repair import repair
from cstore.publish.views import create_view
from cstore.verification.store import verify
from tests.publish.stores import DAY, NEW, OLD, TOOL, copy, sources

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MINE = "localhost/mine:1"
NOWHERE = "f" * 64


@pytest.fixture(scope="module", params=[*Form], ids=lambda form: form.value)
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a view of two of its images, one of which has another name too, and with a layer that is retired in the view."""
    place = tmp_path_factory.mktemp("viewed")
    made = sources(place / "images")
    with publishing(place / "store", form=request.param, today=DAY) as batch:
        batch.add(made["tool"], name=TOOL)
        batch.add(made["old"], name=OLD)
        batch.add(made["new"], name=NEW)
        batch.tag(OLD, MINE)
    create_view(place / "store", "team", ["*/team/*"], DAY)
    with publishing(place / "store", today=DAY) as batch:
        batch.tag(NEW, "localhost/kept:1")
        batch.remove(NEW)
    return place / "store"


@pytest.fixture
def root(sound: Path, tmp_path: Path) -> Path:
    """A copy of it, to be broken."""
    copy(sound, tmp_path / "store")
    return tmp_path / "store"


def view(root: Path, path: str = "") -> Path:
    return root / "views/team" / path


def records(root: Path, name: str) -> list[dict[str, Any]]:
    return list(json.loads(view(root, f"overlay-{name}/{name}.json").read_bytes()))


def write(root: Path, name: str, values: list[dict[str, Any]]) -> None:
    data = own_form([encode(value) for value in values])
    view(root, f"overlay-{name}/{name}.json").write_bytes(data)
    view(root, f"overlay-{name}/{name}.lock").write_bytes(announcement(data, own=True))


def image(root: Path, name: str = OLD) -> dict[str, Any]:
    return next(record for record in records(root, "images") if name in record["names"])


def edit_image(root: Path, **members: object) -> None:
    wanted = image(root)["id"]
    write(root, "images", [{**record, **(members if record["id"] == wanted else {})} for record in records(root, "images")])


def lose_image(root: Path) -> None:
    wanted = image(root)["id"]
    write(root, "images", [record for record in records(root, "images") if record["id"] != wanted])
    view(root, f"overlay-images/{wanted}").unlink()


def foreign_image(root: Path) -> None:
    other = {**image(root), "id": NOWHERE, "names": ["localhost/foreign:1"]}
    write(root, "images", [*records(root, "images"), other])


def edit_layer(root: Path) -> None:
    first, *rest = records(root, "layers")
    write(root, "layers", [{**first, "compressed-size": first["compressed-size"] + 1}, *rest])


def top(root: Path) -> str:
    return str(image(root)["layer"])


def lead_elsewhere(root: Path) -> None:
    view(root, f"overlay/{top(root)}").unlink()
    view(root, f"overlay/{top(root)}").symlink_to(root.resolve() / "overlay" / top(root))


def move_in(root: Path) -> None:
    """Replace a symlink by what it leads to."""
    place = view(root, f"overlay-images/{image(root)['id']}")
    target = place.resolve()
    place.unlink()
    shutil.copytree(target, place)


def shrink_lock(root: Path) -> None:
    view(root, "overlay-images/images.lock").write_bytes(b"")


def cut(root: Path) -> None:
    place = view(root, "overlay-images/images.json")
    place.write_bytes(place.read_bytes()[:100])


def claim_to_be_a_store(root: Path) -> None:
    view(root, "cstore.json").write_bytes(encode({"version": 1, "layout": "direct", "retired": {}}))


def empty_views(root: Path) -> None:
    shutil.rmtree(view(root))
    view(root).mkdir()


def symlink_for_view(root: Path) -> None:
    view(root).rename(root.parent / "moved")
    view(root).symlink_to(root.parent / "moved")


@frozen
class Defect:
    """A way to break a view."""

    codes: str
    name: str
    plant: Callable[[Path], object]
    stays: bool = False
    """Whether repair leaves it."""


DEFECTS = (
    Defect("V101", "an image is missing", lose_image),
    Defect("V101", "a name is missing", lambda root: edit_image(root, names=["registry.example.org/team/x:1"])),
    Defect("V102", "a name that does not match", lambda root: edit_image(root, names=[OLD, MINE])),
    Defect("V102", "an image that the store does not have", foreign_image),
    Defect("V103", "another digest", lambda root: edit_image(root, created="2001-01-01T00:00:00Z")),
    Defect("V103", "another record of a layer", edit_layer),
    Defect("V104", "an absolute symlink", lead_elsewhere),
    Defect("V104", "a copy of an image's directory", move_in, stays=True),
    Defect("V105", "a directory of a view that nobody names", lambda root: (root / "views/other").mkdir(), stays=True),
    Defect("V106", "no view", lambda root: shutil.rmtree(view(root))),
    Defect("V106", "an empty directory", empty_views),
    Defect("V106", "a symlink", symlink_for_view, stays=True),
    Defect("V51", "a dangling symlink", lambda root: view(root, f"overlay/{top(root)}").unlink()),
    Defect("V53", "links are missing", lambda root: shutil.rmtree(view(root, "overlay/l"))),
    Defect("V71", "a tar-split is missing", lambda root: view(root, f"overlay-layers/{top(root)}.tar-split.gz").unlink()),
    Defect("V31", "big data are missing", lambda root: view(root, f"overlay-images/{image(root)['id']}").unlink()),
    Defect("V74", "a lock is empty", shrink_lock),
    Defect("V1", "images.json is cut", cut),
    Defect("V88", "it says that it is a store", claim_to_be_a_store),
    Defect("V88", "it says nothing", lambda root: view(root, "cstore.json").unlink()),
    Defect("V82", "a link of nobody", lambda root: view(root, "overlay/l/NOBODY").symlink_to(f"../{NOWHERE}/diff")),
)
EACH = pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: f"{defect.codes} {defect.name}")


def codes(root: Path) -> set[str]:
    """Return the codes of what is found, without the layer that is retired, which is no defect."""
    return {problem.code for problem in verify(root)} - {"V86"}


def test_the_store_is_sound(root: Path) -> None:
    assert {problem.path for problem in verify(root, deep=True)} == {"views/team/cstore.json"}
    assert {problem.code for problem in verify(view(root), deep=True)} == {"V86"}


@EACH
def test_a_defect_is_found_in_the_view(root: Path, defect: Defect) -> None:
    defect.plant(root)
    found = [problem for problem in verify(root) if problem.code != "V86"]
    assert defect.codes in {problem.code for problem in found}
    assert [problem.path for problem in found if not problem.path.startswith("views/")] == []
    rules_of_views = {problem.code for problem in found if problem.code > "V100" and len(problem.code) > 3}
    assert rules_of_views <= {defect.codes, "V101", "V102", "V104"}


@EACH
def test_a_defect_is_mended(root: Path, defect: Defect) -> None:
    before = {path.name for path in view(root, "overlay").iterdir()}
    defect.plant(root)
    repair(root, dt.timedelta(0), DAY)
    assert codes(root) == ({defect.codes} if defect.stays else set())
    assert not repair(root, dt.timedelta(0), DAY).delta
    if not defect.stays and "directory" not in defect.name and defect.codes != "V106":
        assert {path.name for path in view(root, "overlay").iterdir()} == before, "no layer is lost, the retired one neither"
    assert defect.stays or defect.codes in MENDED or defect.codes in ("V51", "V71", "V31", "V1")


def test_what_is_wrong_with_a_shared_layer_is_told_once(root: Path) -> None:
    (root / "overlay" / top(root) / "lower").write_bytes(b"l/X")
    assert [problem.path for problem in verify(root) if problem.code == "V55"] == [
        f"{'pool/' + top(root)[:2] if (root / 'pool').exists() else 'overlay'}/{top(root)}/lower"
    ]


def test_what_is_wrong_is_told_with_its_place(root: Path) -> None:
    lose_image(root)
    (found,) = [problem for problem in verify(root) if problem.code == "V101"]
    assert found.path == "views/team/overlay-images/images.json"
    assert found.said == f"expected it as in the store, with 1 of its names such as {OLD}, found nothing"


def test_a_check_of_one_image_leaves_views_alone(root: Path) -> None:
    shutil.rmtree(view(root))
    assert list(verify(root, image=OLD)) == []


def test_views_of_a_store_without_cstore_json_are_told(root: Path) -> None:
    (root / "cstore.json").unlink()
    found = [problem for problem in verify(root) if problem.code == "V105"]
    assert [problem.path for problem in found] == ["views/team"]


def test_a_view_that_shows_nothing_is_made_whole(root: Path) -> None:
    create_view(root, "none", ["nothing"], DAY)
    shutil.rmtree(root / "views/none")
    repair(root, dt.timedelta(0), DAY)
    assert (root / "views/none/overlay/l").is_dir()
    assert not repair(root, dt.timedelta(0), DAY).delta
