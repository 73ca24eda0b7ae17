"""The access log: its forms, lines that nobody can forge, and files that are moved, full or gone."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_sdk import InvalidArgument
from providers.httpserver.access import AccessLog, Entry, as_json, combined, common

PLAIN = Entry("192.0.2.7", "GET", "/a?b=c", "HTTP/1.1", "www.example.com", "https://x.example/", "curl/8", 200, 5, 0.0123456789, "id-1")
# What Apache's documentation calls the common and the combined log format.
COMMON = re.compile(
    r'(\S+) - - \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000)\] "((?:[^"\\\x00-\x1f\x7f]|\\x[0-9a-f]{2})*)" (\d{3}) (\d+|-)', re.ASCII
)
COMBINED = re.compile(COMMON.pattern + r' "((?:[^"\\]|\\x[0-9a-f]{2})*)" "((?:[^"\\]|\\x[0-9a-f]{2})*)"', re.ASCII)
HOSTILE = [
    '"',
    '" 200 5 "forged',
    "\\",
    "\\x22",
    "\n127.0.0.1 - - [x]",
    "\r\n",
    "\x1b[2J",
    "\x00",
    "\x7f",
    "\x85",
    "\u2028",
    "caf\u00e9",
    "\udcff\udc80",
    "\U0001f600",
]


def with_text(text: str) -> Entry:
    return Entry("192.0.2.7", "GET", f"/{text}", "HTTP/1.1", text, text, text, 200, 5, 0.5, text)


def test_the_common_form() -> None:
    found = COMMON.fullmatch(common(PLAIN))
    assert found
    assert (found[1], found[3], found[4], found[5]) == ("192.0.2.7", "GET /a?b=c HTTP/1.1", "200", "5")
    assert abs(time.mktime(time.strptime(found[2], "%d/%b/%Y:%H:%M:%S +0000")) - time.timezone - time.time()) < 60


def test_the_combined_form_adds_referer_and_user_agent() -> None:
    found = COMBINED.fullmatch(combined(PLAIN))
    assert found
    assert (found[6], found[7]) == ("https://x.example/", "curl/8")


def test_what_is_missing_is_a_dash() -> None:
    bare = Entry("::1", "HEAD", "/", "HTTP/1.0", "", "", "", 304, 0, 0.0, "")
    assert combined(bare).endswith('"HEAD / HTTP/1.0" 304 - "-" "-"')


def test_the_json_form_has_every_member() -> None:
    found = json.loads(as_json(PLAIN))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found.pop("timestamp"))
    assert found == {
        "client": "192.0.2.7",
        "method": "GET",
        "target": "/a?b=c",
        "version": "HTTP/1.1",
        "host": "www.example.com",
        "referer": "https://x.example/",
        "user_agent": "curl/8",
        "status": 200,
        "sent": 5,
        "seconds": 0.012346,
        "request_id": "id-1",
    }


@pytest.mark.parametrize("text", HOSTILE)
def test_no_request_can_forge_or_break_a_line(text: str) -> None:
    line = combined(with_text(text))
    assert COMBINED.fullmatch(line)
    assert line.isascii()
    assert line.isprintable()


@pytest.mark.parametrize("text", HOSTILE)
def test_json_stays_one_line_that_strict_readers_take(text: str) -> None:
    line = as_json(with_text(text))
    assert line.isascii()
    assert line.isprintable()
    json.loads(line)["target"].encode()


@given(st.binary(), st.binary())
def test_no_bytes_at_all_can(target: bytes, agent: bytes) -> None:
    sent = (target.decode("utf-8", "surrogateescape"), "HTTP/1.1", "", "", agent.decode("utf-8", "surrogateescape"))
    entry = Entry("::1", "GET", *sent, 200, 5, 0.5, "")
    assert COMBINED.fullmatch(combined(entry))
    json.loads(as_json(entry))["user_agent"].encode()


# Files


@contextmanager
def writing(file: Path) -> Iterator[Callable[[str], None]]:
    """Gives what adds a line with this user agent to `file`."""
    log = AccessLog("combined", file)
    try:
        yield lambda agent: log.write(Entry("::1", "GET", "/", "HTTP/1.1", "", "", agent, 200, 5, 0.5, ""))
    finally:
        log.close()


def agents(file: Path) -> list[str]:
    return [line.rpartition(' "')[2].strip('"') for line in file.read_text().splitlines()] if file.exists() else []


def soon(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.005)


def lines_of(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_lines_are_added_to_a_file_and_are_there_once_it_is_closed(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    file.write_text('before "before"\n')
    with writing(file) as write:
        for number in range(1000):
            write(f"agent {number}")
    assert agents(file) == ["before", *(f"agent {number}" for number in range(1000))]


def test_a_file_that_is_moved_is_made_anew(tmp_path: Path) -> None:
    file, old = tmp_path / "access.log", tmp_path / "access.log.1"
    with writing(file) as write:
        write("one")
        soon(lambda: agents(file) == ["one"])
        file.rename(old)
        write("two")
        soon(lambda: agents(file) == ["two"])
    assert agents(old) == ["one"]


def test_a_file_that_is_replaced_by_another_is_followed(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    with writing(file) as write:
        write("one")
        soon(lambda: agents(file) == ["one"])
        file.rename(tmp_path / "access.log.1")
        file.write_text("")
        write("two")
        soon(lambda: agents(file) == ["two"])


def test_a_file_that_is_emptied_goes_on_from_its_start(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    with writing(file) as write:
        write("one")
        soon(lambda: agents(file) == ["one"])
        os.truncate(file, 0)
        write("two")
        soon(lambda: agents(file) == ["two"])
    assert b"\0" not in file.read_bytes()


def test_a_folder_that_goes_and_comes_back_costs_lines_but_not_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    file = folder / "access.log"
    caplog.set_level(logging.INFO)
    with writing(file) as write:
        write("one")
        soon(lambda: agents(file) == ["one"])
        folder.rename(tmp_path / "away")
        write("lost")
        soon(lambda: bool(caplog.records))
        write("lost too")
        time.sleep(1.0)
        folder.mkdir()
        write("two")
        soon(lambda: agents(file) == ["two"])
    assert lines_of(caplog) == [
        ("ERROR", f"access_log_file {file} cannot be written: No such file or directory: lines are lost"),
        ("WARNING", f"access_log_file {file} is written again: 2 lines were lost"),
    ]


@pytest.mark.parametrize("kind", ["folder", "missing folder", "pipe"])
def test_what_cannot_be_written_is_refused_with_one_line(tmp_path: Path, kind: str) -> None:
    file = {"folder": tmp_path, "missing folder": tmp_path / "no" / "access.log", "pipe": tmp_path / "pipe"}[kind]
    if kind == "pipe":
        os.mkfifo(file)
    with pytest.raises(InvalidArgument, match=rf"^access_log_file: {re.escape(str(file))} cannot be written: [^\n]+$"):
        AccessLog("json", file)


def test_a_reader_that_stops_reading_holds_nobody_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    received = b""

    def read() -> bool:
        nonlocal received
        with contextlib.suppress(BlockingIOError):
            received += os.read(reader, 1 << 20)
        return received.endswith(b'"after"\n')

    caplog.set_level(logging.INFO)
    with writing(pipe) as write:
        soon(lambda: write("x" * 1000) or bool(caplog.records))
        for _ in range(20):
            read()
            time.sleep(0.005)
        write("after")
        soon(read)
        soon(lambda: len(caplog.records) == 2)
    os.close(reader)
    assert [level for level, _ in lines_of(caplog)] == ["ERROR", "WARNING"]


def test_a_full_disk_is_said_once_and_the_log_goes_on_when_there_is_room(caplog: pytest.LogCaptureFixture) -> None:
    with writing(Path("/dev/full")) as write:
        for _ in range(50):
            write("x")
            time.sleep(0.001)
        soon(lambda: bool(caplog.records))
    assert lines_of(caplog) == [("ERROR", "access_log_file /dev/full cannot be written: No space left on device: lines are lost")]
