"""Movies: VideoSource reads one into Frames, VideoSink writes Mattes into one; the only package
that imports av. Knows no network and no terminal."""

from cli.video.copying import copy_clip
from cli.video.info import ColourTags, Orientation, VideoInfo
from cli.video.sequence_sink import SequenceSink
from cli.video.sequence_source import SequenceSource
from cli.video.sink import SinkOptions, VideoSink
from cli.video.source import VideoSource
from cli.video.splicing import Splice, shown_at
from cli.video.streams import Window

__all__ = [
    "ColourTags",
    "Orientation",
    "SequenceSink",
    "SequenceSource",
    "SinkOptions",
    "Splice",
    "VideoInfo",
    "VideoSink",
    "VideoSource",
    "Window",
    "copy_clip",
    "shown_at",
]
