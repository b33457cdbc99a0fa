from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.program import call

if TYPE_CHECKING:
    from pathlib import Path

FORMS = "expected some of podman, layers, flat, metadata, found"
PLATFORM = "expected OS/ARCH or OS/ARCH/VARIANT, found"
VERBS = {
    "sync": ("sync", "wishes.yaml", "--to", "hub"),
    "watch": ("watch", "wishes.yaml", "--to", "hub"),
    "expand": ("expand", "wishes.yaml"),
    "add": ("add", "store", "oci:none"),
}


@pytest.mark.parametrize(
    "wrong",
    [
        (("sync", "watch", "expand"), "--forms", "x", f'{FORMS} "x"'),
        (("sync",), "--forms", "podman,", f'{FORMS} ""'),
        (("sync",), "--forms", "", f'{FORMS} ""'),
        (("sync", "watch", "expand", "add"), "--platform", "x", f'{PLATFORM} "x"'),
        (("sync", "add"), "--platform", "", f'{PLATFORM} ""'),
        (("sync", "watch"), "--to", "", 'expected a directory or cvmfs://REPOSITORY[/SUBDIRECTORY], found ""'),
        (("sync", "watch", "expand", "add"), "--cache-size", "nan", "expected a number of GB, found nan"),
        (("watch",), "--listen", "x", 'expected ADDRESS:PORT such as 127.0.0.1:9090 or [::1]:9090, found "x"'),
    ],
)
def test_a_wrong_value_is_wrong_usage(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wrong: tuple[tuple[str, ...], str, str, str],
) -> None:
    verbs, option, value, said = wrong
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "hub").mkdir()
    for verb in verbs:
        done = call(*VERBS[verb], option, value)
        assert (done.code, done.out, done.err.splitlines()[-1]) == (2, "", f"Error: Invalid value for '{option}': {said}"), verb
    assert [*(tmp_path / "hub").iterdir()] == []


def test_a_cache_may_be_without_end(tmp_path: Path) -> None:
    (tmp_path / "wishes.yaml").write_text(
        "version: 1\nuser: hub\ncvmfs_repo: r.example.org\noutput_format: ''\ninput: ['a.example.org/b:c']\n"
    )
    done = call("expand", tmp_path / "wishes.yaml", "--cache", tmp_path / "cache", "--cache-size", "inf")
    assert (done.code, done.out) == (0, "a.example.org/b:c linux/amd64\n")
