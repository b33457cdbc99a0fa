"""The status page: its HTML, and what it looks like in a real browser."""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import subprocess
import threading
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st

from cstore.sync.page import MOST_ROWS, POLICY, page
from cstore.sync.report import Outcome
from cstore.sync.status import Status
from tests.sync.png import Png
from tests.sync.reports import BEHIND, CURRENT, END, FAILED, IMAGES, SECRETS, START, report

if TYPE_CHECKING:
    from collections.abc import Iterator

LATER = START + dt.timedelta(minutes=10)
STATUS = Status(begun=START).begin(1, START, None, LATER).end(report())
PICTURE = Path(__file__).with_name("status.png")
WIDE, NARROW, KEPT = 1000, 390, 900
EVERYTHING_FITS = 60_000
"""Bytes of the picture that is kept."""


@define
class Read(HTMLParser):
    """What a page holds: its tags, its texts, and the cells of its table by row."""

    tags: list[str] = field(factory=list)
    texts: list[str] = field(factory=list)
    rows: list[list[str]] = field(factory=list)
    opened: list[str] = field(factory=list)

    def __attrs_pre_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not [name for name, _ in attrs if name.startswith("on") or name in ("src", "style")]
        self.tags.append(tag)
        if tag not in ("meta", "input"):
            self.opened.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if "td" in self.opened:
            self.rows[-1][-1] += data


def read(html: bytes) -> Read:
    reader = Read()
    reader.feed(html.decode())
    reader.close()
    assert reader.opened == []
    return reader


def test_each_image_has_a_row_and_failed_ones_come_first() -> None:
    rows = read(page(STATUS, END)).rows[1:]
    assert [row[:2] for row in rows] == [
        ["failed", "registry.example.org/atlas/broken:v1https://registry.example.org/v2/blobs: expected 200, found 404"],
        ["behind", "registry.example.org/atlas/analysis:v2"],
        ["published", "registry.example.org/atlas/analysis:v1"],
        ["kept", "registry.example.org/old:v1"],
        ["removed", "registry.example.org/old:v2"],
    ]
    assert rows[1][2:] == ["2026-11-24 12:01:15 UTC in revision 16", "sha256:aaaaaaaaaaaa", "sha256:bbbbbbbbbbbb"]
    assert rows[2][2:] == ["2026-11-24 12:01:15 UTC in revision 17", "sha256:bbbbbbbbbbbb", ""]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (Status(begun=START), "No round has ended yet."),
        (
            Status(begun=START).begin(1, START, None, LATER),
            "Round 1 is running since 2026-11-24 12:00:00 UTC. It is 2026-11-24 12:01:15 UTC.",
        ),
        (STATUS, "Last round ended 2026-11-24 12:01:15 UTC; newest revision 17. Next round at 2026-11-24 12:10:00 UTC."),
        (STATUS.begin(2, END, {"a"}, LATER), "Round 2 over what registries have told of is running since 2026-11-24 12:01:15 UTC."),
        (STATUS.begin(2, END, None, LATER).fail("no wishlist", END), "a round failed at 2026-11-24T12:01:15Z: no wishlist"),
        (STATUS.end(report(only=frozenset("a"))), "Last round over what registries have told of ended 2026-11-24 12:01:15 UTC."),
        (STATUS, "https://registry.example.org/v2/atlas/tags/list: expected a list, found 503"),
        (STATUS, "1 failed, 1 behind, 1 published, 1 kept, 1 removed"),
        (STATUS.end(report(images=())), "No image."),
        (STATUS.end(report(remarks=("wishes.yaml:3:5: a <b> takes nothing",))), "wishes.yaml:3:5: a <b> takes nothing"),
    ],
)
def test_what_is_told_above(status: Status, expected: str) -> None:
    assert expected in "".join(read(page(status, END)).texts)


def test_names_and_errors_are_text_only() -> None:
    hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;\x1b\u202e\ud800"
    image = evolve(
        FAILED, name=hostile, error=hostile, platform=hostile, registry_digest=hostile, published_digest=f"{hostile}2", wish=hostile
    )
    status = Status(begun=START).end(report(images=(image, CURRENT), problems=(hostile,), remarks=(hostile,))).fail(hostile, END)
    html = page(status, END, hostile[:8])
    read_page = read(html)
    assert {"script", "img"} & set(read_page.tags) == set()
    assert read_page.rows[1][1].startswith("<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;\\x1b\\u202e\\ud800")


@given(st.text(max_size=40))
def test_any_name_makes_a_sound_page(text: str) -> None:
    status = Status(begun=START).end(report(images=(evolve(CURRENT, name=text, error=text),)))
    assert len(read(page(status, END)).rows) == 2
    assert read(page(status, END, text)).opened == []


def test_nothing_else_is_loaded_and_nothing_can_be() -> None:
    html = page(STATUS, END).decode()
    assert re.findall(r"(?:href|action)=\"([^\"]*)\"", html) == ["/", "/status.json", "/metrics"]
    assert "script" not in html
    assert POLICY.startswith("default-src 'none'; style-src 'sha256-")


def test_secrets_of_urls_are_not_shown() -> None:
    """Spec Y12."""
    assert [word for word in SECRETS if word.encode() in page(STATUS, END)] == []


def test_a_part_of_a_name_filters() -> None:
    assert [row[1] for row in read(page(STATUS, END, "analysis")).rows[1:]] == [BEHIND.name, CURRENT.name]
    assert read(page(STATUS, END, "nothing")).rows == []


def test_a_big_wishlist_makes_no_big_page() -> None:
    images = tuple(evolve(CURRENT, name=f"{CURRENT.name}.{place:05}") for place in range(MOST_ROWS + 5))
    html = page(Status(begun=START).end(report(images=(*images, FAILED))), END)
    assert read(html).rows[1][0] == "failed"
    assert len(read(html).rows) == MOST_ROWS + 1
    assert "6 more: filter them, or read status.json." in read(html).texts
    assert len(html) < 700_000


def test_the_platform_is_told_where_there_are_several() -> None:
    arm = evolve(CURRENT, platform="linux/arm64")
    assert [row[1][-11:] for row in read(page(Status(begun=START).end(report(images=(CURRENT, arm))), END)).rows[1:]] == [
        "linux/amd64",
        "linux/arm64",
    ]


# What follows needs a browser.

BROWSER = shutil.which("chromium-headless-shell") or shutil.which("chromium")
LONG = evolve(
    FAILED,
    name="registry.example.org/a-group-with-a-long-name/a-project-with-a-longer-name/image:2026.11.24-nightly-0123456789abcdef",
    error="registry.example.org: " + "averylongwordwithoutanyblank" * 6,
)
SHOWN = (
    Status(begun=START)
    .begin(1, START, None, LATER)
    .end(
        report(
            images=(
                *IMAGES,
                LONG,
                *(evolve(CURRENT, name=f"{CURRENT.name[:-1]}{place}", outcome=Outcome.UNCHANGED) for place in range(3, 9)),
            )
        )
    )
)


class _Served(BaseHTTPRequestHandler):
    """The page as the watch serves it, policy and all; its measures are asked of the browser by a page of the test that frames it."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Security-Policy", POLICY)
        self.end_headers()
        self.wfile.write(page(SHOWN if self.path == "/" else STATUS, END))

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Served) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def browse(home: Path, *arguments: str) -> bytes:
    """Call the browser, of which Debian has a smaller package without windows; it must need nothing but the page."""
    assert BROWSER is not None
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--no-first-run",
        "--disable-lcd-text",
        f"--user-data-dir={home}",
    ]
    environment = {**os.environ, "HOME": str(home)}
    return subprocess.run([BROWSER, *options, *arguments], capture_output=True, check=True, timeout=120, env=environment).stdout


needs_browser = pytest.mark.skipif(BROWSER is None, reason="there is no chromium")


@needs_browser
def test_a_browser_takes_the_page_for_what_it_is(tmp_path: Path, served: str) -> None:
    dumped = read(browse(tmp_path, "--dump-dom", served))
    made = read(page(SHOWN, END))
    assert dumped.rows == [["".join(cell) for cell in row] for row in made.rows]
    assert len(dumped.rows) == len(SHOWN.images) + 1


@needs_browser
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_browser_shows_the_page_within_its_width(tmp_path: Path, served: str, width: int) -> None:
    """A browser makes a picture wider or not, but what is too wide for it runs into its right margin, which must be empty."""
    browse(tmp_path, f"--screenshot={tmp_path / 'page.png'}", f"--window-size={width},1500", served)
    picture = Png.read(tmp_path / "page.png")
    assert (picture.width, picture.height) == (width, 1500)
    assert len(picture.colours) > 20
    assert picture.is_one_colour(columns=range(width - 8, width))
    assert not picture.is_one_colour(columns=range(8, width // 2))
    assert any(red > blue + 60 and red > green + 60 for red, green, blue in picture.colours)


@needs_browser
def test_the_picture_that_is_kept_is_one_of_the_page(tmp_path: Path, served: str) -> None:
    """STATUS_PICTURE=new makes it again."""
    if os.environ.get("STATUS_PICTURE"):
        browse(tmp_path, f"--screenshot={PICTURE}", f"--window-size={KEPT},480", f"{served}five")
    kept = Png.read(PICTURE)
    assert PICTURE.stat().st_size < EVERYTHING_FITS
    assert (kept.width, len(kept.colours) > 20) == (KEPT, True)
