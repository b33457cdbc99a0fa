from __future__ import annotations

import pytest

from cstore.errors import FormatError
from cstore.model.platform import Platform


@pytest.mark.parametrize("text", ["linux/amd64", "linux/arm/v7", "windows/amd64", "linux/mips64le"])
def test_a_platform_is_read_and_written(text: str) -> None:
    assert str(Platform.parse(text)) == text


@pytest.mark.parametrize("text", ["", "linux", "linux/", "/amd64", "linux/arm/v7/x", "Linux/amd64", "linux/amd64\n", "linux amd64"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(FormatError) as error:
        Platform.parse(text)
    assert str(error.value) == f'platform: expected OS/ARCH or OS/ARCH/VARIANT, found "{text}"'


@pytest.mark.parametrize(
    ("machine", "platform"),
    [
        ("x86_64", "linux/amd64"),
        ("aarch64", "linux/arm64/v8"),
        ("armv7l", "linux/arm/v7"),
        ("armv6l", "linux/arm/v6"),
        ("i686", "linux/386"),
        ("i386", "linux/386"),
        ("riscv64", "linux/riscv64"),
        ("s390x", "linux/s390x"),
    ],
)
def test_the_platform_of_a_machine(machine: str, platform: str) -> None:
    assert str(Platform.of_machine(machine)) == platform


@pytest.mark.parametrize(
    ("wanted", "image", "rank"),
    [
        pytest.param("linux/amd64", "linux/amd64", 0, id="the same"),
        pytest.param("linux/amd64", "linux/arm64", None, id="other architecture"),
        pytest.param("linux/amd64", "windows/amd64", None, id="other system"),
        pytest.param("linux/amd64", "linux/amd64/v3", 1, id="a variant that may ask too much"),
        pytest.param("linux/amd64/v2", "linux/amd64", 1, id="without the variant that was asked for"),
        pytest.param("linux/amd64/v2", "linux/amd64/v3", None, id="another variant"),
        pytest.param("linux/arm/v7", "linux/arm/v7", 0, id="the same variant"),
        pytest.param("linux/arm/v7", "linux/arm", 0, id="arm without variant is v7"),
        pytest.param("linux/arm/v7", "linux/arm/v6", 1, id="an older variant"),
        pytest.param("linux/arm/v7", "linux/arm/v5", 2, id="an even older one"),
        pytest.param("linux/arm/v7", "linux/arm/v8", None, id="a newer variant"),
        pytest.param("linux/arm/v6", "linux/arm/v7", None, id="a newer variant than v6"),
        pytest.param("linux/arm/v6", "linux/arm", 2, id="without variant for v6"),
        pytest.param("linux/arm", "linux/arm/v7", 0, id="the newest, where none was asked for"),
        pytest.param("linux/arm", "linux/arm/v6", 1, id="an older one, where none was asked for"),
        pytest.param("linux/arm", "linux/arm/v8", 3, id="an unknown one, where none was asked for"),
        pytest.param("linux/arm64/v8", "linux/arm64", 0, id="arm64 without variant is v8"),
        pytest.param("linux/arm64", "linux/arm64/v8", 0, id="v8, where none was asked for"),
        pytest.param("linux/arm64/v9", "linux/arm64/v8", None, id="v8 is not v9"),
        pytest.param("linux/arm64/v9", "linux/arm64", 1, id="without variant for v9"),
    ],
)
def test_how_well_an_image_fits(wanted: str, image: str, rank: int | None) -> None:
    assert Platform.parse(wanted).rank(Platform.parse(image)) == rank
    assert Platform.parse(wanted).runs(Platform.parse(image)) is (rank is not None)


def test_a_platform_of_a_config_that_tells_none_is_empty() -> None:
    assert str(Platform("", "")) == ""
