"""Verbs on stores and sources of somebody else, who has planted what leads out of them: under strace nothing outside is opened.

Each planted store is a copy of a sound one that belongs to a user; root calls all verbs on it, one after the other. TRACED=all tries all
kinds at all places, and not just the first ones.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cstore.publish.batch import publishing
from tests.cli.program import call
from tests.images import write_layout
from tests.publish.stores import DAY, IMAGES, NEW, OLD, TOOL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root is led by others' files to what they cannot read"),
    pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace"),
]

USER = 12345
ROOT = Path(__file__).parents[2]
CALLS = (
    "?open,?openat,?openat2,?open_by_handle_at,?creat,?execve,?getxattr,?chmod,?fchmodat,?fchmodat2,?chown,?lchown,?fchownat,"
    "?truncate,?ftruncate,?pwrite64,?rename,?renameat,?renameat2,?link,?linkat,?symlink,?symlinkat,?unlink,?unlinkat,?mkdir,"
    "?mkdirat,?rmdir,?mknod,?mknodat,?setxattr,?lsetxattr,?removexattr,?lremovexattr,?utime,?utimes,?futimesat,?utimensat"
)
"""All that opens or changes a file, on any kind of machine; asking what a file is, which is half of all calls, opens nothing."""
OPENED = re.compile(r"= \d+<([^>]*?)(?:\(deleted\))?>")
BELOW = re.compile(r"\b(?:\d+|AT_FDCWD)<([^>]*)>")
CHANGES = re.compile(r"^\d+ +(?:unlink|rename|link|symlink|mkdir|rmdir|chmod|fchmod|chown|lchown|fchown|mknod|truncate|setxattr|utime)")
PATIENCE = 300
"""Seconds for all calls together: far more than they take, far less than a fifo is waited for."""

PLACES = (
    "cstore.json",
    "overlay",
    "overlay/l",
    "overlay/l/LINK",
    "overlay/LAYER",
    "overlay/LAYER/link",
    "overlay/LAYER/lower",
    "overlay/LAYER/lower-layers",
    "overlay/LAYER/diff",
    "overlay-layers",
    "overlay-layers/layers.json",
    "overlay-layers/layers.lock",
    "overlay-layers/LAYER.tar-split.gz",
    "overlay-images",
    "overlay-images/images.json",
    "overlay-images/images.lock",
    "overlay-images/IMAGE",
    "overlay-images/IMAGE/manifest",
    "overlay-containers",
    "overlay-containers/containers.json",
    "overlay-images/.cstore-aside-new",
    "overlay-layers/.cstore-aside-old",
    "overlay/.cstore-aside-new",
    "views",
    "views/all",
    "views/all/overlay-images",
    "views/all/overlay-images/images.json",
    ".cstore-work",
    ".cstore-work/lock",
    ".cstore-work/journal",
)
SOURCES = ("oci-layout", "index.json", "blobs", "blobs/sha256", "blobs/sha256/CONFIG", "blobs/sha256/BLOB")
DRIVER = """
import sys
from tests.cli.program import call
for line in sys.stdin:
    done = call(*line.rstrip("\\n").split("\\t"))
    print(line.rstrip("\\n"), done.code, "Traceback" in done.err, sep="\\t", flush=True)
"""


def huge(place: Path) -> None:
    with place.open("wb") as file:
        file.truncate(1 << 42)


def leads(target: str) -> Callable[[Path], object]:
    return lambda place: place.symlink_to(target)


KINDS: dict[str, Callable[[Path], object]] = {
    "a symlink out": lambda place: place.symlink_to(_ground(place) / "outside" / _inner(place)),
    "a fifo": os.mkfifo,
    "a symlink to a file of the process": leads("/proc/self/environ"),
    "a symlink to an endless device": leads("/dev/zero"),
    "a symlink upwards": leads("../" * 40 + "etc/shadow"),
    "a huge file": huge,
}
FIRST = ("a symlink out", "a fifo")


def _ground(place: Path) -> Path:
    return next(above for above in place.parents if above.name == "ground")


def _inner(place: Path) -> str:
    """Return which canary fits a place: a directory with the same names in it, or a file."""
    is_file = "." in place.name.lstrip(".") or place.name in ("link", "lower", "lower-layers", "manifest", "lock", "journal")
    return "file" if is_file else "room"


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of root's with a sound store of a user's, sources, and what is outside."""
    place = tmp_path_factory.mktemp("traced") / "ground"
    place.mkdir(mode=0o755)
    write_layout(place / "source", IMAGES)
    with publishing(place / "sound", today=DAY) as batch:
        batch.add(f"oci:{place}/source:old", name=OLD)
        batch.add(f"oci:{place}/source:new", name=NEW)
    with publishing(place / "sound", today=DAY) as batch:
        batch.remove(NEW)
    assert call("view", "create", place / "sound", "all", "--match", "*").code == 0
    shutil.copytree(place / "sound", place / "outside/room", symlinks=True, copy_function=_copied)
    for inner in ("overlay-images", "overlay-layers", "overlay"):
        for found in (place / "outside/room" / inner).iterdir():
            if not (place / "outside/room" / found.name).exists():
                found.rename(place / "outside/room" / found.name)
    shutil.copy(place / "sound/overlay-images/images.json", place / "outside/file")
    return place


def _copied(source: str, target: str) -> str:
    status = os.lstat(source)
    if stat.S_ISREG(status.st_mode):
        return str(shutil.copy2(source, target))
    os.mknod(target, status.st_mode, status.st_rdev)
    return target


def snapshot(top: Path) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for place in [top, *sorted(top.rglob("*"))]:
        status = place.lstat()
        content = place.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        found[str(place)] = (status.st_mode, status.st_uid, status.st_nlink, status.st_mtime_ns, status.st_ctime_ns, content)
    return found


def planted(ground: Path) -> Iterator[tuple[str, Path, Path]]:
    """Yield each planted store with its name and a sound source, then each planted source with a store that is still to be made."""
    is_all = os.environ.get("TRACED") == "all"
    kinds = KINDS if is_all else FIRST
    sound = ground / "sound"
    image = next(place.name for place in (sound / "overlay-images").iterdir() if place.is_dir())
    layer = next(place.name for place in (sound / "overlay").iterdir() if (place / "lower").exists())
    names = {"IMAGE": image, "LAYER": layer, "LINK": (sound / "overlay" / layer / "link").read_text()}
    blobs = {"CONFIG": IMAGES["tool"].id, "BLOB": IMAGES["tool"].manifest["layers"][0]["digest"].partition(":")[2]}
    pairs = [(kind, path) for kind in kinds for path in PLACES if is_all or kind != "a fifo" or _inner(Path(path)) == "file"]
    for number, (kind, path) in enumerate(pairs):
        root = ground / f"store{number}"
        shutil.copytree(sound, root, symlinks=True, copy_function=_copied)
        _plant(root / _named(path, names), kind)
        for place in [root, *root.rglob("*")]:
            os.chown(place, USER, USER, follow_symlinks=False)
        yield f"{kind} at {path}", root, ground / "source"
    for number, (kind, path) in enumerate((kind, path) for kind in kinds for path in SOURCES):
        source = ground / f"source{number}"
        shutil.copytree(ground / "source", source)
        _plant(source / _named(path, blobs), kind)
        yield f"{kind} at {path} of the source", ground / f"new{number}", source


def _named(path: str, names: dict[str, str]) -> str:
    for word, name in names.items():
        path = path.replace(word, name)
    return path


def _plant(place: Path, kind: str) -> None:
    if place.is_symlink() or place.is_file():
        place.unlink()
    elif place.exists():
        shutil.rmtree(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    KINDS[kind](place)


def calls(store: Path, source: Path) -> list[tuple[str, ...]]:
    """Return the calls of all verbs on a store, those that only read first."""
    root = str(store)
    return [
        ("list", root),
        ("inspect", root, OLD),
        ("diff", root, str(store.parent / "sound")),
        ("verify", root, "--deep"),
        ("view", "list", root),
        ("tag", root, OLD, "localhost/other:1"),
        ("view", "create", root, "new", "--match", "*"),
        ("view", "remove", root, "all"),
        ("add", root, f"oci:{source}:tool", "--name", TOOL),
        ("remove", root, "localhost/other:1"),
        ("prune", root, "--grace", "0d"),
        ("repair", root, "--grace", "0d"),
        ("adopt", f"{root}-adopted", "--from", root),
    ]


def outside_of(line: str, ground: Path) -> str:
    """Return what a line of the trace opens, or changes, that is none of the store's business; empty where nothing."""
    outside = (f"{ground}/outside", "/proc/self/environ", "/dev/zero", "/etc/shadow", "/etc/passwd")
    opened = OPENED.search(line)
    if opened and (opened[1].startswith(outside) or re.fullmatch(r"/proc/\d+/environ", opened[1])):
        return line
    touched = any(place.startswith(outside) for place in BELOW.findall(line))
    return line if touched or (CHANGES.match(line) and f'"{ground}/outside' in line) else ""


def test_nothing_outside_is_opened_or_changed_and_nothing_is_waited_for(ground: Path) -> None:
    cases = list(planted(ground))
    before = snapshot(ground / "outside")
    lines = ["\t".join(words) for _, store, source in cases for words in calls(store, source)]
    log = ground.parent / "trace"
    command = ["strace", "-f", "--seccomp-bpf", "-qq", "-y", "-s", "4096", "-o", str(log), "-e", f"trace={CALLS}"]
    done = subprocess.run(
        [*command, sys.executable, "-c", DRIVER],
        cwd=ROOT,
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    ended = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(ended) == len(lines), done.stderr[-2000:]
    assert [line for line in ended if line[-2] not in ("0", "1", "3") or line[-1] != "False"] == []
    assert snapshot(ground / "outside") == before
    trace = log.read_text(errors="replace").splitlines()
    assert len(trace) > 10 * len(lines)
    assert [found for line in trace if (found := outside_of(line, ground))] == []


def test_the_trace_would_tell(ground: Path) -> None:
    log = ground.parent / "told"
    command = ["strace", "-f", "--seccomp-bpf", "-qq", "-y", "-o", str(log), "-e", f"trace={CALLS}"]
    (ground / "leads").symlink_to("outside")
    subprocess.run([*command, "cat", str(ground / "leads/file")], check=True, capture_output=True)
    assert any(outside_of(line, ground) for line in log.read_text().splitlines())
