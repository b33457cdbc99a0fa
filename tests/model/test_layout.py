from __future__ import annotations

import base64
from itertools import pairwise

import pytest

from cstore.errors import FormatError
from cstore.model.chain import ImageID, LayerID
from cstore.model.layout import Form, Layout, Link, big_data_file, link_candidates, parse_link

A = LayerID("ab" * 32)
B = LayerID("cd" * 32)
IMAGE = ImageID("12" * 32)


@pytest.mark.parametrize(
    ("form", "tree", "target"),
    [
        pytest.param(Form.DIRECT, f"overlay/{A}", None, id="direct"),
        pytest.param(Form.SHARDED, f"pool/ab/{A}", f"../pool/ab/{A}", id="sharded"),
    ],
)
def test_where_everything_lies(form: Form, tree: str, target: str | None) -> None:
    layout = Layout(form)
    assert layout.layer(A) == f"overlay/{A}"
    assert layout.tree(A) == tree
    assert layout.layer_target(A) == target
    assert layout.link(Link("ABC")) == "overlay/l/ABC"
    assert layout.link_target(A) == f"../{A}/diff"
    assert layout.tar_split(A) == f"overlay-layers/{A}.tar-split.gz"
    assert layout.image(IMAGE) == f"overlay-images/{IMAGE}"
    assert layout.big_data(IMAGE, "manifest") == f"overlay-images/{IMAGE}/manifest"
    assert layout.big_data(IMAGE, "sha256:a") == f"overlay-images/{IMAGE}/=c2hhMjU2OmE="


def test_a_direct_store_has_no_catalogs() -> None:
    assert Layout(Form.DIRECT).catalogs([A, B]) == ()


def test_a_sharded_store_has_a_catalog_for_each_room_and_shard() -> None:
    rooms = ("overlay/.cvmfscatalog", "overlay-images/.cvmfscatalog", "overlay-layers/.cvmfscatalog")
    assert Layout(Form.SHARDED).catalogs([]) == rooms
    assert Layout(Form.SHARDED).catalogs([B, A, B]) == (*rooms, "pool/ab/.cvmfscatalog", "pool/cd/.cvmfscatalog")


@pytest.mark.parametrize(
    ("key", "name"),
    [
        pytest.param("manifest", "manifest", id="plain"),
        pytest.param("a.b.0", "a.b.0", id="dots and digits"),
        pytest.param("abc-", "abc-", id="the only other character is the last"),
        pytest.param("abcé", "abcé", id="so with a letter of several bytes"),
        pytest.param("-", "-", id="the only character at all"),
        pytest.param("ab-c", "=YWItYw==", id="another character in the middle"),
        pytest.param("abc--", "=YWJjLS0=", id="two of them at the end"),
        pytest.param("-abc", "=LWFiYw==", id="at the beginning"),
        pytest.param("Abc", "=QWJj", id="a capital"),
        pytest.param("éa", "=w6lh", id="several bytes"),
        pytest.param("sha256:ab", "=c2hhMjU2OmFi", id="digest"),
        pytest.param("a>>?", "=YT4+Pw==", id="the alphabet that has a plus"),
    ],
)
def test_the_file_of_an_item_of_big_data(key: str, name: str) -> None:
    assert big_data_file(key) == name


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        pytest.param("", "", id="empty"),
        pytest.param(".", ".", id="dot"),
        pytest.param("..", "..", id="dots"),
        pytest.param("/", "/", id="slash"),
        pytest.param("a/", "a/", id="slash at the end"),
        pytest.param("a\0", "a\0", id="NUL at the end"),
        pytest.param("?>?", "?>?", id="a slash in its base64"),
    ],
)
def test_a_key_that_would_lead_out_is_refused(key: str, shown: str) -> None:
    with pytest.raises(FormatError) as error:
        big_data_file(key)
    assert str(error.value) == f'big data: expected a key that makes a file name, found "{shown}"'


def test_links_are_base32_of_the_layer_id_and_as_short_as_stays_unique() -> None:
    links = list(link_candidates(A))
    whole = base64.b32encode(bytes.fromhex(A)).decode().rstrip("=")
    assert links[0] == whole[:12]
    assert links[-1] == whole
    assert all(len(longer) == len(shorter) + 1 and longer.startswith(shorter) for shorter, longer in pairwise(links))


def test_layers_whose_ids_begin_alike_differ_in_some_link() -> None:
    one, other = LayerID("a" * 63 + "0"), LayerID("a" * 63 + "1")
    pairs = list(zip(link_candidates(one), link_candidates(other), strict=True))
    assert pairs[0][0] == pairs[0][1]
    assert pairs[-1][0] != pairs[-1][1]


@pytest.mark.parametrize("text", ["ABCDEFGHIJKLMNOPQRSTUVWXYZ", "A", "a-b.c", "x" * 255, "é"])
def test_a_link_of_any_form_is_kept(text: str) -> None:
    assert parse_link(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("", "", id="empty"),
        pytest.param(".", ".", id="dot"),
        pytest.param("..", "..", id="dots"),
        pytest.param("l/ABC", "l/ABC", id="with its directory"),
        pytest.param("A:B", "A:B", id="colon"),
        pytest.param("ABC\n", "ABC\n", id="newline"),
        pytest.param("A\0", "A\0", id="NUL"),
        pytest.param("x" * 256, "x" * 100 + "…", id="too long"),
    ],
)
def test_a_link_that_no_reader_could_use_is_refused(text: str, shown: str) -> None:
    with pytest.raises(FormatError) as error:
        parse_link(text, "overlay/x/link")
    assert str(error.value) == f'overlay/x/link: expected a link, found "{shown}"'
