"""A download server on loopback that behaves well or badly, by the first part of the path."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Mirror(ThreadingHTTPServer):
    """Serves `files` under /good/, and the same with one fault each under the other folders.

    cut: every connection ends after a third of the file; reset: the same, rudely; deaf: ignores
    Range; deafcut: ignores Range and ends halfway; corrupt: one byte differs; portal: a login page
    for everything; shifted: answers with another range; endless: never stops; missing: 404.
    """

    daemon_threads = True

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = dict(files)
        self.requests: list[tuple[str, str | None]] = []  # path and Range header, in order
        self.sent = 0  # bytes of bodies

    def url(self, folder: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{folder}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the tests."""


@contextmanager
def serve(files: Mapping[str, bytes]) -> Iterator[Mirror]:
    with Mirror(files) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        _, folder, name = self.path.split("/", 2)
        wanted = self.headers.get("Range")
        self.server.requests.append((self.path, wanted))
        body = self.server.files.get(name)
        if folder == "missing" or body is None:
            self.send_error(404)
            return
        if folder == "corrupt":
            body = body[: len(body) // 2] + bytes([body[len(body) // 2] ^ 1]) + body[len(body) // 2 + 1 :]
        if folder == "portal":
            body = b"<html>Please log in</html>"
        if folder == "endless":
            self._endless()
            return
        start = 0
        if wanted and folder not in ("deaf", "deafcut", "portal"):
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start >= len(body):
                self.send_error(416)
                return
        self._send(folder, body, start, partial=start > 0)

    def _send(self, folder: str, body: bytes, start: int, *, partial: bool) -> None:
        self.send_response(206 if partial else 200)
        if partial:
            reported = start + 1 if folder == "shifted" else start
            self.send_header("Content-Range", f"bytes {reported}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        end = {"cut": start + len(body) // 3, "reset": start + len(body) // 3, "deafcut": len(body) // 2}.get(folder)
        piece = body[start:end]
        self.server.sent += len(piece)  # before: the client may have it all, and look, as soon as it is written
        self.wfile.write(piece)
        if folder == "reset" and end is not None and end < len(body):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def _endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        while True:  # until the client hangs up
            self.wfile.write(bytes(1 << 16))

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""
