from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from cstore.model.layout import Form
from cstore.publish.batch import publishing
from cstore.publish.views import create_view, remove_view
from tests.images import Image, directory, file, tar, whiteout, write_layout

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
SPEC = ROOT / "spec"
PAGES = sorted(SPEC.glob("*.md"))
DECISIONS = sorted((SPEC / "decisions").glob("*.md"))
STATEMENT = re.compile(r"^\*\*([A-Z][0-9]+)\*\* (.*)", re.DOTALL)
CITED = re.compile(r"\bspec ([A-Z][0-9]+(?:(?:,| and| to) [A-Z]?[0-9]+)*)", re.IGNORECASE)
STEP = re.compile(r"(to|and|,)? ?([A-Z]?)([0-9]+)")
CODE = re.compile(r"`[^`]*`")
BARE = re.compile(r"\b([A-Z][0-9]{1,2})\b")
LINK = re.compile(r"\]\(([^):]+)\)")
TEST = re.compile(r"`(tests/[\w./]+)`")


def statements() -> Iterator[tuple[Path, str, str]]:
    for page in PAGES:
        for paragraph in page.read_text().split("\n\n"):
            if match := STATEMENT.match(paragraph):
                yield page, match[1], match[2]


ROOMY = "V"
"""The letter whose numbers have gaps: rules of a kind stand together, and there is room for more."""
NUMBERS = {number for _, number, _ in statements()}


def cited(text: str) -> set[str]:
    """Return the statements that a text cites, ranges such as "spec A1 to A9" written out."""
    found: set[str] = set()
    for match in CITED.finditer(text):
        letter, last = "", 0
        for word, given, digits in STEP.findall(match[1]):
            letter = given.upper() or letter
            first = last + 1 if word == "to" else int(digits)
            found.update(f"{letter}{number}" for number in range(first, int(digits) + 1))
            last = int(digits)
    return found


def references(folder: str, pattern: str) -> list[tuple[str, str]]:
    files = sorted((ROOT / folder).rglob(pattern))
    return [(str(path.relative_to(ROOT)), number) for path in files for number in sorted(cited(path.read_text()))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(spec I9)", {"I9"}),
        ("spec A1 to A3", {"A1", "A2", "A3"}),
        ("spec X1, X2.", {"X1", "X2"}),
        ("spec F5, F6 and P3", {"F5", "F6", "P3"}),
        ("Spec D1", {"D1"}),
        ("no reference", set()),
    ],
)
def test_references_are_recognised(text: str, expected: set[str]) -> None:
    assert cited(text) == expected


def test_code_cites_only_statements_that_there_are() -> None:
    found = references("cstore", "*.py")
    assert len(found) > 50
    assert [reference for reference in found if reference[1] not in NUMBERS] == []


def test_schemas_cite_only_statements_that_there_are() -> None:
    assert [reference for reference in references("spec", "*.schema.json") if reference[1] not in NUMBERS] == []


def test_numbers_are_unique_and_without_gaps_but_where_there_is_room_for_more() -> None:
    numbers = [number for _, number, _ in statements()]
    letters = sorted({number[0] for number in numbers})
    expected = [f"{letter}{place}" for letter in letters for place in range(1, sum(number[0] == letter for number in numbers) + 1)]
    assert len(set(numbers)) == len(numbers)
    assert sorted(number for number in numbers if number[0] != ROOMY) == sorted(number for number in expected if number[0] != ROOMY)


def test_statements_stand_in_order_on_the_page_of_their_letter() -> None:
    table = dict(re.findall(r"^\| ([A-Z]) \|.*\((\w+\.md)\) \|$", (SPEC / "README.md").read_text(), re.MULTILINE))
    assert set(table) == {number[0] for number in NUMBERS}
    last: dict[str, int] = {}
    for page, number, _ in statements():
        assert page.name == table[number[0]]
        assert int(number[1:]) > last.get(number[0], 0)
        last[number[0]] = int(number[1:])


@pytest.mark.parametrize(("number", "text"), [pytest.param(number, text, id=number) for _, number, text in statements()])
def test_each_statement_has_evidence(number: str, text: str) -> None:
    said, mark, evidence = text.partition("*Evidence:*")
    assert said.strip(), number
    assert mark, number
    assert re.search(r"`[^`]+`|tried\s+with|image-spec|\.json\)", evidence), number
    assert evidence.rstrip().endswith("."), number


@pytest.mark.parametrize("page", [*PAGES, *DECISIONS], ids=lambda page: page.name)
def test_pages_refer_only_to_statements_that_there_are(page: Path) -> None:
    letters = {number[0] for number in NUMBERS}
    named = {number for number in BARE.findall(CODE.sub("", page.read_text())) if number[0] in letters}
    assert sorted(named - NUMBERS) == []


@pytest.mark.parametrize("page", [*PAGES, *DECISIONS], ids=lambda page: page.name)
def test_links_lead_to_pages(page: Path) -> None:
    assert [link for link in LINK.findall(page.read_text()) if not (page.parent / link).is_file()] == []


def test_tests_that_are_named_as_evidence_exist() -> None:
    named = {path for _, _, text in statements() for path in TEST.findall(text)}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_each_promise_names_a_test() -> None:
    assert [number for _, number, text in statements() if number[0] == "P" and not TEST.search(text)] == []


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((SPEC / f"{name}.schema.json").read_bytes())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


IMAGES, LAYERS, ABOUT = validator("images"), validator("layers"), validator("cstore")


def violations(schema: Draft202012Validator, value: object) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in schema.iter_errors(value)]


BASE = tar(directory("etc"), file("etc/motd", b"hello"), file("etc/mine", b"m", uid=1000, gid=100))
OTHER = tar(whiteout("etc/motd"), file("opt/tool", b"t" * 1000))


@pytest.fixture(params=list(Form), ids=lambda form: form.value)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a store with images of all kinds, one of them removed again."""
    layout = write_layout(
        tmp_path / "images",
        {
            "one": Image(layers=(BASE, OTHER)),
            "zstd": Image(layers=(BASE,), compression="zstd", family="docker"),
            "plain": Image(layers=(OTHER,), compression="none", created=None),
            "empty": Image(),
            "many": [Image(layers=(BASE,), labels={"of": "many"}, platform=platform) for platform in ("linux/amd64", "linux/arm64/v8")],
        },
    )
    root = tmp_path / "store"
    with publishing(root, form=request.param, platform="linux/amd64") as batch:
        for tag in ("one", "zstd", "plain", "empty", "many"):
            batch.add(f"{layout}:{tag}", name=f"registry.example.org/path/{tag}:v1")
        batch.tag("registry.example.org/path/one:v1", "localhost/other:v2")
    with publishing(root) as batch:
        batch.remove("registry.example.org/path/plain:v1")
    create_view(root, "some", ["*/path/*"], dt.date(2026, 1, 2))
    create_view(root, "none", ["nothing"], dt.date(2026, 1, 2))
    remove_view(root, "none", dt.date(2026, 1, 2))
    return root


def read(root: Path, path: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads((root / path).read_bytes())


def test_what_cstore_writes_is_valid(store: Path) -> None:
    images, layers, about = read(store, "overlay-images/images.json"), read(store, "overlay-layers/layers.json"), read(store, "cstore.json")
    assert len(images) == 4
    assert len(layers) == 3
    assert len(about["retired"]) == 1
    assert violations(IMAGES, images) == []
    assert violations(LAYERS, layers) == []
    assert violations(ABOUT, about) == []
    view = store / "views/some"
    assert violations(IMAGES, read(view, "overlay-images/images.json")) == []
    assert violations(LAYERS, read(view, "overlay-layers/layers.json")) == []
    assert violations(ABOUT, read(view, "cstore.json")) == []


def test_an_empty_index_is_valid() -> None:
    assert violations(IMAGES, []) == []
    assert violations(LAYERS, []) == []


DIGEST = f"sha256:{'0' * 64}"
ID = "1" * 64
IMAGE: dict[str, Any] = {
    "id": ID,
    "digest": DIGEST,
    "names": ["localhost/a:1"],
    "layer": ID,
    "big-data-names": [DIGEST, f"manifest-{DIGEST}", "manifest"],
    "big-data-sizes": {"manifest": 1, f"manifest-{DIGEST}": 1, DIGEST: 1},
    "big-data-digests": {"manifest": DIGEST, f"manifest-{DIGEST}": DIGEST, DIGEST: DIGEST},
    "created": "0001-01-01T00:00:00Z",
}
LAYER: dict[str, Any] = {
    "id": ID,
    "parent": "2" * 64,
    "created": "2023-11-14T22:13:20.123456789+01:00",
    "compressed-diff-digest": DIGEST,
    "compressed-size": 1,
    "diff-digest": DIGEST,
    "diff-size": 1024,
    "compression": 2,
    "uidset": [0, 1000],
    "gidset": [0],
}
STATE: dict[str, Any] = {"version": 1, "layout": "direct", "retired": {ID: "2026-01-02"}}


def test_unknown_members_are_valid() -> None:
    assert violations(IMAGES, [{**IMAGE, "x-unknown": [None]}]) == []
    assert violations(LAYERS, [{**LAYER, "x-unknown": {"a": 1}}]) == []
    assert violations(ABOUT, {**STATE, "x-unknown": 1}) == []


@pytest.mark.parametrize(
    "planted",
    [
        {"id": None},
        {"id": "1" * 63},
        {"id": "A" * 64},
        {"digest": "sha256:12"},
        {"digest": f"md5:{'0' * 32}"},
        {"digest": None},
        {"names": "localhost/a:1"},
        {"names": []},
        {"names": ["localhost/a:1", "localhost/a:1"]},
        {"names": ["debian"]},
        {"names": ["localhost/a"]},
        {"names": ["Foo/bar:1"]},
        {"names": ["registry.example.org/A:1"]},
        {"layer": ""},
        {"layer": DIGEST},
        {"metadata": ""},
        {"big-data-names": []},
        {"big-data-names": {"manifest": 1}},
        {"big-data-sizes": {"manifest": -1}},
        {"big-data-sizes": {"manifest": 1.5}},
        {"big-data-sizes": {}},
        {"big-data-digests": {"manifest": "0" * 64}},
        {"big-data-digests": None},
        {"created": None},
        {"created": ""},
        {"created": "2023-11-14 22:13:20Z"},
        {"created": "2023-11-14T22:13:20.1234567890Z"},
        {"flags": {}},
    ],
    ids=str,
)
def test_planted_violations_in_images_json_are_found(planted: dict[str, Any]) -> None:
    assert violations(IMAGES, [IMAGE]) == []
    assert violations(IMAGES, [IMAGE, _planted(IMAGE, planted)])


@pytest.mark.parametrize(
    "planted",
    [
        {"id": None},
        {"id": f"sha256:{ID}"},
        {"parent": ""},
        {"parent": 7},
        {"names": ["layer"]},
        {"mountlabel": "s0"},
        {"created": 0},
        {"compressed-diff-digest": None},
        {"compressed-diff-digest": "sha256:zz"},
        {"compressed-size": 0},
        {"diff-digest": None},
        {"diff-digest": ""},
        {"diff-size": -1},
        {"diff-size": "1024"},
        {"compression": 0},
        {"compression": "gzip"},
        {"uidset": [2**32]},
        {"uidset": [0, 0]},
        {"gidset": []},
        {"flags": {"incomplete": True}},
        {"uidmap": [{"container_id": 0, "host_id": 0, "size": 1}]},
    ],
    ids=str,
)
def test_planted_violations_in_layers_json_are_found(planted: dict[str, Any]) -> None:
    assert violations(LAYERS, [LAYER]) == []
    assert violations(LAYERS, [LAYER, _planted(LAYER, planted)])


@pytest.mark.parametrize(
    "planted",
    [
        {"version": 2},
        {"version": None},
        {"layout": "flat"},
        {"retired": None},
        {"retired": {"x": "2026-01-02"}},
        {"retired": {ID: "yesterday"}},
        {"views": {}},
        {"views": {"../x": ["*"]}},
        {"views": {"x": []}},
        {"views": {"x": "*"}},
        {"views": {"x": ["a b"]}},
        {"removed-views": {"x": "yesterday"}},
    ],
    ids=str,
)
def test_planted_violations_in_cstore_json_are_found(planted: dict[str, Any]) -> None:
    assert violations(ABOUT, STATE) == []
    assert violations(ABOUT, _planted(STATE, planted))


@pytest.mark.parametrize("value", [{}, None, "text", [None], [[]], ["text"]], ids=str)
def test_an_index_of_another_shape_is_found(value: object) -> None:
    assert violations(IMAGES, value)
    assert violations(LAYERS, value)


def _planted(record: dict[str, Any], planted: dict[str, Any]) -> dict[str, Any]:
    """Return a record with some members replaced, or left out where they are None."""
    return {key: value for key, value in {**record, **planted}.items() if value is not None}
