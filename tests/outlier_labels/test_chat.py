import threading
import time

import pytest

from oodlib.errors import OodlibError
from oodlib.outlier_labels.chat import ChatClient
from tests.chat_server import GOOD, KEY, completion, running_server


@pytest.fixture
def server(monkeypatch):
    with running_server(monkeypatch) as running:
        yield running


def ask(client):
    return client.ask([{"role": "user", "content": "hello"}])


def refusal(client):
    with pytest.raises(OodlibError) as caught:
        ask(client)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_good_reply_and_what_was_sent(server, monkeypatch):
    monkeypatch.setenv("SOME_KEY", f" {KEY}\n")
    client = server.client(key_variable="SOME_KEY")
    assert ask(client) == GOOD
    ((path, headers, body),) = server.asked
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert body == {
        "model": "some-model",
        "messages": [{"role": "user", "content": "hello"}],
        "temperature": 0,
        "stream": False,
    }
    assert KEY not in repr(client)


def test_no_key_no_header(server):
    ask(server.client())
    assert "Authorization" not in server.asked[0][1]


@pytest.mark.parametrize(
    "raw",
    [
        b"<html>not JSON</html>",
        b'{"choices": [{"message": {"content": "- cut',
        b"[]",
        b"{}",
        b"null",
        b'{"choices": []}',
        b'{"error": {"message": "overloaded"}}',
        b'{"choices": [{"message": null}]}',
        b"[" * 200_000,
        b"\xff\xfe\x00",
        b"",
    ],
)
def test_a_malformed_reply_is_asked_for_again_and_then_named(server, raw):
    server.answers = [raw]
    assert "is not a chat completion" in refusal(server.client())
    assert len(server.asked) == 2


@pytest.mark.parametrize("content", ["", " \n ", None, ["- part"]])
def test_an_empty_reply_is_asked_for_again_and_then_named(server, content):
    server.answers = [completion(content)]
    assert "is empty" in refusal(server.client())
    assert len(server.asked) == 2


@pytest.mark.parametrize("first", [b"{", completion(""), (500, b""), (503, b"busy"), (429, b"slow down")])
def test_the_second_attempt_may_succeed(server, first):
    server.answers = [first, completion(GOOD)]
    assert ask(server.client()) == GOOD
    assert len(server.asked) == 2


def test_a_huge_reply_is_refused_before_it_is_read(server):
    sent = []

    def flood(handler):
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(2_000):
                handler.wfile.write(b"x" * 65_536)
                sent.append(65_536)
        except OSError:
            pass

    server.answers = [flood]
    assert "larger than 1,000,000 bytes" in refusal(server.client(timeout=30.0))
    assert len(server.asked) == 1
    assert sum(sent) < 100_000_000


def test_a_reply_of_just_the_allowed_size_is_read(server):
    raw = completion("- x\n" * 1_000)
    server.answers = [raw]
    assert ask(server.client(max_bytes=len(raw)))
    assert f"larger than {len(raw) - 1:,} bytes" in refusal(server.client(max_bytes=len(raw) - 1))


@pytest.mark.parametrize("drip", [False, True], ids=["silent", "one byte at a time"])
def test_a_slow_server_is_given_up(server, drip):
    stop = threading.Event()

    def slow(handler):
        if drip:
            handler.send_response(200)
            handler.end_headers()
        try:
            while not stop.wait(0.1):
                if drip:
                    handler.wfile.write(b" ")
        except OSError:
            pass

    server.answers = [slow]
    start = time.monotonic()
    assert "did not finish its reply within 0.5 s" in refusal(server.client(timeout=0.5))
    stop.set()
    assert 1.0 <= time.monotonic() - start < 5.0
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("status", "attempts", "remedy"),
    [
        (400, 1, "check the address and model"),
        (401, 1, "see that SOME_KEY holds a key"),
        (404, 1, "check the address and model"),
        (429, 2, "check the address and model"),
        (500, 2, "check the address and model"),
        (307, 1, "pass the address that it moved to"),
        (302, 1, "pass the address that it moved to"),
    ],
)
def test_error_statuses_are_named_without_the_key(server, monkeypatch, status, attempts, remedy):
    monkeypatch.setenv("SOME_KEY", KEY)
    server.answers = [(status, b'{"error": "bad\x1b[31m key ' + KEY.encode() + b'\nnext line"}' + b"." * 5_000)]
    said = refusal(server.client(key_variable="SOME_KEY"))
    assert f"answered with status {status}" in said
    assert "(the key)" in said
    assert remedy in said
    assert KEY not in said
    assert said.isprintable()
    assert len(said) < 500
    assert len(server.asked) == attempts
    assert {path for path, *_ in server.asked} == {"/v1/chat/completions"}


def test_a_server_that_hangs_up_and_one_that_is_not_there(server):
    server.answers = [lambda handler: handler.connection.close()]
    assert f"cannot talk to {server.url}" in refusal(server.client())
    server.http.shutdown()
    server.http.server_close()
    assert "refused" in refusal(server.client())


@pytest.mark.parametrize(
    "address",
    [
        "localhost:8000",
        "file:///names.txt",
        "http://",
        "http://[::1",
        "http://h:x/v1",
        "ftp://h",
        "",
        "http://h/v1?a=b",
    ],
)
def test_what_is_no_address_is_named(address):
    with pytest.raises(OodlibError, match=r"is not the address .*http://localhost"):
        ChatClient(address, "m")


def test_a_key_in_the_address_is_refused_and_not_repeated():
    with pytest.raises(OodlibError, match="put the key into the variable OPENAI_API_KEY") as caught:
        ChatClient(f"https://user:{KEY}@example.org/v1", "m")
    assert KEY not in str(caught.value)


def test_a_key_with_a_line_break_inside_is_refused_and_not_repeated(server, monkeypatch):
    monkeypatch.setenv("SOME_KEY", f"{KEY}\nsecond")
    said = refusal(server.client(key_variable="SOME_KEY"))
    assert "SOME_KEY" in said
    assert KEY not in said
    assert server.asked == []
