"""A small local chat-completions server, for the tests of what talks to one."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from oodlib.outlier_labels.chat import ChatClient

KEY = "sk-not-a-real-key-0123456789"
GOOD = "They are animals.\n- Gray Wolf\n- black stone\n- red panda"


def completion(content):
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}).encode()


class Server:
    """A small local server that gives its answers in turn, the last one for ever, and keeps what it was asked."""

    def __init__(self):
        self.answers = [completion(GOOD)]  # bytes, (status, bytes), or a function of the request handler
        self.asked = []
        kept = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                kept.asked.append((self.path, dict(self.headers), json.loads(body)))
                answer = kept.answers.pop(0) if len(kept.answers) > 1 else kept.answers[0]
                if callable(answer):
                    return answer(self)
                status, content = answer if isinstance(answer, tuple) else (200, answer)
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def client(self, **settings):
        return ChatClient(self.url, "some-model", **{"timeout": 5.0, "pause": 0.0, **settings})


@contextlib.contextmanager
def running_server(monkeypatch):
    """The server, with no proxy and no key of the machine in between."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    running = Server()
    yield running
    running.http.shutdown()
    running.http.server_close()
