"""A real HTTP server on this machine that speaks the chat-completions protocol, or misbehaves."""

import json
import ssl
import threading
import traceback
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def answer(prompts):
    """A well-formed answer as bytes."""
    return says(json.dumps({"prompts": prompts}))


def says(content, finish_reason="stop"):
    """An answer whose text is ``content``."""
    choice = {"message": {"role": "assistant", "content": content}, "finish_reason": finish_reason}
    return json.dumps({"object": "chat.completion", "choices": [choice]}).encode()


class Server:
    """Records every request; answers by the behaviours of ``script`` in turn, the last repeated.

    A behaviour is bytes (a body to send with status 200) or a callable that gets the handler.
    """

    def __init__(self):
        self.script = [answer([])]
        self.requests = []  # (path, headers, body as sent)
        self.release = threading.Event()

    @property
    def chats(self):
        return [json.loads(body)["messages"] for _, _, body in self.requests]

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}/v1"


def reply(status, body=b"", *, length=None, **headers):
    """A behaviour: this status, body and headers; ``length`` may lie about the body."""

    def behave(handler):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        handler.end_headers()
        handler.wfile.write(body)

    return behave


@contextmanager
def serving(certificate=None):
    """Run a server on a free port; ``certificate`` (certificate file, key file) makes it https."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            index = min(len(server.requests), len(server.script) - 1)
            server.requests.append((self.path, dict(self.headers), body))
            behaviour = server.script[index]
            with suppress(OSError):  # the client may leave in the middle
                (reply(200, behaviour) if isinstance(behaviour, bytes) else behaviour)(self)

        do_GET = do_CONNECT = do_POST

        def log_message(self, *_):
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_):
            pass  # a client that does not trust the certificate leaves in the middle

    http = Quiet(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        http.socket = context.wrap_socket(
            http.socket, server_side=True, do_handshake_on_connect=False
        )
    server.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        http.shutdown()
        http.server_close()
        thread.join()


def everything_in(error):
    """The message, the printed traceback, and all that hangs on the chain of causes."""
    parts = ["".join(traceback.format_exception(error))]
    while error is not None:
        parts += [repr(error), repr(error.args), repr(vars(error))]
        error = error.__cause__ or error.__context__
    return "\n".join(parts)
