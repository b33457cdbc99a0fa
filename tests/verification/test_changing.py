"""A store that changes while it is checked: what is only half of a change is not told, and what is wrong is."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define

from cstore.errors import PublishError
from cstore.publish.batch import publishing
from cstore.publish.directory import writing
from cstore.publish.locks import exclusive
from cstore.publish.prune import prune
from cstore.store import Store
from cstore.verification.store import verify
from tests.publish.stores import DAY, FORMS, NEW, OLD, TOOL, sources

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cstore.model.layout import Form

RETIRED = "V86"
WRITER = """
import sys, time
from pathlib import Path
from cstore.publish.directory import writing
with writing(Path(sys.argv[1])):
    print("at work", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def made(tmp_path: Path) -> dict[str, str]:
    return sources(tmp_path / "images")


@pytest.fixture(params=FORMS, ids=lambda form: str(form.value))
def store(request: pytest.FixtureRequest, tmp_path: Path, made: dict[str, str]) -> Path:
    root, form = tmp_path / "store", request.param
    assert isinstance(form, type(FORMS[0]))
    fill(root, made, form)
    return root


def fill(root: Path, made: dict[str, str], form: Form) -> None:
    with publishing(root, form=form, today=DAY) as batch:
        batch.add(made["old"], name=OLD)
        batch.add(made["new"], name=NEW)


@define
class At:
    """A progress at which something happens, each thing once, when a work begins."""

    work: str
    happens: list[Callable[[], object]]

    def __call__(self, work: str, subject: str, _total: int) -> Callable[[int], object]:
        if (work, subject) == (self.work, "layers") and self.happens:
            self.happens.pop(0)()
        return lambda _number: None


def found(root: Path, **asked: Any) -> list[str]:  # noqa: ANN401 - what is asked of a check
    return [problem.code for problem in verify(root, **asked) if problem.code != RETIRED]


def remove_and_prune(root: Path) -> None:
    with publishing(root, today=DAY) as batch:
        batch.remove(NEW)
    assert prune(root, dt.timedelta(0), DAY).delta


def add(root: Path, source: str, name: str) -> None:
    with publishing(root, today=DAY) as batch:
        batch.add(source, name=name)


@pytest.mark.parametrize(("work", "is_deep"), [("checking", False), ("checking", True), ("reading", True)])
def test_what_goes_meanwhile_is_not_missed(store: Path, work: str, is_deep: bool) -> None:  # noqa: FBT001 - a parameter of the test
    at = At(work, [lambda: remove_and_prune(store)])
    assert found(store, deep=is_deep, progress=at) == []
    assert at.happens == []


def test_what_comes_and_goes_in_every_reading_is_not_missed(store: Path, made: dict[str, str]) -> None:
    at = At("checking", [lambda: remove_and_prune(store), lambda: None])
    assert found(store, progress=at) == []
    assert at.happens == [], "a second reading"
    add(store, made["new"], NEW)
    at = At("checking", [lambda: add(store, made["tool"], TOOL)])
    assert found(store, progress=at) == []


@pytest.mark.parametrize(("is_deep", "codes"), [(False, ["V55"]), (True, ["V55", "V63"])])
def test_what_is_wrong_is_told_once_whatever_changes(store: Path, is_deep: bool, codes: list[str]) -> None:  # noqa: FBT001 - a parameter of the test
    image = Store.open(store).named(OLD)
    assert image is not None
    (store / "overlay" / str(image.layer) / "lower").write_text("l/X")
    (store / "overlay" / str(image.layer) / "diff/opt/other").chmod(0o600)
    at = At("checking", [lambda: remove_and_prune(store)])
    assert found(store, deep=is_deep, progress=at) == codes


def test_while_it_looks_again_no_index_changes(store: Path) -> None:
    def writers_wait() -> None:
        for lock in ("overlay-layers/layers.lock", "overlay-images/images.lock"):
            with pytest.raises(PublishError, match=r"expected the lock within 0.1 seconds"), exclusive(store / lock, 0.1):
                pass

    at = At("checking", [lambda: remove_and_prune(store), writers_wait])
    assert found(store, progress=at) == []
    assert at.happens == []


def test_what_a_writer_has_put_already_is_nobodys_mistake(store: Path) -> None:
    orphan = store / "overlay" / ("0" * 64)
    with writing(store):
        orphan.mkdir()
        assert found(store) == []
    assert found(store) == ["V81"]


def test_what_a_writer_left_that_died_is_told(store: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, store], stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"at work\n"
        assert found(store) == []
        run.kill()
    assert found(store) == ["V87"]
