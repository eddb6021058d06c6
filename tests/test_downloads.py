"""Fetching by name, against a real server on loopback that behaves as badly as servers do."""

from __future__ import annotations

import gzip
import hashlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import Run

from sithctl.errors import InputError
from sithctl.sources import downloads
from sithctl.sources.downloads import DOWNLOADS, Download, fetch

LINE = "/a/[/r/IsA/,/c/en/dog/,/c/en/animal_{0}/]\t/r/IsA\t/c/en/dog\t/c/en/animal_{0}\t{{}}\n"
BODY = gzip.compress("".join(LINE.format(i) for i in range(5000)).encode(), mtime=0)


@dataclass
class Server:
    """What is served, how badly, and what was asked for.

    Attributes:
        drops: after so many bytes each of the first answers breaks off.
        ranges: whether ranges are known.
        status: answered instead of the file.
    """

    url: str = ""
    body: bytes = BODY
    drops: list[int] = field(default_factory=list)
    ranges: bool = True
    announced: bool = True
    status: list[int] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    state: Server

    def do_GET(self) -> None:
        state, asked = self.state, self.headers.get("Range")
        state.asked.append(asked)
        if state.status:
            self.send_error(state.status.pop(0))
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and state.ranges else 0
        size = len(state.body)
        if start and start >= size:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if asked and state.ranges else 200)
        if asked and state.ranges:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if state.announced:
            self.send_header("Content-Length", str(size - start))
        self.end_headers()
        until = start + state.drops.pop(0) if state.drops else size
        self.wfile.write(state.body[start:until])
        self.close_connection = True

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    state = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Handler,), {"state": state}))
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{http.server_port}/edges/assertions.csv.gz"
    monkeypatch.setenv("SITHCTL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(downloads, "PAUSE", 0.0)
    digest = hashlib.sha256(BODY).hexdigest()
    monkeypatch.setitem(DOWNLOADS, "conceptnet", Download(state.url, len(BODY), digest))
    yield state
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def there(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "downloads"


def test_fetched_once(server: Server, there: Path) -> None:
    told: list[tuple[int, int]] = []
    path = fetch("conceptnet", lambda *now: told.append(now))
    assert path == there / "assertions.csv.gz"
    assert path.read_bytes() == BODY
    assert told
    assert fetch("conceptnet") == path
    assert server.asked == [None]
    assert [p.name for p in there.iterdir()] == ["assertions.csv.gz"]


def test_a_dropped_connection_is_resumed(server: Server) -> None:
    server.drops = [1000, 2000, 1]
    assert fetch("conceptnet").read_bytes() == BODY
    assert server.asked == [None, "bytes=1000-", "bytes=3000-", "bytes=3001-"]


def test_a_later_call_goes_on(server: Server, there: Path) -> None:
    there.mkdir(parents=True)
    (there / "assertions.csv.gz.part").write_bytes(BODY[:500])
    assert fetch("conceptnet").read_bytes() == BODY
    assert server.asked == ["bytes=500-"]


def test_a_server_without_ranges_begins_anew(server: Server) -> None:
    server.ranges, server.drops = False, [1000]
    assert fetch("conceptnet").read_bytes() == BODY
    assert server.asked == [None, "bytes=1000-"]


def test_a_part_that_is_whole_already(server: Server, there: Path) -> None:
    there.mkdir(parents=True)
    (there / "assertions.csv.gz.part").write_bytes(BODY)
    assert fetch("conceptnet").read_bytes() == BODY
    assert server.asked == [f"bytes={len(BODY)}-"]


def test_a_part_that_is_too_long_begins_anew(server: Server, there: Path) -> None:
    there.mkdir(parents=True)
    (there / "assertions.csv.gz.part").write_bytes(BODY + b"more")
    assert fetch("conceptnet").read_bytes() == BODY
    assert server.asked == [f"bytes={len(BODY) + 4}-", None]


def test_short_bodies_are_not_taken_for_the_file(server: Server, there: Path) -> None:
    """A length that is not announced is known from the table."""
    server.announced, server.drops = False, [700]
    assert fetch("conceptnet").read_bytes() == BODY
    server.drops = [0] * 99
    (there / "assertions.csv.gz").unlink()
    with pytest.raises(InputError, match=r"less than it announced.*give it as SOURCE"):
        fetch("conceptnet")


def test_a_part_of_another_file_is_found_by_its_digest(server: Server, there: Path) -> None:
    there.mkdir(parents=True)
    (there / "assertions.csv.gz.part").write_bytes(b"x" * 500)
    with pytest.raises(InputError, match="not what was published: SHA-256"):
        fetch("conceptnet")
    assert list(there.iterdir()) == []
    assert fetch("conceptnet").read_bytes() == BODY


def test_a_wrong_size(server: Server, there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DOWNLOADS, "conceptnet", Download(server.url, len(BODY) + 1))
    with pytest.raises(InputError, match=f"{len(BODY)} bytes came, not {len(BODY) + 1}"):
        fetch("conceptnet")
    assert list(there.iterdir()) == []


def test_neither_size_nor_digest_need_be_known(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DOWNLOADS, "conceptnet", Download(server.url))
    server.drops = [900]
    assert fetch("conceptnet").read_bytes() == BODY


def test_servers_that_fail_for_a_while_or_for_good(server: Server) -> None:
    server.status = [404]
    with pytest.raises(InputError, match=r"answers 404.*download that file elsewhere"):
        fetch("conceptnet")
    assert len(server.asked) == 1
    server.status = [503, 500]
    assert fetch("conceptnet").read_bytes() == BODY


def test_nobody_there(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setitem(DOWNLOADS, "conceptnet", Download("http://127.0.0.1:9/a.csv.gz"))
    result = run("encode-pool", "conceptnet", "-o", tmp_path / "pool.h5")
    assert result.exit_code == 3
    assert len(result.stderr.splitlines()) == 1
    for words in ("conceptnet", "http://127.0.0.1:9/a.csv.gz", "SOURCE", "put it at"):
        assert words in result.stderr
    assert not list((tmp_path / "cache").rglob("*.part"))


@pytest.mark.parametrize("name", ["conceptnet", "wordnet"])
def test_offline_says_what_to_bring(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setenv("SITHCTL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    result = run("encode-pool", name, "-o", tmp_path / "pool.h5")
    assert result.exit_code == 3
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"sithctl encode-pool: {name} is not there yet")
    assert DOWNLOADS[name].url in line
    assert str(tmp_path / "cache" / "downloads" / DOWNLOADS[name].file) in line
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SITHCTL_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match="cannot write"):
        fetch("conceptnet")


def test_a_pool_by_name(server: Server, tmp_path: Path, run: Run) -> None:
    import h5py

    (tmp_path / "a.txt").write_text("animal 3\nocean\n")
    out = tmp_path / "pool.h5"
    words = ("--template", "{}", "--exclude", tmp_path / "a.txt")
    result = run("encode-pool", "conceptnet", tmp_path / "a.txt", *words, "-o", out)
    assert result.exit_code == 0, result.output
    with h5py.File(out) as file:
        concepts = file["concepts"].asstr()[()].tolist()
    assert concepts[:4] == ["dog", "animal 0", "animal 1", "animal 2"]
    assert len(concepts) == 5000


def test_the_table_is_plausible() -> None:
    for name, download in DOWNLOADS.items():
        assert download.url.startswith("https://"), name
        assert download.sha256 is None or re.fullmatch("[0-9a-f]{64}", download.sha256)
