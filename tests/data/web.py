"""A web server on this machine that hands out files and misbehaves as told."""

import hashlib
import re
import threading
from collections import deque
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STALL_SECONDS = 20
"""Bound of a stalled reply, should a test not end it."""


@dataclass(frozen=True)
class Reply:
    """How one request is answered; the default is as it should be."""

    status: int = 0
    headers: dict = field(default_factory=dict)
    cut: int | None = None  # bytes after which the connection is closed
    stall: int | None = None  # bytes after which nothing comes any more
    ranges: bool = True
    if_range: bool = True
    length: bool = True
    marks: tuple = ("ETag", "Last-Modified")
    body: bytes | None = None


class Web:
    def __init__(self):
        self.files, self.asked, self.replies = {}, [], deque()
        self.always = Reply()
        self.stalled, self.ended = threading.Event(), threading.Event()
        self.server = _Quiet(("127.0.0.1", 0), _handler(self))
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def url(self, name):
        return f"http://127.0.0.1:{self.server.server_port}/{name}"

    def starts(self):
        """First byte that each request asked for."""
        asked = [headers.get("Range", "bytes=0-") for _, headers in self.asked]
        return [int(re.fullmatch(r"bytes=(\d+)-", each)[1]) for each in asked]

    def close(self):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """The other side went away: that is what is tested."""


def _handler(web):
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            name = self.path.lstrip("/")
            web.asked.append((name, dict(self.headers)))
            reply = web.replies.popleft() if web.replies else web.always
            content = reply.body if reply.body is not None else web.files.get(name)
            if content is None:
                self.send_error(404)
                return
            marks = {
                "ETag": f'"{hashlib.sha256(content).hexdigest()[:16]}"',
                "Last-Modified": formatdate(len(content) * 1000, usegmt=True),
            }
            start = self._start(content, reply, marks)
            status = reply.status or (206 if start is not None else 200)
            self.send_response(status)
            for mark in reply.marks:
                self.send_header(mark, marks[mark])
            if start is not None and status == 206:
                size = len(content)
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            sent = content[start or 0 :] if status < 300 else b""
            if reply.length:
                self.send_header("Content-Length", str(len(sent)))
            for key, value in reply.headers.items():
                self.send_header(key, value)
            self.end_headers()
            self._send(sent, reply)

        def _start(self, content, reply, marks):
            found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            wanted = self.headers.get("If-Range")
            fresh = wanted is None or not reply.if_range or wanted in marks.values()
            return int(found[1]) if found and reply.ranges and fresh else None

        def _send(self, sent, reply):
            if reply.stall is not None:
                self.wfile.write(sent[: reply.stall])
                self.wfile.flush()
                web.stalled.set()
                web.ended.wait(STALL_SECONDS)
            else:
                self.wfile.write(sent[: reply.cut])

    return Handler
