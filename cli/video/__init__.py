"""Movies: VideoSource reads one into Frames, VideoSink writes Mattes into one; the only package
that imports av. Knows no network and no terminal."""

from cli.video.copying import copy_clip
from cli.video.info import ColourTags, Orientation, VideoInfo
from cli.video.sequence_sink import SequenceSink
from cli.video.sink import SinkOptions, VideoSink
from cli.video.source import VideoSource

__all__ = [
    "ColourTags",
    "Orientation",
    "SequenceSink",
    "SinkOptions",
    "VideoInfo",
    "VideoSink",
    "VideoSource",
    "copy_clip",
]
