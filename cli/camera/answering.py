"""What is answered to the requests of the page; knows no thread and no codec.

Refused, without a word of why, are requests without the token (in the query, afterwards in a cookie
that no script can read and no other site can send), and those that name another host or come from
another page: a site may let its own name point here (DNS rebinding).
"""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from cli.camera.look import Shows
from shm_engine.errors import MattingError

if TYPE_CHECKING:
    from cli.camera.server import PageServer

# Without a word, or without taking what is sent: that connection ends.
_IDLE_SECONDS = 15.0
# Until a page that waits for a picture is told that there is none yet.
_WAIT_SECONDS = 2.0

_LONGEST_MESSAGE = 4096
_LONGEST_NUMBER = 15

_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_POLICY = (
    "default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"  # connections stay open: a picture costs no new one
    timeout = _IDLE_SECONDS
    server: PageServer

    def do_GET(self) -> None:
        """The page, the newest picture or the state."""
        if not self._is_allowed():
            return
        match self._path:
            case "/":
                self._send_page()
            case "/frame":
                self._send_picture()
            case "/state":
                self._send_json(200, self.server.session.facts())
            case _:
                self._refuse(404)

    def do_POST(self) -> None:
        """A wish: 200 with the new state, or 409 with a sentence."""
        if not self._is_allowed():
            return
        wishes = {"/look": self._change, "/picture": self._take_picture, "/recording": self._record}
        if self._path not in wishes:
            self._refuse(404)
            return
        body = self._body()
        if body is None:
            return
        try:
            wishes[self._path](body)
        except MattingError as error:
            self._send_json(409, {"error": str(error)})
        else:
            self._send_json(200, self.server.session.facts())

    @property
    def _path(self) -> str:
        return self.path.partition("?")[0]

    def _asked(self, key: str) -> str | None:
        """A value in the query."""
        values = parse_qs(self.path.partition("?")[2]).get(key)
        return None if values is None else values[0]

    def _is_allowed(self) -> bool:
        """Whether the request may be answered; if not, it has been refused."""
        port = self.server.server_port
        own = (f"127.0.0.1:{port}", f"localhost:{port}")
        host, origin = self.headers.get("Host"), self.headers.get("Origin")
        is_ours = host in own and origin in (None, f"http://{host}")
        given = self._asked("token") or self._cookie()
        if is_ours and given is not None and self.server.admits(given):
            return True
        self._refuse(403)
        return False

    @property
    def _cookie_name(self) -> str:
        # All ports of a host share their cookies, and two cameras may run.
        return f"shm-matte-{self.server.server_port}"

    def _cookie(self) -> str | None:
        # Not SimpleCookie, which finds nothing beside a strange cookie of another program.
        cookies = (
            part.strip().partition("=") for part in self.headers.get("Cookie", "").split(";")
        )
        return next((value for name, _, value in cookies if name == self._cookie_name), None)

    def _body(self) -> bytes | None:
        """What was sent with the request; None if it is too long or does not say, and refused."""
        from cli.camera.uploading import MOST_BYTES

        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or len(length) > _LONGEST_NUMBER:
            self._refuse(411)
            return None
        longest = MOST_BYTES if self._path == "/picture" else _LONGEST_MESSAGE
        if int(length) > longest:
            self.close_connection = True
            self._send_json(413, {"error": f"this is too large; {longest} bytes may be sent"})
            return None
        return self.rfile.read(int(length))

    def _change(self, body: bytes) -> None:
        wishes = _object(body)
        self.server.session.screen.replace(lambda look: look.changed(wishes))

    def _take_picture(self, body: bytes) -> None:
        from cli.camera.uploading import backdrop_from

        screen = self.server.session.screen
        backdrop = backdrop_from(body, self._asked("name") or "picture")
        screen.replace(lambda look: replace(look, picture=backdrop, shows=Shows.PICTURE))

    def _record(self, body: bytes) -> None:
        match _object(body).get("runs"):
            case True:
                self.server.session.start_recording()
            case False:
                self.server.session.stop_recording()
            case _:
                raise MattingError("a recording can be started or stopped, nothing else")

    def _send_page(self) -> None:
        nonce = secrets.token_urlsafe(16)
        page = files(__package__).joinpath("page.html").read_text(encoding="utf-8")
        cookie = f"{self._cookie_name}={self.server.token}; Path=/; HttpOnly; SameSite=Strict"
        headers = {"Content-Security-Policy": _POLICY.format(nonce), "Set-Cookie": cookie}
        body = page.replace("{nonce}", nonce).encode()
        self._send(200, "text/html; charset=utf-8", body, headers)

    def _send_picture(self) -> None:
        after = self._asked("after") or ""
        number = int(after) if after.isdecimal() and len(after) <= _LONGEST_NUMBER else 0
        newer = self.server.session.screen.after(number, _WAIT_SECONDS)
        if newer is None:
            self._send(204, None, b"")
        else:
            self._send(200, "image/jpeg", newer.item.data, {"X-Number": str(newer.number)})

    def _send_json(self, code: int, facts: dict[str, object]) -> None:
        self._send(code, "application/json", json.dumps(facts).encode())

    def _send(
        self, code: int, kind: str | None, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response_only(code)
        for name, value in {**_HEADERS, **(headers or {})}.items():
            self.send_header(name, value)
        if kind is not None:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, code: int) -> None:
        """A number and nothing else."""
        self.close_connection = True
        self.send_response_only(code)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def send_error(self, code: int, *_: object) -> None:
        """What the base class says of malformed requests, without its words."""
        self._refuse(code)

    def log_message(self, *_: object) -> None:
        """Nothing: requests hold the token."""


def _object(body: bytes) -> dict[str, object]:
    """A JSON object; MattingError for anything else."""
    try:
        wishes = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MattingError("the page sent something that is no JSON") from error
    if not isinstance(wishes, dict):
        raise MattingError("the page sent something that is no JSON object")
    return wishes
