from __future__ import annotations

from typing import Any

import pytest

from cstore.errors import FormatError
from cstore.model.settings import Settings


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, Settings()),
        ({"config": None}, Settings()),
        ({"config": {"Env": None, "Entrypoint": None, "Cmd": None, "Labels": None}}, Settings()),
        (
            {"config": {"Env": ["A=1", "B"], "Entrypoint": ["/e", "-x"], "Cmd": ["c"], "Labels": {"l": "v", "n": None}, "User": "1000"}},
            Settings(env=("A=1", "B"), entrypoint=("/e", "-x"), cmd=("c",), labels={"l": "v", "n": ""}),
        ),
        ({"config": {"Entrypoint": "/one word", "Cmd": ""}}, Settings(entrypoint=("/one word",), cmd=("",))),
    ],
)
def test_settings_are_read(config: dict[str, Any], expected: Settings) -> None:
    assert Settings.from_dict(config) == expected


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ([], "config: expected an object, found an array"),
        ({"config": []}, "config.config: expected an object, found an array"),
        ({"config": {"Env": "A=1"}}, 'config.config.Env: expected an array, found "A=1"'),
        ({"config": {"Env": [1]}}, "config.config.Env[0]: expected text, found 1"),
        ({"config": {"Cmd": [None]}}, "config.config.Cmd[0]: expected text, found nothing"),
        ({"config": {"Entrypoint": {}}}, "config.config.Entrypoint: expected an array, found an object"),
        ({"config": {"Labels": {"a": 1}}}, "config.config.Labels['a']: expected text, found 1"),
        ({"config": {"env": []}}, 'config.config.env: expected the member "Env", found one that differs from it in case'),
    ],
)
def test_what_is_malformed_is_refused(config: object, said: str) -> None:
    with pytest.raises(FormatError) as error:
        Settings.from_dict(config, "config")
    assert str(error.value) == said
