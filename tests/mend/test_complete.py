"""Records are completed by what the store still has, and never by what is damaged."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from cstore.publish.repair import repair

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.verification.target import Target

LATER = dt.date(2100, 1, 1)


def mended(target: Target) -> None:
    repair(target.root, dt.timedelta(days=14), LATER)


def bare(record: dict[str, Any]) -> None:
    """Leave what the present converter writes."""
    for member in ("digest", "big-data-names", "big-data-sizes", "big-data-digests"):
        record.pop(member, None)


def test_an_image_without_digest_and_big_data_gets_them(target: Target) -> None:
    before = target.image
    target.edit_image(bare)
    target.item(f"manifest-{before['digest']}").unlink()
    mended(target)
    assert target.image == before
    assert target.item(f"manifest-{before['digest']}").read_bytes() == target.item("manifest").read_bytes()


@pytest.mark.parametrize("member", ["diff-digest", "compressed-diff-digest", "compressed-size"])
def test_a_layer_gets_what_manifest_and_config_tell(target: Target, member: str) -> None:
    before = target.records("layers")
    target.edit_layer(target.top, lambda record: record.pop(member))
    mended(target)
    assert target.records("layers") == before


def damaged_manifest(target: Target) -> None:
    target.item("manifest").write_bytes(b"{}")


def missing_manifest(target: Target) -> None:
    target.item("manifest").unlink()


@pytest.mark.parametrize("damage", [damaged_manifest, missing_manifest])
def test_a_manifest_comes_back_from_its_twin(target: Target, damage: Callable[[Target], None]) -> None:
    before, data = target.image, target.item("manifest").read_bytes()
    damage(target)
    mended(target)
    assert (target.image, target.item("manifest").read_bytes()) == (before, data)


def test_a_damaged_config_stays_and_so_does_what_the_record_says_of_it(target: Target) -> None:
    before = target.image
    target.item(target.config_key).write_bytes(b"{}")
    mended(target)
    assert (target.image, target.item(target.config_key).read_bytes()) == (before, b"{}")


def test_signatures_stay_listed(target: Target) -> None:
    target.item("signatures").write_bytes(b"signed")
    target.edit_image(lambda record: record["big-data-names"].append("signatures"))
    mended(target)
    assert target.image["big-data-names"][-1] == "signatures"
    assert target.image["big-data-sizes"]["signatures"] == len(b"signed")


def test_a_layer_that_is_known_by_its_table_of_contents_gets_no_diff_id(target: Target) -> None:
    def known_by_contents(record: dict[str, Any]) -> None:
        del record["diff-digest"]
        record["toc-digest"] = f"sha256:{'0' * 64}"

    target.edit_layer(target.top, known_by_contents)
    before = target.records("layers")
    mended(target)
    assert target.records("layers") == before


def test_a_manifest_is_read_in_whatever_case_its_members_are_written(target: Target) -> None:
    manifest = target.item("manifest").read_bytes()
    target.put_manifest_bytes(manifest.replace(b'"layers"', b'"Layers"').replace(b'"digest"', b'"Digest"'))
    before = target.image
    target.edit_image(bare)
    mended(target)
    assert target.image == before
