"""Which layers there are, and which is below which."""

from __future__ import annotations

from typing import Any

import pytest

from cstore.errors import FormatError
from cstore.model.chain import LayerID
from cstore.model.layer import MEMBERS, LayerRecord
from cstore.model.lineage import Lineage

A, B, C = "a" * 64, "b" * 64, "c" * 64
CREATED = "2026-01-02T03:04:05Z"


def of(*records: dict[str, Any]) -> Lineage:
    return Lineage.of((f"layers[{number}]", record) for number, record in enumerate(records))


@pytest.mark.parametrize(
    ("record", "parent", "size"),
    [
        pytest.param({"id": A}, None, 0, id="a base without a size"),
        pytest.param({"id": A, "parent": B, "diff-size": 7}, B, 7, id="a layer"),
        pytest.param({"id": A, "parent": "", "created": CREATED, "diff-size": None}, None, 0, id="empty members"),
        pytest.param({"id": A, "created": CREATED, "x": 1, "parent": B}, B, 0, id="an unknown member"),
    ],
)
def test_what_is_read_is_what_the_whole_record_says(record: dict[str, Any], parent: str | None, size: int) -> None:
    lineage = of(record)
    assert (lineage.parents, lineage.sizes) == ({A: parent}, {A: size})
    whole = LayerRecord.from_dict({"created": CREATED, **record})
    assert (whole.parent, whole.diff_size) == (parent, size)


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        pytest.param({"id": "x"}, 'layers[1].id: expected an ID of 64 hexadecimal digits, found "x"', id="ID"),
        pytest.param({"id": A, "parent": 7}, "layers[1].parent: expected an ID of 64 hexadecimal digits, found 7", id="parent"),
        pytest.param(
            {"id": A, "created": CREATED, "diff-size": True}, "layers[1].diff-size: expected a whole number, found true", id="size"
        ),
        pytest.param(
            {"id": A, "created": CREATED, "Parent": B},
            'layers[1].Parent: expected the member "parent", found one that differs from it in case',
            id="a member in another case",
        ),
    ],
)
def test_a_malformed_record(record: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FormatError) as error:
        of({"id": B}, record)
    assert str(error.value) == sentence


def test_chains_end_at_a_base_at_a_layer_without_record_and_in_a_loop() -> None:
    lineage = of({"id": A, "parent": B}, {"id": B}, {"id": C, "parent": "d" * 64})
    assert list(lineage.chain(A)) == [A, B]  # type: ignore[arg-type]
    assert list(lineage.chain(C)) == [C]  # type: ignore[arg-type]
    assert list(lineage.chain(None)) == []
    loop = of({"id": A, "parent": B}, {"id": B, "parent": A})
    assert list(loop.chain(B)) == [B, A]  # type: ignore[arg-type]


def test_the_members_are_those_that_a_record_reads() -> None:
    record = LayerRecord.from_dict({"id": A, "created": CREATED, **dict.fromkeys(MEMBERS - {"id", "created"}), "other": 1})
    assert record.unrecognized == {"other": 1}


def test_what_is_needed_is_what_is_at_the_top_and_all_below_it() -> None:
    lineage = of({"id": A}, {"id": B, "parent": A}, {"id": C, "parent": A})
    assert lineage.unneeded([LayerID(B), None, LayerID("d" * 64)]) == {C: A}
    assert lineage.unneeded([]) == {A: None, B: A, C: A}
