"""What a hub's delta becomes: one revision in a repository, and whole stores in a directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cstore.delta import Delta, PutSymlink, Remove, ReplaceIndex, file_of
from cstore.errors import PublishError, StoreError
from cstore.index.lock import announced, hash_of
from cstore.model.layout import IMAGES_INDEX, IMAGES_LOCK
from cstore.publish.batch import Batch
from cstore.publish.cvmfs import CvmfsPlace
from cstore.publish.hub import CvmfsHub, DirectoryHub, Hub, find_hub
from cstore.publish.place import DirectoryPlace
from tests.publish.cvmfs import NAME, STORE, Publisher, publishing_machine
from tests.publish.soundness import problems
from tests.publish.stores import DAY, NEW, exact

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cstore.delta import Step

ARM = "podmanStore.arm64"


def joined(hub: Hub, sources: dict[str, str], *steps: PutSymlink | Remove) -> tuple[Callable[[], Delta], list[Batch]]:
    """Return a plan that puts an image into each store, and other steps beside them."""
    batches = {}
    for store, source in sources.items():
        batches[store] = Batch(hub.store(store), today=DAY)
        batches[store].add(source, name=NEW)

    def plan() -> Delta:
        parts = [step for store, batch in batches.items() for step in batch.plan().placed_in(store)]
        return Delta((*parts, *(step for step in steps if (hub.root / step.path).is_symlink() == isinstance(step, Remove))))

    return plan, [*batches.values()]


@pytest.fixture
def link() -> PutSymlink:
    return PutSymlink(path="example.org/a:1", target=f"../{STORE}/overlay")


def test_a_directory_gets_its_stores_and_what_is_beside_them(tmp_path: Path, made: dict[str, str], link: PutSymlink) -> None:
    hub = DirectoryHub(tmp_path)
    plan, batches = joined(hub, {STORE: made["old"], ARM: made["tool"]}, link)
    hub.publish(plan, [STORE, ARM])
    assert problems(tmp_path / STORE) == problems(tmp_path / ARM) == []
    assert (tmp_path / "example.org/a:1").is_dir()
    before = exact(tmp_path)
    assert not hub.publish(plan, [STORE, ARM]).delta
    hub.publish(lambda: Delta((Remove(path=link.path),)), [STORE, ARM])
    assert not (tmp_path / link.path).is_symlink()
    hub.publish(plan, [STORE, ARM])
    assert exact(tmp_path).keys() == before.keys()
    for batch in batches:
        batch.close()


def test_a_repository_gets_all_of_it_in_one_revision(publisher: Publisher, made: dict[str, str], link: PutSymlink) -> None:
    hub = CvmfsHub(CvmfsPlace(repository=publisher.repository, path=""))
    plan, batches = joined(hub, {STORE: made["old"], ARM: made["tool"]}, link)
    before = publisher.revision
    done = hub.publish(plan, [STORE, ARM])
    assert (publisher.revision, done.revision) == (before + 1, before + 1)
    assert problems(publisher.newest / STORE) == problems(publisher.newest / ARM) == []
    assert (publisher.newest / "example.org/a:1").is_dir()
    assert not hub.publish(plan, [STORE, ARM]).delta
    assert publisher.revision == before + 1
    for batch in batches:
        batch.close()


def test_a_hub_may_be_a_directory_of_a_repository(publisher: Publisher, made: dict[str, str], link: PutSymlink) -> None:
    hub = find_hub(f"cvmfs://{NAME}/hubs/one", site=publisher.site)
    plan, batches = joined(hub, {STORE: made["old"]}, link)
    hub.publish(plan, [STORE])
    assert problems(publisher.newest / "hubs/one" / STORE) == []
    assert (publisher.newest / "hubs/one" / link.path).is_dir()
    batches[0].close()


def test_names_with_colons_go_in_a_transaction_before_the_rest(publisher: Publisher, link: PutSymlink) -> None:
    """Quote: cvmfs_server takes `:` in a path for the end of one (spec C24, C26)."""
    hub = CvmfsHub(CvmfsPlace(repository=publisher.repository, path=""))
    hub.publish(lambda: Delta((link, file_of(".metadata/example.org/a:1/manifest.json", b"{}"))), [])
    before = publisher.revision
    gone = (Remove(path=link.path), Remove(path=".metadata/example.org/a:1"))
    done = hub.publish(lambda: Delta((*gone, file_of("status.json", b"{}"))), [])
    assert (publisher.revision, done.revision) == (before + 2, before + 2)
    assert not (publisher.newest / link.path).is_symlink()
    assert not (publisher.newest / ".metadata/example.org/a:1").exists()
    assert (publisher.newest / "status.json").read_bytes() == b"{}"
    done = hub.publish(lambda: Delta((Remove(path="status.json"),)), [])
    assert done.revision == before + 3


@pytest.mark.parametrize("upstream", ["local", "gw"])
def test_what_is_removed_and_put_anew_goes_in_a_call_before(tmp_path: Path, upstream: str) -> None:
    """Quote: a path that is both removed and put makes the call fail; what is in the way is removed in a call before (spec C4)."""
    with publishing_machine(tmp_path / "site", upstream=upstream) as machine:
        machine.publish_something("hubs/one/layer/note")
        hub = CvmfsHub(CvmfsPlace(repository=machine.repository, path="hubs/one"))
        hub.publish(lambda: Delta((Remove(path="layer"), PutSymlink(path="layer", target="elsewhere"))), [])
        assert str((machine.newest / "hubs/one/layer").readlink()) == "elsewhere"
        assert machine.check() == ""


def test_what_comes_before_a_step_in_a_store_is_done_before_it(tmp_path: Path) -> None:
    """Quote: a symlink leads to another tree before its tree in a store is removed (spec H7)."""
    hub = DirectoryHub(tmp_path)
    (tmp_path / STORE / "old").mkdir(parents=True)
    (tmp_path / "last").mkdir()
    steps: list[Step] = [PutSymlink(path="first", target="x"), Remove(path=f"{STORE}/old"), PutSymlink(path="later", target="x")]
    hub.publish(lambda: Delta(tuple(steps)), [STORE])
    assert [(tmp_path / name).is_symlink() for name in ("first", "later")] == [True, True]
    (tmp_path / STORE / "old").mkdir()
    steps = [PutSymlink(path="first", target="y"), Remove(path=f"{STORE}/old"), PutSymlink(path="last", target="x")]
    with pytest.raises(PublishError):
        hub.publish(lambda: Delta(tuple(steps)), [STORE])
    assert (str((tmp_path / "first").readlink()), (tmp_path / STORE / "old").exists()) == ("y", False)


def test_a_store_that_would_stop_its_readers_is_refused(tmp_path: Path, publisher: Publisher) -> None:
    step = ReplaceIndex(
        path=f"{STORE}/{IMAGES_INDEX}", lock_path=f"{STORE}/{IMAGES_LOCK}", data=b"{}", lock=announced(hash_of(b"{}"), own=True)
    )
    for hub in (DirectoryHub(tmp_path), CvmfsHub(CvmfsPlace(repository=publisher.repository, path=""))):
        with pytest.raises(PublishError) as caught:
            hub.publish(lambda: Delta((step,)), [STORE])
        assert str(caught.value).startswith("overlay-images/images.json: ")
        assert str(caught.value).endswith("(spec V1); nothing was published")
    assert publisher.verbs == []


def test_a_hub_is_found(tmp_path: Path, publisher: Publisher) -> None:
    assert find_hub(str(tmp_path)) == DirectoryHub(tmp_path)
    assert find_hub(str(tmp_path)).store(STORE) == DirectoryPlace(tmp_path / STORE)
    with pytest.raises(StoreError) as caught:
        find_hub(str(tmp_path / "none"))
    assert str(caught.value) == f"{tmp_path}/none: expected a directory for a hub, found nothing; make an empty one first"
    with pytest.raises(StoreError) as caught:
        find_hub("cvmfs://other.example.org", site=publisher.site)
    assert "expected a repository that this machine publishes" in str(caught.value)
    hub = find_hub(f"cvmfs://{NAME}", site=publisher.site)
    assert hub.has_catalogs
    assert hub.store(STORE).root == publisher.site.spool / NAME / "rdonly" / STORE


def test_an_interrupted_hub_is_put_right_first(tmp_path: Path, made: dict[str, str], link: PutSymlink) -> None:
    hub = DirectoryHub(tmp_path)
    (tmp_path / ".cstore-work").mkdir()
    (tmp_path / ".cstore-work/old-0").write_bytes(b"")
    plan, batches = joined(hub, {STORE: made["old"]}, link)
    hub.publish(plan, [STORE])
    assert not (tmp_path / ".cstore-work").exists()
    batches[0].close()
