"""The page of a live session: who may see it, what it asks for, and who holds up nobody."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from cli.camera.command import _working
from cli.camera.look import Look
from cli.camera.recording import Recorder
from cli.camera.screen import Screen
from cli.camera.server import PageServer
from cli.camera.session import Session
from cli.camera.uploading import MOST_BYTES
from cli.video.live import LiveSource
from shm_engine.errors import MattingError, VideoError
from tests.cli.clips import decode
from tests.cli.live import (
    HEIGHT,
    JPEG_LEVELS,
    ORANGE,
    WIDTH,
    Browser,
    FedSource,
    HalfMatter,
    ask,
    until,
)

_GREEN = (0, 177, 64)
_LUMA = round(0.299 * ORANGE[0] + 0.587 * ORANGE[1] + 0.114 * ORANGE[2])


class Live(NamedTuple):
    """A session at work and its page."""

    source: FedSource
    session: Session
    server: PageServer

    def browser(self) -> Browser:
        return Browser(self.server.address)


def _gone() -> LiveSource:
    raise VideoError("the camera is gone")


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    source, recorder, screen = FedSource(), Recorder(tmp_path), Screen(Look())
    session = Session(source, _gone, HalfMatter(), recorder, screen)
    with ExitStack() as stack:
        server = stack.enter_context(PageServer(session, 0))
        stack.callback(recorder.stop)
        stack.enter_context(_working(session, screen))
        yield Live(source, session, server)
    assert _threads() == []


def _threads() -> list[str]:
    """What a session must not leave behind."""
    ours = ("shm-camera", "process_request_thread")
    return [t.name for t in threading.enumerate() if any(name in t.name for name in ours)]


def _sides(browser: Browser) -> tuple[np.ndarray, np.ndarray]:
    """The person's half and the other one, away from the edge between them."""
    pixels = browser.picture().pixels.astype(int)
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    return pixels[:, : WIDTH // 2 - 8], pixels[:, WIDTH // 2 + 8 :]


def _is_about(pixels: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(pixels - colour).max() <= JPEG_LEVELS)


def _picture(colour: tuple[int, int, int]) -> bytes:
    done, data = cv2.imencode(".png", np.full((20, 30, 3), colour[::-1], np.uint8))
    assert done
    return data.tobytes()


def test_the_page_is_served_to_whoever_knows_the_token_and_again_to_its_cookie(live: Live) -> None:
    browser = live.browser()
    assert browser.page.status == 200
    assert b"<!doctype html>" in browser.page.body
    cookie = browser.page.headers["set-cookie"]
    assert cookie.startswith(f"shm-matte-{live.server.server_port}={live.server.token};")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert browser.get("/").body.count(b"<canvas") == 1
    assert live.server.address.startswith("http://127.0.0.1:")


def test_the_page_needs_nothing_from_elsewhere_and_may_not_ask_for_it(live: Live) -> None:
    page = live.browser().page
    text = page.body.decode()
    assert not re.findall(r"(?:https?:)?//[\w.]+\.\w+", text.replace("// ", ""))
    assert not re.findall(r"\b(?:src|href)=\"(?!data:,)", text)
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    (nonce,) = set(re.findall(r"'nonce-([\w-]+)'", policy))
    assert text.count(f'nonce="{nonce}"') == 2
    assert "{nonce}" not in text
    assert nonce not in live.browser().page.body.decode()
    assert page.headers["x-content-type-options"] == "nosniff"


def test_who_does_not_know_the_token_learns_nothing(live: Live) -> None:
    for path in ("/", "/frame", "/state", "/nothing", "/look", "/?token=wrong", "/state?token="):
        for method in ("GET", "POST"):
            reply = ask(live.server.server_port, path, method, b"{}")
            assert (reply.status, reply.body) == (403, b""), path
            assert set(reply.headers) == {"content-length", "connection"}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Host", ["example.org", "127.0.0.1", "127.0.0.1:1", ""]),
        ("Origin", ["http://example.org", "null", "http://127.0.0.1:1"]),
    ],
)
def test_requests_for_another_host_or_from_another_page_are_refused(
    live: Live, name: str, values: list[str]
) -> None:
    port, path = live.server.server_port, f"/?token={live.server.token}"
    assert ask(port, path).status == 200
    for value in values:
        reply = ask(port, path, headers={name: value})
        assert (reply.status, reply.body) == (403, b""), value


def test_both_names_of_this_computer_are_good_and_so_is_the_page_s_own_origin(live: Live) -> None:
    port, path = live.server.server_port, f"/state?token={live.server.token}"
    for host in (f"localhost:{port}", f"127.0.0.1:{port}"):
        given = {"Host": host, "Origin": f"http://{host}"}
        assert ask(port, path, headers=given).status == 200


def test_a_wrong_cookie_is_no_token(live: Live) -> None:
    port, token = live.server.server_port, live.server.token
    name = f"shm-matte-{port}"
    for cookie in ("", "=", name, f"{name}=", f"{name}=wrong", f"shm-matte-1={token}", "\u00e9=;;"):
        assert ask(port, "/state", headers={"Cookie": cookie}).status == 403, cookie


def test_the_token_is_found_among_strange_cookies_of_other_programs(live: Live) -> None:
    port = live.server.server_port
    given = f'a={{"b": [1]}}; shm-matte-1=x; shm-matte-{port}={live.server.token}; ='
    assert ask(port, "/state", headers={"Cookie": given}).status == 200


def test_what_the_browser_is_started_with_works_once(live: Live) -> None:
    address = live.server.address_for_once()
    assert live.server.token not in address
    browser = Browser(address)
    assert browser.page.status == 200
    assert browser.get("/state").status == 200
    assert Browser(address).page.status == 403


_MALFORMED = (
    b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://[x HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /?token=%ff%00&&&=== HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
    b"\r\n\r\n",
)
_BARE = rb"(HTTP/1.1 [45]\d\d [\w -]+\r\nContent-Length: 0\r\nConnection: close\r\n\r\n)?"


def test_malformed_requests_get_a_number_at_most_and_the_page_lives_on(live: Live) -> None:
    for sent in _MALFORMED:
        with socket.create_connection(("127.0.0.1", live.server.server_port), 20) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            got = b""
            with suppress(ConnectionResetError):  # what it did not read
                while some := connection.recv(4096):
                    got += some
        assert re.fullmatch(_BARE, got), sent
    assert live.browser().page.status == 200


@pytest.mark.parametrize(
    ("wishes", "person", "rest"),
    [
        ({}, ORANGE, _GREEN),
        ({"shows": "colour", "colour": "#0000ff"}, ORANGE, (0, 0, 255)),
        ({"shows": "grey"}, ORANGE, (_LUMA, _LUMA, _LUMA)),
        ({"shows": "matte"}, (255, 255, 255), (0, 0, 0)),
        ({"shows": "original"}, ORANGE, ORANGE),
        ({"shows": "blur", "blur": 1}, ORANGE, ORANGE),
    ],
)
def test_every_view_comes_as_the_picture_it_is(
    live: Live,
    wishes: dict[str, object],
    person: tuple[int, int, int],
    rest: tuple[int, int, int],
) -> None:
    browser = live.browser()
    reply = browser.post("/look", wishes)
    assert reply.status == 200
    assert wishes.items() <= reply.facts["look"].items()
    live.source.feed()
    left, right = _sides(browser)
    assert _is_about(left, person)
    assert _is_about(right, rest)


def test_an_uploaded_picture_stands_behind_people_from_the_next_picture_on(live: Live) -> None:
    browser = live.browser()
    live.source.feed()
    assert _is_about(_sides(browser)[1], _GREEN)
    reply = browser.post("/picture?name=my%20beach.png", _picture((40, 90, 160)))
    assert reply.facts["look"]["shows"] == "picture"
    assert reply.facts["look"]["picture"] == "my beach.png"
    live.source.feed()
    left, right = _sides(browser)
    assert _is_about(left, ORANGE)
    assert _is_about(right, (40, 90, 160))


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/picture", b"this is no picture", "PNG, JPEG or WebP"),
        ("/picture", b"", "PNG, JPEG or WebP"),
        ("/look", b"no json", "JSON"),
        ("/look", b"[" * 4000, "JSON"),
        ("/look", b"[1, 2]", "JSON object"),
        ("/look", b'{"shows": "picture"}', "choose one first"),
        ("/look", b'{"shows": "nothing"}', "cannot be"),
        ("/recording", b"{}", "started or stopped"),
        ("/recording", b'{"runs": 1}', "started or stopped"),
    ],
)
def test_a_wish_that_cannot_be_gets_a_sentence_and_changes_nothing(
    live: Live, path: str, body: bytes, words: str
) -> None:
    browser = live.browser()
    before = browser.get("/state").facts["look"]
    reply = browser.post(path, body)
    assert reply.status == 409
    assert words in reply.facts["error"]
    assert browser.get("/state").facts["look"] == before


def test_what_is_too_large_is_refused_before_it_is_read(live: Live) -> None:
    browser = live.browser()
    for path, length in (("/picture", MOST_BYTES + 1), ("/look", 5000), ("/look", 10**30)):
        given = {"Cookie": browser.cookie, "Content-Length": str(length)}
        assert ask(browser.port, path, "POST", headers=given).status in (411, 413)
    assert ask(browser.port, "/look", "POST", headers={"Cookie": browser.cookie}).status == 411
    assert browser.get("/nothing").status == browser.post("/nothing", b"").status == 404


def test_the_state_tells_what_the_page_shows_beside_the_picture(live: Live, tmp_path: Path) -> None:
    browser = live.browser()
    live.source.feed()
    browser.picture()
    facts = browser.get("/state").facts
    assert facts["source"] == "the fed source"
    assert facts["matter"] == "half of the picture"
    assert (facts["width"], facts["height"]) == (WIDTH, HEIGHT)
    assert facts["latency"] > 0
    assert facts["folder"] == str(tmp_path)
    assert facts["trouble"] is None
    live.source.fail("the camera is gone")
    until(lambda: browser.get("/state").facts["trouble"] == "the camera is gone")
    assert browser.post("/recording", {"runs": True}).facts["error"].endswith("the camera is gone")


def test_a_recording_is_started_and_stopped_from_the_page_any_number_of_times(
    live: Live, tmp_path: Path
) -> None:
    browser = live.browser()
    for _ in range(2):
        started = browser.post("/recording", {"runs": True}).facts
        name = started["recording"]["name"]
        assert re.fullmatch(r"camera-\d{4}-\d\d-\d\d-\d{6}(-\d)?\.mov", name)
        live.source.feed()
        until(lambda: browser.get("/state").facts["recording"]["frames"] == 1)
        stopped = browser.post("/recording", {"runs": False}).facts
        assert stopped["recording"] is None
        assert stopped["saved"]["name"] == name
        assert len(decode(tmp_path / name)) == 1
    assert len(list(tmp_path.iterdir())) == 2


def test_several_watch_at_once_and_a_slow_one_holds_up_nobody(live: Live) -> None:
    request = f"GET /frame?after=0&token={live.server.token} HTTP/1.1\r\n"
    request += f"Host: 127.0.0.1:{live.server.server_port}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", live.server.server_port), 20) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(request.encode() * 500)  # and reads none of the answers
        first, second = live.browser(), live.browser()
        for index in range(20):
            colour = (10 * index, 255 - 10 * index, 128)
            live.source.feed(1, colour)
            for browser in (first, second):
                assert _is_about(_sides(browser)[0], colour)


def test_who_was_away_gets_the_newest_picture(live: Live) -> None:
    browser = live.browser()
    live.source.feed()
    browser.picture()
    for index in range(10):
        live.source.feed(1, (index, index, index))
        until(lambda: live.session._mattes_made == index + 2)  # noqa: B023
    until(lambda: _is_about(_sides(browser)[0], (9, 9, 9)))


def test_waiting_viewers_do_not_hold_up_the_end(live: Live) -> None:
    ended: list[int | str] = []

    def wait() -> None:
        try:
            ended.append(live.browser().get("/frame").status)
        except OSError as error:
            ended.append(type(error).__name__)

    viewers = [threading.Thread(target=wait) for _ in range(3)]
    for viewer in viewers:
        viewer.start()
    until(lambda: len(live.server._open) == 3)
    live.session.screen.close()  # as the command does first
    for viewer in viewers:
        viewer.join()
    assert ended == [204, 204, 204]


def test_idle_connections_are_hung_up_at_the_end_and_further_ones_are_not_taken(
    tmp_path: Path,
) -> None:
    screen = Screen(Look())
    session = Session(FedSource(), _gone, HalfMatter(), Recorder(tmp_path), screen)
    with PageServer(session, 0) as server:
        many = [socket.create_connection(("127.0.0.1", server.server_port)) for _ in range(60)]
        until(lambda: len(server._open) == 48)
        assert many[-1].recv(1) == b""
    assert _threads() == []
    for connection in many:
        connection.close()


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    session = Session(FedSource(), _gone, HalfMatter(), Recorder(tmp_path), Screen(Look()))
    with PageServer(session, 0) as server, pytest.raises(MattingError, match="another --port"):
        PageServer(session, server.server_port)


def test_a_bug_in_an_answer_is_logged_and_the_page_lives_on(
    live: Live, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    browser = live.browser()

    def fail(_: object) -> None:
        raise ZeroDivisionError("bug")

    monkeypatch.setattr(Session, "facts", fail)
    with pytest.raises(OSError, match="closed connection"):
        browser.get("/state")
    until(lambda: "ZeroDivisionError" in caplog.text)
    assert live.server.token not in caplog.text
    monkeypatch.undo()
    assert json.loads(browser.get("/state").body)
