"""Serves the page to this computer alone: connections, threads and the token; knows no request.

Who knows the token may watch and record. It is in the address that is told to the user; the browser
that is opened gets another one that works once, for all users may read what programs are started
with.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import socket
import socketserver
import sys
import threading
from contextlib import suppress
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from cli.camera.answering import Handler
from cli.camera.newest import Task
from shm_engine.errors import MattingError

if TYPE_CHECKING:
    from cli.camera.session import Session

_log = logging.getLogger(__name__)

HOST = "127.0.0.1"

# A thread each. Pages ask over two or three.
_MOST_CONNECTIONS = 48


class PageServer(ThreadingHTTPServer):
    """Serves from the beginning of its block to the end; then all its threads have ended."""

    daemon_threads = False  # so that closing waits for them
    request_queue_size = _MOST_CONNECTIONS
    # Not on Windows, where it would let others take the port.
    allow_reuse_address = sys.platform != "win32"

    def __init__(self, session: Session, port: int) -> None:
        """port: 0 takes one that is free. MattingError if it is taken."""
        self.session = session
        self.token = secrets.token_urlsafe()
        self._ticket: str | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        try:
            super().__init__((HOST, port), Handler)
        except (OSError, OverflowError) as error:
            raise MattingError(
                f"port {port} cannot be used; give another --port, or 0 for one that is free"
            ) from error
        self._task = Task("shm-camera-server", self._serve, threading.Event())

    @property
    def address(self) -> str:
        """For the user: good until the end."""
        return f"http://{HOST}:{self.server_port}/?token={self.token}"

    def address_for_once(self) -> str:
        """For whoever is started with it: good for one request, which brings the cookie."""
        self._ticket = secrets.token_urlsafe()
        return f"http://{HOST}:{self.server_port}/?token={self._ticket}"

    def admits(self, given: str) -> bool:
        """Whether this is the token, or a ticket that was not used yet."""
        if _same(given, self.token):
            return True
        with self._lock:
            is_good = self._ticket is not None and _same(given, self._ticket)
            if is_good:
                self._ticket = None
            return is_good

    def __enter__(self) -> Self:
        self._task.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()
        self._task.join()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):  # the other end was faster
                    connection.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for it
        self.server_close()

    def server_bind(self) -> None:
        """As usual, but without asking the network for the name of this computer."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own, unless there are too many."""
        with self._lock:
            is_welcome = len(self._open) < _MOST_CONNECTIONS
            if is_welcome:
                self._open.add(request)
        if is_welcome:
            super().process_request(request, client_address)
        else:
            super().shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """A page may go away at any time; anything else is told in the log."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            _log.warning("a request of the page failed: %r", error)

    def _serve(self) -> None:
        self.serve_forever(poll_interval=0.05)


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), token.encode())
