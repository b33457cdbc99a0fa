from __future__ import annotations

from typing import Any

import pytest

from cstore.errors import FormatError
from cstore.model.manifest import Config
from cstore.model.platform import Platform

A, B = ("sha256:" + letter * 64 for letter in "ab")
VALUE: dict[str, Any] = {
    "os": "linux",
    "architecture": "arm64",
    "variant": "v8",
    "created": "2023-11-14T22:13:20.123456789Z",
    "rootfs": {"type": "layers", "diff_ids": [A, B]},
}
TIMES = ("2023-01-01T00:00:00Z", "2023-01-02T00:00:00Z")


def test_a_config_is_read() -> None:
    config = Config.from_dict(VALUE)
    assert (config.platform, config.created.text) == (Platform("linux", "arm64", "v8"), "2023-11-14T22:13:20.123456789Z")
    assert [str(diff_id) for diff_id in config.diff_ids] == [A, B]
    assert config.layer_times == (None, None)


@pytest.mark.parametrize("created", [None, ""], ids=["null", "empty"])
def test_a_config_that_tells_no_time(created: str | None) -> None:
    assert Config.from_dict({**VALUE, "created": created}).created.is_zero


def test_a_config_that_tells_no_platform() -> None:
    assert Config.from_dict({"rootfs": {}}).platform == Platform("", "")
    assert Config.from_dict({"rootfs": {}}).diff_ids == ()


@pytest.mark.parametrize(
    ("history", "times"),
    [
        pytest.param([{"created": TIMES[0]}, {"created": TIMES[1]}], TIMES, id="one item for each layer"),
        pytest.param(
            [{"created": TIMES[0]}, {"created": "2023-05-05T00:00:00Z", "empty_layer": True}, {"created": TIMES[1]}],
            TIMES,
            id="items without layers",
        ),
        pytest.param([{"created": TIMES[0], "empty_layer": False}, {}], (TIMES[0], None), id="an item without time"),
        pytest.param([{"created": TIMES[0]}, {"created": ""}], (TIMES[0], None), id="an item with an empty time"),
        pytest.param([{"created": TIMES[0]}], (None, None), id="too few items"),
        pytest.param([{"created": TIMES[0]}] * 3, (None, None), id="too many items"),
        pytest.param([], (None, None), id="no items"),
        pytest.param(None, (None, None), id="null"),
    ],
)
def test_when_each_layer_was_made(history: list[object] | None, times: tuple[str | None, ...]) -> None:
    config = Config.from_dict({**VALUE, "history": history})
    assert tuple(time and time.text for time in config.layer_times) == times


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        pytest.param({"os": 1}, "at.os: expected text, found 1", id="os"),
        pytest.param({"rootfs": None}, "at.rootfs: expected an object, found nothing", id="no rootfs"),
        pytest.param({"rootfs": []}, "at.rootfs: expected an object, found an array", id="rootfs"),
        pytest.param({"rootfs": {"diff_ids": {}}}, "at.rootfs.diff_ids: expected an array, found an object", id="diff IDs"),
        pytest.param({"rootfs": {"diff_ids": [A, "x"]}}, 'at.rootfs.diff_ids[1]: expected a digest, found "x"', id="a diff ID"),
        pytest.param({"created": "now"}, 'at.created: expected a time such as 2026-11-24T02:23:13.059Z, found "now"', id="created"),
        pytest.param({"history": {}}, "at.history: expected an array, found an object", id="history"),
        pytest.param({"history": ["x"]}, 'at.history[0]: expected an object, found "x"', id="an item"),
        pytest.param(
            {"history": [{}, {"created": 5}]},
            "at.history[1].created: expected a time such as 2026-11-24T02:23:13.059Z, found 5",
            id="an item's time",
        ),
    ],
)
def test_a_wrong_member_is_named(members: dict[str, object], sentence: str) -> None:
    with pytest.raises(FormatError) as error:
        Config.from_dict({**VALUE, **members}, "at")
    assert str(error.value) == sentence


def test_a_config_is_an_object() -> None:
    with pytest.raises(FormatError, match=r"^at: expected an object, found an array$"):
        Config.from_dict([], "at")
