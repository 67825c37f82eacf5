"""The real process, and what it makes of pictures in all forms."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from shm_engine.compositing import from_unit, linear_to_srgb
from shm_engine.errors import DeviceError
from shm_engine.matter import Matter
from shm_engine.options import MatterOptions
from shm_engine.types import Foreground, Frame, Matte
from shm_plugin import finding
from shm_plugin.client import ALREADY_RUNNING, Preferences, connect, find_client
from shm_plugin.messages import MatteReply, MatteRequest
from shm_plugin.queueing import EngineError
from shm_plugin.worker import MatterEngine, Settings, frame_of, load_engine, parse, reply_of
from tests.plugin.workers import PATIENCE, living, reply_to, wait_until

Values = NDArray[Any]

_ALL = ("alpha", "foreground", "trimap")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHM_MATTE_RUNTIME", str(tmp_path))
    return tmp_path


def _request(values: Values, *, colour: str = "srgb") -> MatteRequest:
    """Wants everything of values [H, W, C]."""
    height, width, channels = values.shape
    dtype = {1: "u8", 2: "u16", 4: "f32"}[values.itemsize]
    return MatteRequest(
        width=width,
        height=height,
        dtype=dtype,
        channels=channels,
        colour=colour,
        wants=_ALL,
        pixels=values.tobytes(),
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
def test_whole_numbers_become_a_frame_as_they_are(dtype: type, channels: int) -> None:
    values: Values = np.arange(2 * 3 * channels, dtype=dtype).reshape(2, 3, channels) * 7
    frame = frame_of(_request(values))
    assert np.array_equal(frame.image.numpy().transpose(1, 2, 0), values[..., :3])
    assert (frame.alpha is None) == (channels == 3)
    if frame.alpha is not None:
        assert np.array_equal(frame.alpha[0].numpy(), values[..., 3])


def test_light_is_encoded_and_what_is_out_of_range_is_brought_back() -> None:
    values = np.array([[[0.5, 4.0, -1.0, 0.25], [np.nan, np.inf, 0.0, 2.0]]], np.float32)
    frame = frame_of(_request(values, colour="linear"))
    bounded = torch.tensor([[[0.5, 0.0]], [[1.0, 1.0]], [[0.0, 0.0]]])
    assert torch.equal(frame.image, linear_to_srgb(bounded))
    assert frame.alpha is not None
    assert torch.equal(frame.alpha, torch.tensor([[[0.25, 1.0]]]))


@pytest.mark.parametrize("colour", ["srgb", "linear"])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_a_reply_has_the_form_of_its_request(colour: str, dtype: type) -> None:
    values: Values = (
        np.linspace(0, 1, 18).reshape(2, 3, 3) * (1 if dtype is np.float32 else 65535)
    ).astype(dtype)
    request = _request(values, colour=colour)
    frame = frame_of(request)
    changed = Foreground(pixels=torch.tensor([0]), colours=torch.ones(3, 1).to(frame.image.dtype))
    trimap = torch.zeros(3, 2, 3)
    trimap[0, :, 0], trimap[1, :, 1], trimap[2, :, 2] = 1, 1, 1
    alpha = torch.linspace(0, 1, 6).reshape(1, 2, 3)
    reply = reply_of(request, Matte(frame=frame, alpha=alpha, trimap=trimap, foreground=changed))
    assert reply.alpha == alpha.numpy().tobytes()
    assert list(reply.trimap) == [0, 128, 255] * 2
    colours = np.frombuffer(reply.foreground, dtype).reshape(2, 3, 3).astype(np.float64)
    # There and back through the encoding for displays, in float32, or rounded to 16 bits.
    allowed = 1e-6 if dtype is np.float32 else 1
    assert np.abs(colours[1] - values[1]).max() <= allowed


def _matte(request: MatteRequest, alpha: Values, clean: float = 1.0) -> Matte:
    """A matte [H, W] of the request's picture; estimated is its first pixel, in that grey."""
    frame = frame_of(request)
    grey = torch.full((3, 1), clean)
    colours = from_unit(grey, frame.image.dtype)
    foreground = Foreground(pixels=torch.tensor([0]), colours=colours)
    return Matte(frame=frame, alpha=torch.from_numpy(alpha[None]), foreground=foreground)


def _rgba_of(reply: MatteReply, like: Values) -> Values:
    return np.frombuffer(reply.rgba, like.dtype).reshape(like.shape)


_ALPHA = np.array([[0.2, 0.4, 1.0], [0.0, 0.6, 0.8]], np.float32)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("colour", ["srgb", "linear"])
def test_an_rgba_has_the_colours_of_the_request_and_the_alpha_of_the_matte(
    dtype: type, colour: str
) -> None:
    values: Values = np.arange(24, dtype=dtype).reshape(2, 3, 4) * 9
    request = replace(_request(values, colour=colour), wants=("rgba",))
    rgba = _rgba_of(reply_of(request, _matte(request, _ALPHA)), values)
    assert np.array_equal(rgba[..., :3], values[..., :3])
    assert np.array_equal(rgba[..., 3], np.rint(_ALPHA * np.iinfo(dtype).max))
    clean = replace(request, foreground="estimate")
    rgba = _rgba_of(reply_of(clean, _matte(clean, _ALPHA)), values)
    assert (rgba[0, 0, :3] == np.iinfo(dtype).max).all()
    assert np.array_equal(rgba.reshape(6, 4)[1:, :3], values.reshape(6, 4)[1:, :3])


def test_premultiplied_light_keeps_its_highlights() -> None:
    straight = np.array([[[8.0, 0.5, 0.25]] * 3, [[0.0, 1.0, 0.125]] * 3], np.float32)
    coverage = np.array([[1.0, 0.5, 1.0], [0.0, 1.0, 1.0]], np.float32)[..., None]
    values = np.concatenate([straight * coverage, coverage], axis=2)
    request = replace(_request(values, colour="linear"), premultiplied=True, wants=("rgba",))
    expected = linear_to_srgb(torch.tensor([1.0, 0.5, 0.25]))
    assert torch.equal(frame_of(request).image[:, 0, 1], expected)
    rgba = _rgba_of(reply_of(request, _matte(request, _ALPHA)), values)
    assert np.array_equal(rgba[..., 3], _ALPHA)
    assert np.array_equal(rgba[..., :3], straight * _ALPHA[..., None])
    clean = replace(request, foreground="estimate")
    rgba = _rgba_of(reply_of(clean, _matte(clean, _ALPHA)), values)
    assert np.allclose(rgba[0, 0], [0.2] * 4)


def test_rows_that_come_bottom_up_go_back_bottom_up() -> None:
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    wants = ("alpha", "foreground", "trimap", "rgba")
    down = replace(_request(values), wants=wants)
    up = replace(_request(values[::-1].copy()), wants=wants, bottom_up=True)
    assert torch.equal(frame_of(down).image, frame_of(up).image)
    trimap = torch.eye(3).reshape(3, 1, 3).repeat(1, 2, 1)
    trimap[:, 1] = trimap[:, 1].flip(0)
    forms = [replace(_matte(each, _ALPHA), trimap=trimap) for each in (down, up)]
    one, other = reply_of(down, forms[0]), reply_of(up, forms[1])
    for name, size in (("alpha", 12), ("foreground", 9), ("trimap", 3), ("rgba", 12)):
        rows = [getattr(reply, name) for reply in (one, other)]
        assert rows[0][:size] == rows[1][size:], name
        assert rows[0][size:] == rows[1][:size], name
        assert rows[0] != rows[1], name


def test_only_what_is_wanted_is_sent() -> None:
    request = MatteRequest(width=1, height=1, pixels=bytes(3), wants=("trimap",))
    frame = Frame(image=torch.zeros(3, 1, 1))
    matte = Matte(frame=frame, alpha=torch.ones(1, 1, 1), trimap=torch.zeros(3, 1, 1))
    reply = reply_of(request, matte)
    assert (reply.alpha, reply.foreground, len(reply.trimap)) == (b"", b"", 1)
    with pytest.raises(EngineError, match="gives no trimap"):
        reply_of(request, Matte(frame=frame, alpha=torch.ones(1, 1, 1)))


def test_what_is_wrong_with_weights_or_device_is_one_sentence(tmp_path: Path) -> None:
    settings = parse(["--device", "cpu", "--model", str(tmp_path / "none.safetensors")])
    with pytest.raises(EngineError, match=r"none\.safetensors"):
        load_engine(settings)

    class Full:
        description, options = "", MatterOptions()

        def drafts(self, _: object) -> object:
            raise DeviceError("cuda ran out of memory")

    full: Any = Full()
    engine = MatterEngine(full, lambda _: full)
    with pytest.raises(EngineError, match="ran out of memory"):
        engine.matte(_request(np.zeros((1, 1, 3), np.uint8)), lambda _share, _text: None)


def test_a_request_may_want_another_device_or_size(random_weights: Path) -> None:
    options = MatterOptions(device="cpu", long_side_pixels=64, backend="eager")
    loaded: list[MatterOptions] = []

    def load(wanted: MatterOptions) -> Matter:
        loaded.append(wanted)
        return Matter.load(random_weights, wanted)

    engine = MatterEngine(load(options), load)
    own = _request(np.zeros((8, 8, 3), np.uint8))
    other = replace(own, size=96)
    for request in (own, other, other, own):
        engine.matte(request, lambda _share, _text: None)
    assert [wanted.long_side_pixels for wanted in loaded] == [64, 96, 64]
    with pytest.raises(EngineError, match="abacus"):
        engine.matte(replace(own, device="abacus"), lambda _share, _text: None)
    assert engine.matte(own, lambda _share, _text: None).alpha


def test_the_command_line_says_how_to_work() -> None:
    settings = parse(["--idle", "5", "--device", "cpu", "--size", "256", "--backend", "eager"])
    wanted = MatterOptions(device="cpu", long_side_pixels=256, backend="eager")
    assert settings == Settings(options=wanted, limits=settings.limits)
    assert settings.limits.idle_seconds == 5


def test_the_process_says_nothing_on_stdout_and_ends_when_asked(folder: Path) -> None:
    command = [sys.executable, "-m", "shm_plugin.worker", "--model", "none.safetensors"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_until(lambda: finding.read_runtime(folder))
        second = subprocess.run(command, capture_output=True, check=False)
        assert (second.returncode, second.stdout) == (ALREADY_RUNNING, b"")
        assert b"runs already" in second.stderr
        client = find_client(folder)
        assert client is not None
        with closing(client):
            wait_until(lambda: client.status().state == "failed")
            assert "none.safetensors" in client.status().text
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (0, b"")
    assert b"Traceback" not in err
    assert finding.read_runtime(folder) is None


def test_a_matter_works_for_hosts(folder: Path, random_weights: Path) -> None:
    options = MatterOptions(device="cpu", long_side_pixels=64, backend="eager", smoothing="off")
    values = np.random.default_rng(0).integers(0, 256, (40, 56, 4), np.uint8)
    with (
        living(folder, lambda: load_engine(_settings(options, random_weights))),
        closing(connect(Preferences(engine="/nowhere"))) as client,
    ):
        reply = reply_to(client, _request(values))
    request = _request(values)
    (matte,) = Matter.load(random_weights, options).mattes([frame_of(request)])
    assert reply.alpha == matte.alpha.numpy().tobytes()
    assert reply.foreground == matte.colours.numpy().transpose(1, 2, 0).tobytes()


def _settings(options: MatterOptions, weights: Path) -> Settings:
    return Settings(options=options, limits=parse([]).limits, model=str(weights))


@pytest.mark.long
def test_a_real_process_gives_the_alpha_of_the_engine_itself(
    folder: Path, sample_clip: Path
) -> None:
    from cli.video import VideoSource

    with VideoSource(sample_clip) as movie:
        frame = next(iter(movie))
    image = np.ascontiguousarray(frame.image.numpy().transpose(1, 2, 0))
    preferences = Preferences(engine=sys.executable, arguments=("--device", "cpu", "--idle", "60"))
    with closing(connect(preferences)) as client:
        reply = reply_to(client, _request(image))
        assert client.status().text.startswith("shm")
        client.shut_down()
    assert finding.read_runtime(folder) is None
    options = MatterOptions(device="cpu")
    (matte,) = Matter.load(None, options).mattes([Frame(image=frame.image)])
    assert reply.alpha == matte.alpha.numpy().tobytes()
    assert reply.foreground == matte.colours.numpy().transpose(1, 2, 0).tobytes()
    assert set(reply.trimap) == {0, 128, 255}
