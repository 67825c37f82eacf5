"""What can be read and written here: whether FFmpeg has the codec, and a second of film through
every profile; knows no network but the one it is given."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cli.doctor import sample
from cli.doctor.findings import Finding, Mark, look
from cli.doctor.network import Network
from cli.formats.delivery import Delivery
from cli.formats.profiles import PROFILES, OutputProfile
from cli.jobs.job import Job
from cli.jobs.performing import perform
from cli.progress import Silence
from shm_engine.errors import MattingError

if TYPE_CHECKING:
    from cli.video import VideoInfo
    from shm_engine.matter import Matter
    from shm_engine.types import Draft, Frame, Matte

# What people call a codec, and FFmpeg's decoders of it, any of which will do.
_PICTURES = {
    "H.264": ("h264",),
    "HEVC": ("hevc",),
    "ProRes": ("prores",),
    "VP9": ("vp9",),
    # FFmpeg's own "av1" is nothing without a graphics card.
    "AV1": ("libdav1d", "libaom-av1", "libgav1"),
    "DNxHD": ("dnxhd",),
    "MPEG-2": ("mpeg2video",),
}
_SOUND = {
    "AAC": ("aac",),
    "MP3": ("mp3", "mp3float"),
    "Opus": ("opus", "libopus"),
    "PCM": ("pcm_s16le",),
}

# How far the mean of an alpha may be from what was written: lossy codecs stay below a hundredth.
_LARGEST_DIFFERENCE = 0.02


def decoders() -> Iterator[Finding]:
    """Whether the codecs of usual movies can be read."""
    if not _has_pyav():
        yield _without("PyAV")
        return
    yield look("pictures", partial(_decoders, "pictures", _PICTURES))
    yield look("sound", partial(_decoders, "sound", _SOUND))


def encoders() -> Generator[Finding, None, None]:
    """Whether FFmpeg has what every profile needs; writes nothing."""
    if not _has_pyav():
        yield _without("PyAV")
        return
    for profile in PROFILES:
        yield look(profile.name, partial(_encoder, profile))


def round_trips(network: Network) -> Generator[Finding, None, None]:
    """A second of film matted into every profile and read again, in a folder that vanishes."""
    if network.matter is None:
        yield _without("a network")
    if network.matter is None or not _has_pyav():
        yield from encoders()
        return
    with ExitStack() as stack:
        made: list[Path] = []

        def make() -> Finding:
            folder = tempfile.TemporaryDirectory(prefix="shm-doctor-")
            made.append(sample.write_sample(Path(stack.enter_context(folder))))
            return Finding(
                name="sample",
                words=f"{sample.FRAMES} frames with sound, {sample.WIDTH} x {sample.HEIGHT}, "
                "matted into every format and read again:",
            )

        yield look("sample", make)
        for profile in PROFILES:
            check = partial(_round_trip, profile, made[0], network.matter) if made else None
            yield look(profile.name, check or partial(_encoder, profile))


def _has_pyav() -> bool:
    """Why not is told where libraries are looked at."""
    try:
        import_module("cli.video.abilities")
    except ImportError:
        return False
    return True


def _without(what: str) -> Finding:
    return Finding(name="formats", mark=Mark.NOTE, words=f"not tried without {what}")


def _decoders(name: str, wanted: Mapping[str, tuple[str, ...]]) -> Finding:
    from cli.video.abilities import has_decoder

    here = {codec: any(map(has_decoder, names)) for codec, names in wanted.items()}
    words = ", ".join(codec for codec in here if here[codec])
    missing = [codec for codec in here if not here[codec]]
    if missing:
        words = f"{words or 'nothing'}; this FFmpeg was built without {', '.join(missing)}"
        return Finding(name=name, mark=Mark.NOTE, words=words, facts=here)
    return Finding(name=name, words=words, facts=here)


def _encoder(profile: OutputProfile) -> Finding:
    from cli.video.abilities import has_encoder, has_muxer

    kinds = ((profile.codec, has_encoder), (profile.container, has_muxer))
    missing = [name for name, is_here in kinds if not is_here(name)]
    if missing:
        raise MattingError(
            f"this FFmpeg was built without {' and '.join(missing)}; install PyAV from its wheel"
        )
    return Finding(
        name=profile.name,
        words=_codec_in_words(profile),
        facts={"codec": profile.codec, "container": profile.container},
    )


def _codec_in_words(profile: OutputProfile) -> str:
    return f"{profile.codec}, {profile.suffixes[0]}{' files' if profile.is_sequence else ''}"


def _round_trip(profile: OutputProfile, source: Path, matter: Matter) -> Finding:
    looked_up = _encoder(profile)
    delivery = Delivery(codec=profile.name)
    target = delivery.named(source.with_name(profile.name))
    target.parent.mkdir(exist_ok=True)
    # A format without alpha gets the matte itself.
    pass_name = "rgba" if profile.has_alpha else "alpha"
    job = Job(source=source, target=target, delivery=delivery, pass_name=pass_name)
    noting = _Noting(matter)
    started = time.monotonic()
    perform(job, Silence(), lambda _, __: cast("Matter", noting))
    info, means = _read_again(target, profile)
    seconds = time.monotonic() - started
    _compare(means, noting.means)
    if not (info.has_audio or profile.is_sequence):
        raise MattingError("its sound did not come back; use another format, and report it")
    what = ["alpha" if profile.has_alpha else "matte"] + ["sound"] * info.has_audio
    return Finding(
        name=profile.name,
        words=f"{looked_up.words}: {' and '.join(what)} came back, {seconds:.1f} s",
        facts={
            **looked_up.facts,
            "frames": len(means),
            "has_alpha": profile.has_alpha,
            "has_sound": info.has_audio,
            "seconds": round(seconds, 3),
        },
    )


def _read_again(path: Path, profile: OutputProfile) -> tuple[VideoInfo, list[float]]:
    """What the file says of itself, and the mean of every frame's matte."""
    from cli.video import SequenceSource, VideoSource
    from shm_engine.compositing import as_unit

    kind = SequenceSource if profile.is_sequence else VideoSource
    means = []
    with kind(path) as source:
        for frame in source:
            matte = frame.alpha if profile.has_alpha else frame.image
            if matte is None:
                raise MattingError("its alpha did not come back; use another format, and report it")
            means.append(float(as_unit(matte).mean()))
        return source.info, means


def _compare(found: list[float], written: list[float]) -> None:
    if not len(found) == len(written) == sample.FRAMES:
        raise MattingError(
            f"{len(found)} of {sample.FRAMES} frames came back; use another format, and report it"
        )
    pairs = zip(found, written, strict=True)
    # Not "more than": what is no number is wrong too.
    if not all(abs(read - wrote) <= _LARGEST_DIFFERENCE for read, wrote in pairs):
        raise MattingError("another matte came back; use another format, and report it")


class _Noting:
    """A Matter that remembers the mean of every alpha."""

    def __init__(self, matter: Matter) -> None:
        self._matter = matter
        self.means: list[float] = []

    def mattes(self, frames: Iterable[Frame], since: Draft | None = None) -> Iterator[Matte]:
        made = self._matter.mattes(frames) if since is None else self._matter.mattes(frames, since)
        for matte in made:
            self.means.append(float(matte.alpha.mean()))
            yield matte
