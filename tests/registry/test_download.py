from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from cstore.errors import ContentError, SourceError, StoreError
from cstore.model.digest import Digest
from cstore.registry.client import AbsentError
from cstore.registry.patience import Patience
from tools.registries.proxy import Fault, Proxy
from tools.registries.server import registries_of

if TYPE_CHECKING:
    from tools.registries.server import Registry

DATA = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(100_000))
DIGEST = Digest.of(DATA)
BLOB = "GET .*/blobs/"
SHORT = Patience(silence=0.4, head=0.8, window=0.4)


@pytest.fixture(scope="module", autouse=True)
def _blob(registry: Registry) -> None:
    registry.put_blob("atlas/app", str(DIGEST), DATA)


def ranges(proxy: Proxy) -> list[str | None]:
    return [seen.headers.get("Range") for seen in proxy.asked(BLOB)]


def fetched(registry: Registry, proxy: Proxy, size: int = len(DATA), **options: object) -> bytes:
    name = registry.name("atlas/app:v1")
    with (
        registries_of(proxy.address, **options) as registries,
        registries.blob(type(name)(proxy.address, name.repository, "v1"), DIGEST, size) as file,
    ):
        return file.read()


@pytest.mark.parametrize(
    ("faults", "asked"),
    [
        pytest.param([], [None], id="no fault"),
        pytest.param([Fault(BLOB, cut=1_000_000)], [None, "bytes=1000000-"], id="cut off once"),
        pytest.param([Fault(BLOB, cut=1_000_000, times=2)], [None, "bytes=1000000-", "bytes=2000000-"], id="twice"),
        pytest.param([Fault(BLOB, cut=0)], [None, None], id="at once"),
        pytest.param(
            [Fault(BLOB, cut=1_000_000), Fault(BLOB, status=503)], [None, "bytes=1000000-", "bytes=1000000-"], id="and then an error"
        ),
        pytest.param([Fault(BLOB, cut=1_000_000), Fault(BLOB, ignores_range=True)], [None, "bytes=1000000-"], id="all is sent again"),
        pytest.param([Fault(BLOB, cut=1_000_000), Fault(BLOB, status=416)], [None, "bytes=1000000-", None], id="no such part"),
        pytest.param(
            [Fault(BLOB, cut=1_000_000), Fault(BLOB, without=("Content-Range",))],
            [None, "bytes=1000000-"],
            id="a part that does not say which",
        ),
        pytest.param([Fault(BLOB, cut=1_000_000, encloses=False)], [None, "bytes=1000000-"], id="cut off where no length was told"),
    ],
)
def test_a_download_goes_on_where_it_was_cut_off(registry: Registry, faults: list[Fault], asked: list[str | None]) -> None:
    """Spec Q10."""
    with Proxy(registry.address, *faults) as proxy:
        assert fetched(registry, proxy) == DATA
    assert ranges(proxy) == asked


def test_with_the_etag_that_was_told(registry: Registry) -> None:
    with Proxy(registry.address, Fault(BLOB, cut=1_000_000, headers={"ETag": '"e"'}, without=("Etag",))) as proxy:
        assert fetched(registry, proxy) == DATA
    assert [seen.headers.get("If-Range") for seen in proxy.asked(BLOB)] == [None, '"e"']


@pytest.mark.parametrize("tag", ['W/"e"', "e", ""])
def test_but_not_with_a_weak_one(registry: Registry, tag: str) -> None:
    with Proxy(registry.address, Fault(BLOB, cut=1_000_000, headers={"Etag": tag}, without=("Etag",))) as proxy:
        assert fetched(registry, proxy) == DATA
    assert [seen.headers.get("If-Range") for seen in proxy.asked(BLOB)] == [None, None]


def test_progress_counts_as_a_success(registry: Registry) -> None:
    with Proxy(registry.address, Fault(BLOB, cut=400_000, times=20)) as proxy:
        assert fetched(registry, proxy) == DATA
    assert len(ranges(proxy)) == 8


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        pytest.param(Fault(BLOB, cut=10, times=None), SourceError, "expected 3200000 bytes from HOST, found ", id="no end of cuts"),
        pytest.param(
            Fault(BLOB, cut=1_500_000, ignores_range=True, times=None),
            SourceError,
            "expected 3200000 bytes from HOST, found 1500000 and then no more (",
            id="no end of cuts at the same place",
        ),
        pytest.param(
            Fault(BLOB, status=404, times=None), AbsentError, "expected a blob from HOST, found status 404 (Not Found)", id="not there"
        ),
        pytest.param(Fault(BLOB, resize=1, times=None), ContentError, "expected 3200000 bytes, found 3200001", id="longer"),
        pytest.param(Fault(BLOB, resize=-1, times=None), ContentError, "expected 3200000 bytes, found 3199999", id="shorter"),
        pytest.param(
            Fault(BLOB, resize=1, encloses=False, times=None), ContentError, "expected 3200000 bytes, found more", id="longer than it says"
        ),
        pytest.param(Fault(BLOB, flip=True, times=None), ContentError, f"expected digest {DIGEST}, found sha256:", id="other bytes"),
        pytest.param(Fault(BLOB, pause=0.1, times=None), SourceError, "expected 3200000 bytes from HOST, found ", id="slow"),
    ],
)
def test_what_fails(registry: Registry, fault: Fault, kind: type[StoreError], said: str) -> None:
    with Proxy(registry.address, fault) as proxy, pytest.raises(StoreError) as error:
        fetched(registry, proxy, patience=SHORT)
    at = f"docker://HOST/atlas/app:v1: blob {DIGEST}: "
    assert type(error.value) is kind
    assert str(error.value).replace(proxy.address, "HOST").startswith(at + said)
    assert len(ranges(proxy)) <= 5


def test_a_server_that_never_comes_to_an_end_is_left(registry: Registry) -> None:
    with Proxy(registry.address, Fault(BLOB, headers={"Transfer-Encoding": "chunked"}, encloses=False, times=None)) as proxy:
        with pytest.raises(SourceError):
            fetched(registry, proxy, patience=SHORT)
        assert len(ranges(proxy)) == 5
