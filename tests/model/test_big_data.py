from __future__ import annotations

from cstore.model.big_data import big_data_of
from cstore.model.digest import Digest

CONFIG, MANIFEST, INDEX = b"config", b"manifest", b"index"


def test_podmans_keys_in_podmans_order() -> None:
    items = big_data_of(Digest.of(CONFIG), CONFIG, MANIFEST, None)
    assert list(items.items()) == [
        (str(Digest.of(CONFIG)), CONFIG),
        (f"manifest-{Digest.of(MANIFEST)}", MANIFEST),
        ("manifest", MANIFEST),
    ]


def test_the_image_index_is_kept_too() -> None:
    items = big_data_of(Digest.of(CONFIG), CONFIG, MANIFEST, INDEX)
    assert list(items.items()) == [
        (str(Digest.of(CONFIG)), CONFIG),
        (f"manifest-{Digest.of(INDEX)}", INDEX),
        (f"manifest-{Digest.of(MANIFEST)}", MANIFEST),
        ("manifest", MANIFEST),
    ]
