"""A message as one frame on a socket, there and back, whatever the other side may do.

Knows no message's meaning and no engine: hosts get a copy of this file. Standard library only,
Python 3.10 or newer.

A frame: MAGIC, the version of the framing (2 bytes), the length of the header (4 bytes), all
big-endian; the header, a JSON object in UTF-8 with kind, fields and lengths of blobs; the blobs.
"""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from contextlib import suppress

from .messages import (
    BLOB_LIMIT,
    HEADER_LIMIT,
    Message,
    ProtocolError,
    build,
    parse,
    take_apart,
)

MAGIC = b"SHMW"
FRAMING = 1

_PREFIX = struct.Struct("!4sHI")
# What is read at a time: memory grows with what arrives, not with what is announced.
_CHUNK = 1 << 20


class Channel:
    """Messages over one connected socket: sent by any thread, received by one."""

    def __init__(self, connection: socket.socket, *, message_seconds: float = 60.0) -> None:
        """Takes over the socket; a message has to pass within `message_seconds`."""
        # Non-blocking for good: a timeout of the socket would be that of both directions.
        connection.setblocking(False)
        with suppress(OSError):
            # Else TCP holds a small message back until the one before is acknowledged: 40 ms.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection
        self._seconds = message_seconds
        self._sending = threading.Lock()

    def send(self, message: Message) -> None:
        """Sends it whole. After a ProtocolError nothing more can be sent."""
        header, blobs = take_apart(message)
        prefix = _PREFIX.pack(MAGIC, FRAMING, len(header))
        deadline = time.monotonic() + self._seconds
        with self._sending:
            for part in (prefix + header, *blobs):
                self._write(memoryview(part), deadline)

    def receive(
        self,
        *,
        patience: float | None = None,
        message_seconds: float | None = None,
        blob_limit: int = BLOB_LIMIT,
    ) -> Message | None:
        """The next message, or None where the other side ended in good order.

        patience: seconds until it must have begun; None waits for ever. message_seconds: from there
        to its end, if not those of the channel. blob_limit: the most bytes that its blobs may have
        together. ProtocolError for all that is not a message.
        """
        first = self._read(1, None if patience is None else time.monotonic() + patience, b"")
        if not first:
            return None
        deadline = time.monotonic() + (message_seconds or self._seconds)
        prefix = first + self._read(_PREFIX.size - 1, deadline)
        magic, framing, length = _PREFIX.unpack(prefix)
        if magic != MAGIC or framing != FRAMING:
            raise ProtocolError("this is no message of Human Matte")
        if length > HEADER_LIMIT:
            raise ProtocolError(f"a header of {length} bytes is announced; {HEADER_LIMIT} is most")
        header, lengths = parse(self._read(length, deadline))
        if sum(lengths) > blob_limit:
            raise ProtocolError(f"{sum(lengths)} bytes are announced; {blob_limit} is most")
        return build(header, [self._read(each, deadline) for each in lengths])

    def close(self) -> None:
        """Ends both directions; a thread that waits in `receive` gets None or a ProtocolError."""
        with suppress(OSError):
            # Without it a thread that waits for the socket would not notice.
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def _read(self, count: int, deadline: float | None, at_end: bytes | None = None) -> bytes:
        """`count` bytes; `at_end` instead where the stream ends before, if it is not None."""
        got = bytearray()
        while len(got) < count:
            try:
                some = self._connection.recv(min(count - len(got), _CHUNK))
            except (BlockingIOError, InterruptedError):
                self._wait(selectors.EVENT_READ, deadline)
                continue
            except OSError as error:
                raise ProtocolError(f"the connection broke: {error}") from error
            if not some:
                if at_end is None:
                    raise ProtocolError("the connection ended within a message")
                return at_end
            got += some
        return bytes(got)

    def _write(self, rest: memoryview, deadline: float) -> None:
        while rest:
            try:
                rest = rest[self._connection.send(rest[:_CHUNK]) :]
            except (BlockingIOError, InterruptedError):
                self._wait(selectors.EVENT_WRITE, deadline)
            except OSError as error:
                raise ProtocolError(f"the connection broke: {error}") from error

    def _wait(self, event: int, deadline: float | None) -> None:
        left = None if deadline is None else deadline - time.monotonic()
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._connection, event)
                ready = (left is None or left > 0) and selector.select(left)
        except (OSError, ValueError) as error:
            raise ProtocolError("the connection was closed") from error
        if not ready:
            raise ProtocolError("the other side took too long")
