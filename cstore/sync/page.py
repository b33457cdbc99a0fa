"""The status page: plain HTML that needs nothing else, for people who ask when their image appears."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from html import escape
from typing import TYPE_CHECKING

from cstore.sync.status import Standing, standing, without_secrets
from cstore.verification.problem import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cstore.sync.report import ImageState
    from cstore.sync.status import Status

__all__ = ["MOST_ROWS", "POLICY", "page"]

MOST_ROWS = 1000
"""Images on the page; who looks for another one filters, or reads status.json."""
_DIGEST_SHOWN = 19

_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.45 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:72rem;overflow-wrap:anywhere}
h1{font-size:1.3rem;margin:0 0 .5rem}
p,ul,form{margin:.4rem 0}
input,button{font:inherit;max-width:100%}
table{border-collapse:collapse;width:100%;margin-top:.8rem}
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem .35rem 0;border-bottom:1px solid #8886}
td.state{font-weight:600}
th,td.state,code,time{white-space:nowrap}
.failed{color:#c62828}.behind{color:#a36200}.published{color:#2e7d32}.kept,.removed{color:#777}
code{font-size:.85em}
@media(prefers-color-scheme:dark){.failed{color:#ff8a80}.behind{color:#ffcc80}.published{color:#a5d6a7}.kept,.removed{color:#aaa}}
@media(max-width:46rem){
thead{display:none}
table,tbody,tr,td{display:block}
tr{padding:.5rem 0;border-bottom:1px solid #8886}
td{border:0;padding:.1rem 0}
td:empty{display:none}
td[data-label]::before{content:attr(data-label) ": ";color:#888}
}
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
"""The page's Content-Security-Policy: its own style, and nothing else."""


def page(status: Status, now: dt.datetime, wanted: str = "") -> bytes:
    """Return the page: failed images first, then those that wait, then the others, each kind by name.

    Args:
        status: what the watch knows.
        now: the time that it tells as the present one.
        wanted: show only images whose name contains this; empty for all.
    """
    images = [image for image in status.ordered if wanted in image.name]
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8"><title>cstore: images</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta http-equiv="refresh" content="60">',
        f"<style>{_STYLE}</style></head><body>",
        "<h1>Images</h1>",
        *_round_lines(status, now),
        *_problem_lines(status),
        f'<form method="get" action="/"><input name="name" value="{_text(wanted)}" aria-label="part of a name">',
        "<button>Filter</button></form>",
        *_table(status, images),
        '<p><a href="/status.json">status.json</a> · <a href="/metrics">metrics</a></p>',
        "</body></html>",
        "",
    ]
    return "\n".join(lines).encode("utf-8", "replace")


def _round_lines(status: Status, now: dt.datetime) -> Iterator[str]:
    counts = [(kind, sum(standing(image) is kind for image in status.images)) for kind in Standing]
    told = ", ".join(f'<span class="{kind.value}">{count} {kind.value}</span>' for kind, count in counts if count)
    yield f'<p id="counts">{told or "No round has ended yet."}</p>'
    parts = []
    revision = "" if status.revision is None else f"; newest revision {status.revision}"
    whole, partial = status.known.whole, status.known.partial
    if whole is not None:
        parts.append(f"Last round {'' if partial is None else 'over everything '}ended {_time(whole.ended)}{revision}.")
    if partial is not None:
        parts.append(f"Last round over what registries have told of ended {_time(partial.ended)}{revision if whole is None else ''}.")
    if status.running is not None:
        some = "" if status.running.only is None else " over what registries have told of"
        parts.append(f"Round {status.running.number}{some} is running since {_time(status.running.started)}.")
    if status.next_round is not None:
        parts.append(f"Next round at {_time(max(status.next_round, now))}." if status.running is None else "")
    yield f'<p id="round">{" ".join(filter(None, parts))} It is {_time(now)}.</p>'


def _problem_lines(status: Status) -> Iterator[str]:
    yield from _list("problems", "failed", [*filter(None, [status.failure]), *status.known.problems])
    yield from _list("remarks", "kept", status.known.remarks)


def _list(name: str, kind: str, told: Sequence[str]) -> Iterator[str]:
    if told:
        items = "".join(f"<li>{_text(without_secrets(said))}</li>" for said in told[:MOST_ROWS])
        yield f'<ul id="{name}" class="{kind}">{items}</ul>'


def _table(status: Status, images: list[ImageState]) -> Iterator[str]:
    if not images:
        yield "<p>No image.</p>" if status.known.latest is not None else ""
        return
    heads = "".join(f"<th>{head}</th>" for head in ("State", "Image", "Published", "Digest", "In the registry"))
    yield f'<table id="images"><thead><tr>{heads}</tr></thead><tbody>'
    several = len({image.platform for image in status.images}) > 1
    yield from (_row(image, several_platforms=several) for image in images[:MOST_ROWS])
    yield "</tbody></table>"
    if len(images) > MOST_ROWS:
        yield f"<p>{len(images) - MOST_ROWS} more: filter them, or read status.json.</p>"


def _row(image: ImageState, *, several_platforms: bool) -> str:
    stand = standing(image).value
    published = " ".join(filter(None, (_time(image.published), "" if image.revision is None else f"in revision {image.revision}")))
    platform = f" <small>{_text(image.platform)}</small>" if several_platforms else ""
    error = f'<div class="failed">{_text(without_secrets(image.error))}</div>' if image.error else ""
    differs = image.registry_digest if image.registry_digest != image.published_digest else None
    cells = [
        f'<td class="state {stand}">{stand}</td>',
        f"<td>{_text(image.name)}{platform}{error}</td>",
        _cell("published", published),
        _cell("digest", _digest(image.published_digest)),
        _cell("in the registry", _digest(differs)),
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _cell(label: str, html: str) -> str:
    return f'<td data-label="{label}">{html}</td>' if html else "<td></td>"


def _digest(digest: str | None) -> str:
    return f'<code title="{_text(digest)}">{_text(digest[:_DIGEST_SHOWN])}</code>' if digest else ""


def _time(time: dt.datetime | None) -> str:
    return "" if time is None else f"<time>{time.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC</time>"


def _text(text: str) -> str:
    return escape(printable(text), quote=True)
