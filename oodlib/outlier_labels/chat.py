"""A small client of chat-completions endpoints, as OpenAI, vLLM, llama.cpp, Ollama and others offer them."""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from oodlib.errors import OodlibError


class _PassingError(OodlibError):
    """A failure that may be gone at the second attempt."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another host, and turn the request into one without its body."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@dataclass(frozen=True)
class ChatClient:
    """Ask a language model behind an OpenAI-compatible endpoint, at temperature 0.

    Parameters
    ----------
    base_url : str
        What comes before `/chat/completions`, such as `http://localhost:8000/v1`.
    model : str
        The model's name there.
    key_variable : str
        Environment variable with the API key. It is read for every request and kept, printed and written nowhere;
        where it is not set the request carries none, which is what most local servers want.
    timeout : float
        Seconds until a reply must be complete.
    max_bytes : int
        Replies that are larger are refused unread.
    pause : float
        Seconds before the second and last attempt, after a failure that may pass.

    Raises
    ------
    OodlibError
        If the address is not one of a server.
    """

    base_url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    timeout: float = 120.0
    max_bytes: int = 1_000_000
    pause: float = 1.0

    def __post_init__(self) -> None:
        """Check the address before anything is sent."""
        try:
            parts = urlsplit(self.base_url)
            fine = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            fine = False
        if not fine or parts.query or parts.fragment:
            raise OodlibError(
                f"{self.base_url!r} is not the address of an endpoint: write for example http://localhost:8000/v1"
            )
        if parts.username is not None:  # it would end up in the written file, and in errors
            raise OodlibError(f"the address holds a user name: put the key into the variable {self.key_variable}")

    def ask(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Send a conversation and return the model's next turn.

        Timeouts, broken connections, statuses 408, 429 and 5xx, and replies that are malformed or empty are tried a
        second time; anything else is not.

        Parameters
        ----------
        messages : sequence of {"role": ..., "content": ...}

        Raises
        ------
        OodlibError
            If there is no usable reply.
        """
        try:
            return self._once(messages)
        except _PassingError:
            time.sleep(self.pause)
            return self._once(messages)

    def _once(self, messages: Sequence[Mapping[str, str]]) -> str:
        key = self._key()
        body = {"model": self.model, "messages": list(messages), "temperature": 0, "stream": False}
        request = urllib.request.Request(
            self.base_url.rstrip("/") + "/chat/completions",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "User-Agent": "oodlib"}
            | ({"Authorization": f"Bearer {key}"} if key else {}),
        )
        late = _PassingError(
            f"{self.base_url} did not finish its reply within {self.timeout:g} s: try later or wait longer (--timeout)"
        )
        deadline = time.monotonic() + self.timeout
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=self.timeout) as response:
                return self._content(self._read(response, deadline, late))
        except urllib.error.HTTPError as error:
            raise self._refused(error, key) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise late from None
            said = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
            raise _PassingError(f"cannot talk to {self.base_url} ({said}): check the address and the network") from None

    def _key(self) -> str:
        key = os.environ.get(self.key_variable, "").strip()
        if not (key.isascii() and key.isprintable()) and key:  # http.client's complaint would quote it
            raise OodlibError(f"the key in {self.key_variable} holds signs that no key has: set it again")
        return key

    def _read(self, response: http.client.HTTPResponse, deadline: float, late: OodlibError) -> bytes:
        """The whole reply, within bounds: the socket's own timeout would start anew with every byte."""
        raw = bytearray()
        while chunk := response.read1(65_536):
            raw += chunk
            if len(raw) > self.max_bytes:
                raise OodlibError(
                    f"the reply of {self.base_url} is larger than {self.max_bytes:,} bytes: is this a chat endpoint?"
                )
            if time.monotonic() > deadline:
                raise late
        return bytes(raw)

    def _content(self, raw: bytes) -> str:
        try:
            content = json.loads(raw)["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError, RecursionError):
            raise _PassingError(
                f"the reply of {self.base_url} is not a chat completion: see that the address ends where "
                "/chat/completions begins"
            ) from None
        if not isinstance(content, str) or not content.strip():
            raise _PassingError(f"the reply of {self.model} at {self.base_url} is empty: try another model")
        return content

    def _refused(self, error: urllib.error.HTTPError, key: str) -> OodlibError:
        try:
            said = error.read(2_000).decode(errors="replace")
        except (OSError, http.client.HTTPException):
            said = ""
        finally:
            error.close()
        if key:  # servers like to quote a key that they refuse
            said = said.replace(key, "(the key)")
        said = " ".join("".join(sign if sign.isprintable() else " " for sign in said).split())[:200]
        kind = _PassingError if error.code in (408, 429) or error.code >= 500 else OodlibError
        remedy = f"see that {self.key_variable} holds a key that is valid there" if error.code in (401, 403) else None
        remedy = remedy or ("pass the address that it moved to" if error.code < 400 else "check the address and model")
        return kind(f"{self.base_url} answered with status {error.code} ({said or error.reason}): {remedy}")
