from __future__ import annotations

from typing import Any

import pytest

from cstore.errors import FormatError
from cstore.model.image import ImageRecord
from cstore.model.summary import Summary

IMAGE, LAYER, MAPPED = "ab" * 32, "cd" * 32, "ef" * 32
FULL = {
    "id": IMAGE,
    "digest": f"sha256:{IMAGE}",
    "names": ["registry.example.org/a:1", "registry.example.org/a:2"],
    "layer": LAYER,
    "big-data-names": ["manifest"],
    "created": "2023-11-14T22:13:20.123456789Z",
}


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({}, id="the usual members"),
        pytest.param({"mapped-layers": [MAPPED]}, id="mapped layers"),
        pytest.param({"flags": {}, "later": 1}, id="unknown members"),
        pytest.param({"names": None, "layer": None, "digest": None, "created": None}, id="nulls"),
        pytest.param({"layer": "", "digest": ""}, id="empty texts"),
    ],
)
def test_it_tells_what_the_record_says(more: dict[str, Any]) -> None:
    record = ImageRecord.from_dict({**FULL, **more})
    assert Summary.of({**FULL, **more}, "") == Summary(record.id, record.names, record.created, record.digest, record.tops)


@pytest.mark.parametrize("more", [{"id": "ab"}, {"names": [1]}, {"names": "a"}, {"layer": 1}, {"digest": "sha256:1"}, {"created": "then"}])
def test_what_is_needed_must_be_well_formed(more: dict[str, Any]) -> None:
    with pytest.raises(FormatError) as told:
        Summary.of({**FULL, **more}, "images[0]")
    with pytest.raises(FormatError) as expected:
        ImageRecord.from_dict({**FULL, **more}, "images[0]")
    assert str(told.value) == str(expected.value)
