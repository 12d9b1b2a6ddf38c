"""A file server on the loopback that knows ranges and can be told to fail."""

import re
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class FileServer:
    """Serves a folder; faults are used up one per request."""

    folder: Path
    url: str = ""
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By file name: a status such as `404` or `429:0.1` (Retry-After), `reset`, `truncate`, `whole` (no ranges)."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """File name with query, and Range, of every request."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:
        facts = self.server.facts
        name = self.path.rpartition("/")[2]
        facts.asked.append((name, self.headers.get("Range", "")))
        faults = facts.faults[name.partition("?")[0]]
        fault = faults.pop(0) if faults else ""
        if fault == "reset":
            self._reset()
        elif fault[:1].isdigit():
            self._refuse(*fault.split(":"))
        else:
            self._send(facts.folder / self.path.partition("?")[0].lstrip("/"), fault)

    def _refuse(self, status: str, after: str = "") -> None:
        self.send_response(int(status))
        if after:
            self.send_header("Retry-After", after)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _send(self, path: Path, fault: str) -> None:
        if not path.is_file():
            self._refuse("404")
            return
        content = path.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        start, end = (int(asked[1]), min(int(asked[2]) + 1, len(content))) if asked else (0, len(content))
        if fault == "whole":
            self.send_response(200)
            start, end = 0, len(content)
        elif start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            start = end = 0
        else:
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        self.wfile.write(content[start : (start + end) // 2 if fault == "truncate" else end])
        self.close_connection = fault == "truncate"

    def log_message(self, *_arguments: object) -> None:
        """Silent."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    facts: FileServer

    def handle_error(self, *_arguments: object) -> None:
        """A connection that was reset on purpose is no news."""


@contextmanager
def serving(folder: Path) -> Iterator[FileServer]:
    """A server of a folder, for as long as the block lasts."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.facts = FileServer(folder, f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.facts
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
