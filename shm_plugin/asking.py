"""One picture to the engine, and its reply.

Knows no host and nothing of what becomes of the reply: hosts get a copy of this file. Standard
library only, Python 3.10 or newer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from .client import Client, Preferences, WorkerError, connect
from .jobs import Tell
from .messages import MatteReply, MatteRequest


def ask(engine: str, request: MatteRequest, tell: Tell) -> MatteReply:
    """The reply of the engine, which is started if need be; engine: as in Preferences.

    Raises WorkerError, of which Cancelled where the user has had enough.
    """
    with reaching(engine, request, tell) as client:
        return reply(client, request, tell)


@contextmanager
def reaching(engine: str, request: MatteRequest, tell: Tell) -> Iterator[Client]:
    """A client of the engine. One that has to be started loads what `request` will ask for."""
    # Not its device: where that cannot be used, the engine could not be asked for another one.
    arguments = ("--size", str(request.size)) if request.size else ()
    preferences = Preferences(engine=engine, arguments=arguments)
    with closing(connect(preferences, told=lambda words: tell(0, words))) as client:
        tell.when_stopped(client.cancel)
        yield client


def reply(client: Client, request: MatteRequest, tell: Tell) -> MatteReply:
    """The reply to the request; errors as of `ask`."""
    for item in client.matte(request):
        if isinstance(item, MatteReply):
            return item
        tell(item.share, item.text)
    raise WorkerError("The engine did not answer; try again.")
