"""What rounds may have come to, as real values for tests of what is told of them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from attrs import evolve

from cstore.sync.report import ImageState, Outcome, RoundReport

START = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
END = START + dt.timedelta(seconds=75)
OLD, NEW = (f"sha256:{digit * 64}" for digit in "ab")

CURRENT = ImageState(
    name="registry.example.org/atlas/analysis:v1",
    platform="linux/amd64",
    wish="registry.example.org/atlas/analysis:*",
    outcome=Outcome.ADDED,
    registry_digest=NEW,
    published_digest=NEW,
    revision=17,
    published=END,
)
BEHIND = evolve(CURRENT, name="registry.example.org/atlas/analysis:v2", outcome=Outcome.UNCHANGED, published_digest=OLD, revision=16)
FAILED = evolve(
    CURRENT,
    name="registry.example.org/atlas/broken:v1",
    outcome=Outcome.FAILED,
    published_digest=None,
    revision=None,
    published=None,
    error="https://user:word@registry.example.org/v2/blobs?X-Signature=secret: expected 200, found 404",
)
KEPT = evolve(CURRENT, name="registry.example.org/old:v1", wish="", outcome=Outcome.KEPT, registry_digest=None)
REMOVED = evolve(CURRENT, name="registry.example.org/old:v2", wish="", outcome=Outcome.REMOVED, published_digest=None, revision=None)
IMAGES = (CURRENT, BEHIND, FAILED, KEPT, REMOVED)
SECRETS = ("user", "word", "X-Signature", "secret")


def report(**changed: Any) -> RoundReport:  # noqa: ANN401 - members of a report
    """Return a report of a first round with all kinds of images, some members changed."""
    values: dict[str, Any] = {
        "number": 1,
        "started": START,
        "ended": END,
        "images": IMAGES,
        "problems": ("https://user:word@registry.example.org/v2/atlas/tags/list?n=secret: expected a list, found 503",),
        "revision": 17,
        "changed": True,
        "layers": 3,
        "bytes_fetched": 1000,
        "bytes_streamed": 5000,
        "requests": 12,
        "seconds": {"expand": 1.0, "look": 2.5, "fetch": 60.0, "publish": 11.23456},
    }
    return RoundReport(**{**values, **changed})
