"""Movies from the network: only if asked, only over http, and failures in one sentence."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from cli.formats.addresses import address_of
from cli.video import VideoSource
from shm_engine.errors import VideoError
from shm_engine.types import Frame
from tests.cli.clips import Clip
from tests.cli.cutouts import Cutout

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class _Handler(SimpleHTTPRequestHandler):
    """Serves files and parts of them; "/cut/NAME" breaks off after half of it."""

    def do_GET(self) -> None:
        is_cut = self.path.startswith("/cut/")
        path = Path(self.directory) / self.path.rsplit("/", 1)[-1]
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        end = len(data) * 2 // 3 if is_cut else len(data)
        try:
            self.wfile.write(data[start:end])
        except ConnectionError:  # FFmpeg has seen enough and seeks
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing on the terminal."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The address of a server for the files of tmp_path."""
    handler = partial(_Handler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def read(source: VideoSource) -> list[Frame]:
    with source:
        return list(source)


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("clip.mp4", Clip(frames=6)),
        ("clip.mkv", Clip(frames=6, codec="ffv1", options={})),
        (
            "alpha.webm",
            Cutout(codec="libvpx-vp9", pixel_format="yuva420p", options={"deadline": "realtime"}),
        ),
    ],
)
def test_a_movie_from_the_network_is_the_movie_on_disk(
    tmp_path: Path, site: str, name: str, clip: Clip | Cutout
) -> None:
    here = read(VideoSource(clip.write(tmp_path / name)))
    for address in (f"{site}/{name}", Path(f"{site}/{name}")):
        source = VideoSource(address, allow_url=True)
        there = read(source)
        assert source.info.path is None
        assert source.info.frame_count in (len(here), None)
        for one, other in zip(there, here, strict=True):
            assert (one.pts, one.time_base) == (other.pts, other.time_base)
            assert torch.equal(one.image, other.image)
            assert (one.alpha is None) == (other.alpha is None)


def test_an_address_is_not_read_unless_asked(tmp_path: Path, site: str) -> None:
    Clip(frames=2).write(tmp_path / "clip.mp4")
    sentence = re.escape(f"{site}/clip.mp4 is an address; add --url to read from the network")
    for address in (f"{site}/clip.mp4", Path(f"{site}/clip.mp4")):
        with pytest.raises(VideoError, match=sentence), VideoSource(address):
            pass


@pytest.mark.parametrize("path", ["missing.mp4", "text.mp4"])
def test_what_cannot_be_read_from_there_is_said_in_one_sentence(
    tmp_path: Path, site: str, path: str
) -> None:
    (tmp_path / "text.mp4").write_text("no movie")
    with pytest.raises(VideoError) as caught, VideoSource(f"{site}/{path}", allow_url=True):
        pass
    message = str(caught.value)
    assert message.startswith(f"{site}/{path} ")
    if path == "missing.mp4":
        assert message.endswith("cannot be opened (Server returned 404 Not Found); check the "
                                "address and the connection")  # fmt: skip
    else:
        assert "is not a movie that can be read" in message


def test_a_server_that_is_not_there_is_said_in_one_sentence() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/clip.mp4"
    sentence = r"cannot be opened \(Connection refused\); check the address and the connection"
    with pytest.raises(VideoError, match=sentence), VideoSource(address, allow_url=True):
        pass


def test_a_connection_that_breaks_off_is_no_end(tmp_path: Path, site: str) -> None:
    name = "clip.mkv"
    Clip(frames=12, codec="ffv1", options={}).write(tmp_path / name)
    with pytest.raises(VideoError, match="broke off at frame"):
        read(VideoSource(f"{site}/cut/{name}", allow_url=True))
    source = VideoSource(f"{site}/cut/{name}", allow_url=True, keep_partial=True)
    frames = read(source)
    assert 0 < len(frames) < 12
    assert source.broken_after == len(frames)


def test_a_playlist_cannot_lead_to_a_file_of_this_machine(tmp_path: Path, site: str) -> None:
    secret = Clip(frames=3, options={"qp": "0", "bf": "0"}).write(tmp_path / "secret.ts")
    for line in (str(secret), f"file:{secret}", f"subfile,,start,0,end,0,,:{secret}"):
        (tmp_path / "list.m3u8").write_text(
            f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{line}\n#EXT-X-ENDLIST\n"
        )
        with pytest.raises(VideoError), VideoSource(f"{site}/list.m3u8", allow_url=True):
            pass


@pytest.mark.parametrize(
    "text", ["file:///tmp/clip.mp4", "concat:a.ts|b.ts", "rtmp://host/clip", "ftp://host/a.mp4"]
)
def test_other_addresses_are_files_that_do_not_exist(text: str) -> None:
    with pytest.raises(VideoError, match="does not exist"), VideoSource(text, allow_url=True):
        pass


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://host/a b.mp4", "http://host/a b.mp4"),
        ("HTTPS://Host:81/x?y=1", "https://Host:81/x?y=1"),
        (Path("http://host/a.mp4"), "http://host/a.mp4"),
        ("http.mp4", None),
        ("http:", None),
        ("./http://x", None),
        ("clip.mp4", None),
        ("file:///a.mp4", None),
    ],
)
def test_addresses_are_told_from_paths(text: str | Path, address: str | None) -> None:
    assert address_of(text) == address
