"""`cstore watch` as a process of its own: real signals, a real supervisor's socket, a real port."""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from attrs import define

from cstore.cli.watch import command, interval
from tests.sync.schemas import violations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "tools/systemd/cstore-watch.service"
PATIENCE = 30.0


@define
class Watching:
    """A watch that runs."""

    process: subprocess.Popen[str]
    file: Path

    @property
    def rounds(self) -> list[str]:
        return self.file.read_text().splitlines() if self.file.exists() else []

    def until(self, line: str) -> None:
        """Wait until a round has written a line."""
        end = time.monotonic() + PATIENCE
        while line not in self.rounds:
            assert time.monotonic() < end, self.rounds
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.01)

    def waits(self) -> None:
        """Let rounds wait."""
        self.file.with_suffix(".wait").touch()

    def goes_on(self) -> None:
        """Let rounds wait no more."""
        self.file.with_suffix(".wait").unlink()

    def kill(self, number: int) -> None:
        self.process.send_signal(number)

    def ended(self) -> tuple[int, str]:
        """Return how it ended, and what it said."""
        said = self.process.communicate(timeout=PATIENCE)[1]
        return self.process.returncode, said


@contextmanager
def watching(path: Path, plan: str, *options: str, wait: bool = False, environment: Mapping[str, str] | None = None) -> Iterator[Watching]:
    """Start a watch; at the end it is ended, if it still runs."""
    (path / "wishlist").write_text("first")
    file = path / "rounds"
    program = ["env", "--default-signal=INT", sys.executable, "-m", "tests.sync.following"]
    command = [*program, str(file), plan, str(path / "wishlist"), *options]
    clean = {name: value for name, value in os.environ.items() if name not in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "CSTORE_NOTIFY_SECRET")}
    if wait:
        file.with_suffix(".wait").touch()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env={**clean, **(environment or {})}
    ) as process:
        try:
            yield Watching(process, file)
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_after_the_running_publish(tmp_path: Path, number: int) -> None:
    with watching(tmp_path, "w", wait=True) as run:
        run.until("1 all first")
        run.kill(number)
        time.sleep(0.2)
        assert run.process.poll() is None
        run.goes_on()
        assert run.ended() == (0, "round 1: 1 unchanged; nothing new\n")
        assert run.rounds == ["1 all first", "1 ended"]


def test_a_round_that_still_fetches_ends_at_once(tmp_path: Path) -> None:
    with watching(tmp_path, "d", wait=True) as run:
        run.until("1 all first")
        run.kill(signal.SIGTERM)
        assert run.ended() == (0, "round 1: ended before it published anything, as was asked\n")
        assert run.rounds == ["1 all first"]


def test_a_second_signal_ends_at_once_and_lets_undo(tmp_path: Path) -> None:
    with watching(tmp_path, "w", wait=True) as run:
        run.until("1 all first")
        run.kill(signal.SIGTERM)
        time.sleep(0.2)
        run.kill(signal.SIGTERM)
        code, said = run.ended()
        assert (code, said.strip()) == (130, "cstore: interrupted")
        assert run.rounds == ["1 all first", "undone"]


def test_a_signal_while_it_waits_ends_at_once(tmp_path: Path) -> None:
    with watching(tmp_path, ".", "--every", "1h") as run:
        run.until("1 ended")
        time.sleep(0.1)
        run.kill(signal.SIGTERM)
        assert run.ended()[0] == 0


def test_it_waits_without_work(tmp_path: Path) -> None:
    with watching(tmp_path, ".", "--every", "1h", "--listen", "127.0.0.1:0") as run:
        run.until("1 ended")
        time.sleep(0.3)
        before = processor_time(run.process.pid)
        time.sleep(1.5)
        assert processor_time(run.process.pid) - before <= 0.05
        run.kill(signal.SIGTERM)
        assert run.ended()[0] == 0


def processor_time(process: int) -> float:
    """Return the seconds of processor time that a process has had."""
    parts = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def test_sighup_reads_the_wishlist_again_and_opens_the_events_anew(tmp_path: Path) -> None:
    with watching(tmp_path, ".f.", "--every", "1h", "--events", f"{tmp_path}/events") as run:
        run.until("1 ended")
        for number, word in enumerate(("second", "third"), start=2):
            (tmp_path / "wishlist").write_text(word)
            (tmp_path / "events").rename(tmp_path / f"events.{number}")
            run.kill(signal.SIGHUP)
            run.until(f"{number} all {word}")
        run.until("3 ended")
        run.kill(signal.SIGTERM)
        code, said = run.ended()
    assert code == 0
    assert "round 2 failed: registry.example.org: expected a registry,\\nfound \\x1b[31mnone\n" in said
    told = [json.loads(line) for name in ("events.2", "events.3", "events") for line in (tmp_path / name).read_text().splitlines()]
    assert [violation for event in told for violation in violations("events", event)] == []
    assert [event["event"] for event in told] == [
        *("round-started", "round-ended", "round-started", "round-failed", "round-started", "round-ended")
    ]


def test_rounds_come_at_the_interval_and_events_on_standard_output(tmp_path: Path) -> None:
    with watching(tmp_path, ".", "--every", "1s", "--events", "-") as run:
        run.until("3 all first")
        run.kill(signal.SIGTERM)
        out, _ = run.process.communicate(timeout=PATIENCE)
    assert [json.loads(line)["event"] for line in out.splitlines()][:4] == ["round-started", "round-ended"] * 2


def test_systemd_is_told(tmp_path: Path) -> None:
    """Spec Y16."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.bind(f"{tmp_path}/notify")
        link.settimeout(PATIENCE)
        variables = {"NOTIFY_SOCKET": f"{tmp_path}/notify", "WATCHDOG_USEC": "800000"}
        with watching(tmp_path, ".w", "--every", "1h", wait=True, environment=variables) as run:
            told = [link.recv(4096).decode() for _ in range(6)]
            assert re.fullmatch(r"READY=1\nSTATUS=round 1 since \S+Z", told[0])
            assert re.fullmatch(r"STATUS=images: 1 published; next round at \S+Z", told[1])
            assert told[2:] == ["WATCHDOG=1"] * 4
            run.kill(signal.SIGHUP)
            while (message := link.recv(4096).decode()) == "WATCHDOG=1":
                pass
            assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=[0-9]+", message)
            assert re.fullmatch(r"READY=1\nSTATUS=round 2 since \S+Z", link.recv(4096).decode())
            assert [link.recv(4096).decode() for _ in range(4)] == ["WATCHDOG=1"] * 4
            run.kill(signal.SIGTERM)
            while (message := link.recv(4096).decode()) == "WATCHDOG=1":
                pass
            assert message == "STOPPING=1\nSTATUS=ends after the running publish"
            run.goes_on()
            assert run.ended()[0] == 0


def test_a_watchdog_for_another_process_is_none(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.bind(f"{tmp_path}/notify")
        link.settimeout(PATIENCE)
        variables = {"NOTIFY_SOCKET": f"{tmp_path}/notify", "WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}
        with watching(tmp_path, ".", "--every", "1h", environment=variables):
            assert [link.recv(4096).partition(b"=")[0] for _ in range(2)] == [b"READY", b"STATUS"]
            link.settimeout(1.0)
            with pytest.raises(TimeoutError):
                link.recv(4096)


def test_the_port_that_was_chosen_is_told_and_notifications_start_rounds(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a-secret\n")
    options = ("--every", "1h", "--listen", "127.0.0.1:0", "--notify-secret-file", f"{tmp_path}/secret")
    with watching(tmp_path, ".", *options, environment={"CSTORE_NOTIFY_SECRET": "another"}) as run:
        assert run.process.stderr is not None
        told = re.fullmatch(r"status page at http://127\.0\.0\.1:([0-9]+)/\n", run.process.stderr.readline())
        assert told is not None
        run.until("1 ended")
        body = {"events": [{"action": "push", "target": {"repository": "a", "tag": "1"}, "request": {"host": "registry.example.org"}}]}
        connection = http.client.HTTPConnection("127.0.0.1", int(told[1]), timeout=PATIENCE)
        connection.request("POST", "/notify", json.dumps(body), {"Authorization": "Bearer a-secret"})
        assert connection.getresponse().status == 202
        connection.close()
        run.until("2 registry.example.org/a:1 first")
        connection.request("GET", "/status.json")
        assert violations("status", json.loads(connection.getresponse().read())) == []
        connection.close()
        run.kill(signal.SIGTERM)
        assert run.ended()[0] == 0


@pytest.mark.parametrize(
    ("options", "environment", "code", "said"),
    [
        (("--listen", "9090"), {}, 2, "--listen': expected ADDRESS:PORT"),
        (("--listen", "203.0.113.1:80"), {}, 3, "cstore: 203.0.113.1:80: expected to listen there, found: "),
        (("--events", "/none/events"), {}, 3, "cstore: /none/events: expected a file to write events to, found: No such file"),
        (("--notify-secret-file", "/dev/null"), {}, 2, "Error: --notify-secret-file is for notifications, which take --listen"),
        (
            ("--listen", "127.0.0.1:0", "--notify-secret-file", "/dev/null"),
            {},
            3,
            "cstore: /dev/null: expected a secret of one line, found 0",
        ),
        (
            ("--listen", "127.0.0.1:0", "--notify-secret-file", "/dev/zero"),
            {},
            3,
            "cstore: /dev/zero: expected a secret of one line, found",
        ),
        (
            ("--listen", "127.0.0.1:0", "--notify-secret-file", "/none"),
            {},
            3,
            "cstore: /none: expected a file with a secret, found: No such",
        ),
        (("--listen", "127.0.0.1:0"), {"CSTORE_NOTIFY_SECRET": " "}, 3, "cstore: CSTORE_NOTIFY_SECRET: expected a secret of one line"),
        ((), {"NOTIFY_SOCKET": "vsock:2:1"}, 3, 'cstore: NOTIFY_SOCKET: expected a path or @NAME, found "vsock:2:1"'),
        (("--every", "0s"), {}, 2, "expected a number of seconds, minutes or hours such as 30s, 10m or 1h, found"),
    ],
)
def test_what_cannot_begin_is_told(tmp_path: Path, options: tuple[str, ...], environment: dict[str, str], code: int, said: str) -> None:
    with watching(tmp_path, ".", *options, environment=environment) as run:
        ended = run.ended()
        assert (ended[0], said in ended[1], "Traceback" in ended[1], run.rounds) == (code, True, False, [])


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("10m", 600), ("1h", 3600), ("999999h", 3599996400)])
def test_intervals(text: str, seconds: int) -> None:
    assert interval(None, None, text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "0m", "-1s", "1.5h", "1d", "10 m", "\u0663m", "9999999s"])
def test_what_is_no_interval(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r'such as 30s, 10m or 1h, found "'):
        interval(None, None, text)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd")
def test_systemd_takes_the_unit() -> None:
    done = subprocess.run(["systemd-analyze", "verify", UNIT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, [line for line in done.stderr.splitlines() if UNIT.name in line]) == (0, "", [])


def test_the_variables_of_the_unit_are_those_of_its_example() -> None:
    readme = (UNIT.parent / "README.md").read_text()
    example = dict(line.split("=", 1) for line in re.findall(r"^[A-Z_]+=.*$", readme, re.MULTILINE))
    unit = UNIT.read_text()
    (started,) = re.findall(r"^ExecStart=/usr/bin/env cstore (watch .*)$", unit, re.MULTILINE)
    used = set(re.findall(r"\$(\w+)", started))
    assert used <= set(example)
    assert "EnvironmentFile=/etc/cstore/watch.env" in unit
    assert "`/etc/cstore/watch.env`" in readme
    words = shlex.split(re.sub(r"\$(\w+)", lambda match: example[match[1]], started))
    taken = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= taken
    source = "".join(path.read_text() for path in (ROOT / "cstore").rglob("*.py"))
    assert [name for name in example if name not in used and name not in source] == []
