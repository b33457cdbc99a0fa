"""Fuzzes one target with atheris, guided by the coverage of cstore.

    python -m tools.fuzz TARGET [--seconds N] [--corpus DIRECTORY] [--keep]

It begins with the seeds, with the kept corpus, and with what is in DIRECTORY, to which it adds what it comes to know. An input that
breaks a promise is written to the directory it was started in, and ends the run; it becomes a file with a name of its own in
`tests/fuzz/findings/TARGET`. With `--keep` nothing is fuzzed: of all that is known, the small inputs that cover as much become the kept
corpus, `tests/fuzz/corpus/TARGET.zip`, which the tests read again. libFuzzer prints executions and coverage. Needs the group `fuzz`
of pyproject.toml.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["cstore"], enable_loader_override=False):
    from tools.fuzz.targets import TARGETS

from tools.fuzz.kept import keep, kept
from tools.fuzz.seeds import seeds

_LONGEST = {"layer": 12000, "archive": 24000}
_MEGABYTES = 1500


def main() -> None:
    """Run the command line."""
    asked = _asked()
    memory = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as made:
        scratch = Path(made)
        corpus = Path(asked.corpus or scratch / "corpus")
        corpus.mkdir(parents=True, exist_ok=True)
        for name in ("seeds", "place"):
            (scratch / name).mkdir()
        for data in [*seeds(asked.target, scratch / "seeds"), *kept(asked.target).values()]:
            (corpus / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
        if asked.keep:
            keep(asked.target, [place.read_bytes() for place in corpus.iterdir()], TARGETS[asked.target], scratch / "place")
            return
        target, place = TARGETS[asked.target], scratch / "place"
        options = [f"-max_len={_LONGEST.get(asked.target, 4096)}", f"-rss_limit_mb={_MEGABYTES}", "-timeout=20", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *options, f"-max_total_time={asked.seconds}", str(corpus)], lambda data: target(data, place))
        atheris.Fuzz()


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fuzz one target.")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus")
    parser.add_argument("--keep", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
