"""How a result is delivered: from a file name, codec or editor to a profile; writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.formats.editors import EDITORS
from cli.formats.numbering import is_pattern
from cli.formats.profiles import ALPHA_MODES, PROFILES, OutputProfile
from shm_engine.errors import OptionsError, VideoError

CODECS = tuple(profile.name for profile in PROFILES)

# Containers people ask for that hold no alpha: some accept it and drop it without an error.
_WITHOUT_ALPHA = (".mp4", ".m4v", ".mpg", ".mpeg", ".ts", ".mts", ".wmv", ".flv", ".3gp", ".ogv")


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """How a result is stored; None leaves the choice to the name of the output.

    codec: the name of a profile.
    editor: the program that is to open it, a name in EDITORS.
    alpha: one of ALPHA_MODES; None is what the format is used to.
    """

    codec: str | None = None
    editor: str | None = None
    alpha: str | None = None

    def __post_init__(self) -> None:
        if self.codec is not None and self.codec not in CODECS:
            raise OptionsError(f"there is no codec {self.codec!r}; use one of {', '.join(CODECS)}")
        if self.editor is not None and self.editor not in EDITORS:
            raise OptionsError(
                f"--for {self.editor!r} is not known; use one of {', '.join(EDITORS)}"
            )
        if self.codec is not None and self.editor is not None:
            raise OptionsError("--codec and --for both choose the format; give one of them")
        if self.alpha is not None and self.alpha not in ALPHA_MODES:
            raise OptionsError(f"alpha is {self.alpha!r}; use one of {', '.join(ALPHA_MODES)}")

    def named(self, path: Path) -> Path:
        """`path` with the usual suffix; for a sequence, numbered pictures in a folder of the name.

        Without any wish that is .mov.
        """
        profile = self._profiles()[0]
        suffix = profile.suffixes[0]
        return path / f"%05d{suffix}" if profile.is_sequence else path.with_name(path.name + suffix)

    def profile_for(self, path: Path, *, needs_alpha: bool) -> OutputProfile:
        """The profile for the name of `path`.

        VideoError where alpha would be lost or the name does not fit, with one that does.
        """
        wanted = self._profiles()
        fitting = [profile for profile in wanted if _fits(profile, path)]
        usable = [profile for profile in fitting if profile.has_alpha or not needs_alpha]
        if usable:
            return usable[0]
        problem = self._problem(path, wanted, bool(fitting), needs_alpha)
        raise VideoError(f"{path}: {problem}", path=path)

    def _profiles(self) -> Sequence[OutputProfile]:
        by_name = {profile.name: profile for profile in PROFILES}
        if self.codec is not None:
            return (by_name[self.codec],)
        if self.editor is not None:
            known = EDITORS[self.editor]
            return [by_name[name] for name in (*known.profiles, *known.opaque)]
        return PROFILES

    def _problem(
        self, path: Path, wanted: Sequence[OutputProfile], fits: bool, needs_alpha: bool
    ) -> str:
        suffix = path.suffix.lower()
        able = [profile for profile in wanted if profile.has_alpha or not needs_alpha]
        examples = dict.fromkeys(
            f"%05d{profile.suffixes[0]}" if profile.is_sequence else profile.suffixes[0]
            for profile in able
        )
        advice = f"use {' or '.join(examples)}" if examples else "use prores4444 or vp9"
        if needs_alpha and (fits or suffix in _WITHOUT_ALPHA):
            return f"{suffix} cannot hold an alpha channel; {advice}, or --pass composite"
        is_numbered = is_pattern(path)
        if any(suffix in known.suffixes and known.is_sequence != is_numbered for known in wanted):
            if is_numbered:
                return f"{suffix} holds a whole movie; write a name without a number"
            return f"{suffix} holds one picture; write {path.stem}/%05d{suffix}, or use .mov"
        if not suffix:
            return f"the name has no suffix to say its format; {advice}"
        if self.editor is not None:
            return f"{EDITORS[self.editor].title} takes no alpha from {suffix}; {advice}"
        if self.codec is not None:
            return f"{self.codec} is not written to {suffix}; {advice}"
        return f"{suffix} is no format that can be written; {advice}"


def _fits(profile: OutputProfile, path: Path) -> bool:
    return path.suffix.lower() in profile.suffixes and profile.is_sequence == is_pattern(path)
