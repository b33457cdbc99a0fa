"""A program that is run, fed and understood, whatever it is."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from cstore.errors import PublishError
from cstore.publish.program import BusyError, answer, running, wait_for_reader, wide_pipe
from cstore.publish.writer import write_all

CALL = "cvmfs_server publish r"


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def test_it_runs_while_the_body_does() -> None:
    with running(shell("exit 0"), CALL) as process:
        assert process.pid > 0
    assert process.returncode == 0


def test_it_runs_outside_of_this_session_at_the_top() -> None:
    assert answer(shell("pwd; ps -o sid= -p $$"), CALL).split() != ["/", str(os.getsid(0))]
    assert answer(shell("pwd"), CALL) == "/\n"


def test_what_it_says_on_both_outputs_is_answered() -> None:
    assert answer(shell("echo one; echo two >&2"), CALL).split() == ["one", "two"]
    with pytest.raises(PublishError, match=r"^cvmfs_server publish r: expected it to publish, found exit code 3: one$"):
        answer(shell("echo one; exit 3"), CALL)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 5", "expected it to publish, found exit code 5: it said nothing"),
        ("echo a; echo b; exit 1", "expected it to publish, found exit code 1: a b"),
        (f"echo {'x' * 500}y; exit 1", f"expected it to publish, found exit code 1: {'x' * 399}y"),
        ("kill -9 $$", "expected it to publish, found exit code -9: it said nothing"),
    ],
)
def test_it_says_why_it_failed(script: str, said: str) -> None:
    with pytest.raises(PublishError) as raised, running(shell(script), CALL):
        pass
    assert str(raised.value) == f"{CALL}: {said}"
    assert not isinstance(raised.value, BusyError)


@pytest.mark.parametrize(
    "script", ["exit 17", "exit 16", "echo lease path busy; exit 1", "echo another transaction is already open; exit 1"]
)
def test_somebody_else_is_in_the_way(script: str) -> None:
    with pytest.raises(BusyError), running(shell(script), CALL):
        pass


def test_there_is_no_such_program() -> None:
    with pytest.raises(PublishError) as raised, running(["/no/such/program"], CALL):
        pass
    assert str(raised.value) == "/no/such/program: expected the program of CernVM-FS, found: No such file or directory"


def test_the_error_of_the_body_comes_first_when_the_program_has_ended() -> None:
    with pytest.raises(ZeroDivisionError), running(shell("sleep 0.1; exit 1"), CALL) as process:
        raise ZeroDivisionError
    assert process.returncode == 1


@pytest.mark.parametrize(("script", "said"), [("exit 4", "found exit code 4"), ("exit 0", "expected it to read the whole stream")])
def test_it_stops_reading(script: str, said: str) -> None:
    reader, writer = os.pipe()
    try:
        with pytest.raises(PublishError, match=said), running(shell(script), CALL, reader):
            pour(reader, writer)
    finally:
        os.close(writer)


def pour(reader: int, writer: int) -> None:
    """Write into a pipe for ever."""
    os.close(reader)
    while True:
        write_all(writer, bytes(1 << 16))


def test_all_is_written() -> None:
    reader, writer = os.pipe()
    data = bytes(range(256)) * 4096
    with subprocess.Popen(["cat"], stdin=reader, stdout=subprocess.PIPE) as program:
        os.close(reader)
        child = os.fork()
        if child == 0:
            write_all(writer, data)
            os._exit(0)
        os.close(writer)
        assert program.stdout is not None
        assert program.stdout.read() == data
        os.waitpid(child, 0)


@pytest.mark.parametrize(
    ("script", "has_read"),
    [("sleep 0.2; read x; sleep 60", True), ("read x", True), ("sleep 0.2", False), ("kill -9 $$", False)],
    ids=["late", "and ends", "ends", "is killed"],
)
def test_its_reading_is_waited_for(script: str, has_read: object) -> None:
    reader, writer = os.pipe()
    start = time.monotonic()
    write_all(writer, b"some\n")
    with subprocess.Popen(shell(script), stdin=reader) as process:
        os.close(reader)
        assert wait_for_reader(writer, process) is has_read
        os.close(writer)
        process.kill()
    assert time.monotonic() - start < 30


def test_a_wide_pipe_takes_a_whole_write_that_nobody_reads() -> None:
    reader, writer = wide_pipe()
    os.set_blocking(writer, False)
    assert os.write(writer, bytes(1 << 20)) == 1 << 20
    os.close(writer)
    os.close(reader)


def test_where_a_pipe_cannot_be_wide_it_is_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cstore.publish.program._PIPE", 1 << 40)
    reader, writer = wide_pipe()
    os.write(writer, b"x")
    assert os.read(reader, 5) == b"x"
    os.close(writer)
    os.close(reader)
