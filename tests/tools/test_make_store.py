from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cstore.publish.batch import publishing
from cstore.store import Store
from cstore.verification.store import verify
from tests.images import TAG, put_blob, put_index
from tests.publish.stores import FORMS, listing
from tools.make_store import DEEP, layer_tar, make_store, name_of

if TYPE_CHECKING:
    from pathlib import Path

    from cstore.model.layout import Form

MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"


@pytest.mark.parametrize("form", FORMS, ids=lambda form: str(form.value))
def test_a_store_is_sound_and_what_cstore_itself_writes(tmp_path: Path, form: Form) -> None:
    made, added = tmp_path / "made", tmp_path / "added"
    make_store(made, images=4, layers=3, depth=5, form=form)
    assert [str(problem) for problem in verify(made, deep=True)] == []
    source = _layout(made, tmp_path / "images")
    with publishing(added, form=form) as batch:
        for number, name in enumerate([*map(name_of, range(4)), DEEP]):
            batch.add(f"oci:{source}:{number}", name=name)
    ours, theirs = listing(made), listing(added)
    assert [path for path in sorted({*ours, *theirs}) if ours.get(path) != theirs.get(path)] == []


@pytest.mark.parametrize(
    ("images", "layers", "expected"),
    [(8, 8, 64), (16, 8, 128), (1, 8, 15), (9, 8, 79), (5, 1, 5), (0, 8, 0)],
)
def test_complete_families_have_as_many_layers_for_each_image_as_asked(tmp_path: Path, images: int, layers: int, expected: int) -> None:
    make_store(tmp_path / "store", images=images, layers=layers)
    store = Store.open(tmp_path / "store")
    assert len([*store.all_images()]) == images
    assert len([*store.all_layers()]) == expected
    assert [str(problem) for problem in verify(tmp_path / "store")] == []


def test_the_same_arguments_give_the_same_store(tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_store(tmp_path / name, images=3, layers=2)
    assert listing(tmp_path / "one") == listing(tmp_path / "two")


def _layout(store: Path, place: Path) -> Path:
    """Write the images of a store as an OCI layout, each with its number as tag."""
    for number in range(len([*Store.open(store).all_layers()])):
        put_blob(place, layer_tar(number), "")
    listed = []
    for number, image in enumerate(Store.open(store).all_images()):
        items = {path.name: path.read_bytes() for path in (store / "overlay-images" / image.id).iterdir()}
        manifest = items.pop("manifest")
        for item in items.values():
            put_blob(place, item, "")
        listed.append(put_blob(place, manifest, MEDIA_TYPE, annotations={TAG: str(number)}))
    put_index(place, listed)
    return place
