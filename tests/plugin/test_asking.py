"""A picture to the engine, as every host asks it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from shm_plugin import asking
from shm_plugin.client import Cancelled, Preferences
from shm_plugin.jobs import Tell
from shm_plugin.messages import MatteReply, MatteRequest, Progress
from tests.plugin.workers import wait_until

REQUEST = MatteRequest(width=1, height=1, device="cuda", size=1024, pixels=bytes(3))
REPLY = MatteReply(id=0, width=1, height=1, alpha=bytes(4), foreground=b"", trimap=b"", rgba=b"")


class StandIn:
    """In the place of `connect`, and of the client it gives."""

    def __init__(self) -> None:
        self.preferences: list[Preferences] = []
        self.did: list[str] = []

    def __call__(self, preferences: Preferences, *, told: Any) -> Any:
        self.preferences.append(preferences)
        told("starting the engine")
        return SimpleNamespace(
            matte=self.matte,
            cancel=lambda: self.did.append("cancel"),
            close=lambda: self.did.append("close"),
        )

    def matte(self, request: MatteRequest) -> Any:
        assert request == REQUEST
        yield Progress(id=0, share=0.5, text="half")
        yield REPLY


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    made = StandIn()
    monkeypatch.setattr(asking, "connect", made)
    return made


def test_progress_is_told_and_the_connection_is_closed(stand_in: StandIn) -> None:
    told: list[tuple[float, str]] = []
    tell = Tell(lambda share, text: told.append((share, text)))
    assert asking.ask("an engine", REQUEST, tell) is REPLY
    assert told == [(0, "starting the engine"), (0.5, "half")]
    assert stand_in.did == ["close"]


def test_a_new_engine_is_not_bound_to_a_device_that_may_not_work(stand_in: StandIn) -> None:
    asking.ask("an engine", REQUEST, Tell())
    (preferences,) = stand_in.preferences
    assert preferences == Preferences(engine="an engine", arguments=("--size", "1024"))


def test_who_has_had_enough_cancels_the_request(stand_in: StandIn) -> None:
    tell = Tell()
    with asking.reaching("", REQUEST, tell):
        tell.stop()
        wait_until(lambda: stand_in.did == ["cancel"])
        with pytest.raises(Cancelled):
            tell(0.5, "on")
    assert stand_in.did == ["cancel", "close"]
