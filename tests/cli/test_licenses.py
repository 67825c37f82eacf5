"""shm-matte licenses: nothing that is installed is left out, nothing is claimed for it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

import pytest

from cli import licenses
from cli import main as door
from cli.licenses import NOT_STATED, Terms, installed, stated_licence, terms_of
from shm_engine import MattingError, __version__

Install = Callable[..., None]


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int | str | None, str, str]:
    with pytest.raises(SystemExit) as ended:
        door.main(["licenses", *arguments])
    shown = capsys.readouterr()
    return ended.value.code, shown.out, shown.err


def _shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code, shown, errors = _run(capsys, *arguments)
    assert (code, errors) == (0, "")
    return shown


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a package into a folder on the path as pip does: metadata, files and their list."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(name: str, metadata: str = "", files: dict[str, str] | None = None) -> None:
        folder = f"{name.replace('-', '_')}-1.0.dist-info"
        head = f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n"
        own = {f"{folder}/METADATA": head + metadata}
        every = own | {k.replace("INFO", folder): v for k, v in (files or {}).items()}
        for path, text in every.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text, encoding="utf-8")
        record = "".join(f"{path},sha256=x,1\n" for path in every)
        (tmp_path / folder / "RECORD").write_text(record)

    return put


def _terms(name: str) -> Terms:
    return terms_of(distribution(name))


def test_program_weights_and_every_declared_dependency_are_shown(
    capsys: pytest.CaptureFixture[str], repository: Path
) -> None:
    shown = _shown(capsys)
    assert shown.startswith(f"semantic-human-matting {__version__}: Apache-2.0\n")
    assert "MakeHuman" in shown
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    for requirement in project["dependencies"]:
        name = re.split(r"[<>=]", requirement)[0]
        assert re.search(rf"^{name} {re.escape(version(name))} +\S", shown, re.MULTILINE)


def test_json_holds_the_same_and_the_texts_only_when_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    brief: dict[str, Any] = json.loads(_shown(capsys, "--json"))
    full: dict[str, Any] = json.loads(_shown(capsys, "--json", "--full"))
    assert brief["weights"].startswith(licenses.WEIGHTS_HEADING)
    numpy = next(each for each in full["dependencies"] if each["name"] == "numpy")
    assert "Redistribution" in "".join(numpy["texts"].values())
    assert "Apache License" in "".join(full["program"]["texts"].values())
    for each in [full["program"], *full["dependencies"]]:
        del each["texts"]
    assert full == brief


def test_full_shows_the_licence_texts_and_where_none_is(
    capsys: pytest.CaptureFixture[str], install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("top", "Requires-Dist: bare\n", {"INFO/licenses/LICENSE": "All rights shared.\n"})
    install("bare")
    monkeypatch.setattr(licenses, "PROGRAM", "top")
    brief = _shown(capsys)
    full = _shown(capsys, "--full")
    assert "All rights shared." not in brief
    assert full.startswith(brief.rstrip("\n"))
    assert "==== top 1.0: top-1.0.dist-info/licenses/LICENSE\n\nAll rights shared.\n" in full
    assert "==== bare 1.0: no licence text is installed" in full


def test_nothing_slow_is_imported() -> None:
    script = (
        "import sys\n"
        "from cli.main import main\n"
        "try:\n"
        "    main(['licenses', '--json', '--full'])\n"
        "except SystemExit:\n"
        "    slow = {'torch', 'av', 'cv2', 'numpy', 'scipy', 'safetensors'}\n"
        "    print(slow & set(sys.modules), file=sys.stderr)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert ended.stderr == "set()\n"


@pytest.mark.parametrize("card", [None, "# Model card\n\n## Database\n\nnone\n"])
def test_a_model_card_that_names_no_data_is_one_sentence(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    card: str | None,
) -> None:
    monkeypatch.setattr(licenses, "files", lambda _: tmp_path)
    if card is not None:
        (tmp_path / "weights").mkdir()
        (tmp_path / "weights" / "MODEL_CARD.md").write_text(card)
    code, shown, errors = _run(capsys)
    assert (code, shown) == (1, "")
    assert errors.startswith("shm-matte: the model card has no section '## Data'")
    assert errors.count("\n") == 1


def test_the_section_of_the_model_card_ends_where_the_next_begins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "weights").mkdir()
    card = (
        "# Card\n\n## Use\n\na\n\n## Data and licences\n\nb\n\n### More\n\nc\n\n## Figures\n\nd\n"
    )
    (tmp_path / "weights" / "MODEL_CARD.md").write_text(card)
    monkeypatch.setattr(licenses, "files", lambda _: tmp_path)
    assert licenses.weights_terms() == "## Data and licences\n\nb\n\n### More\n\nc"


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ("", NOT_STATED),
        ("License: UNKNOWN\n", NOT_STATED),
        ("License-Expression: MIT OR Apache-2.0\nLicense: else\n", "MIT OR Apache-2.0"),
        (
            "License: BSD 3-Clause\nClassifier: License :: OSI Approved :: BSD License\n",
            "BSD 3-Clause",
        ),
        (
            "License: Copyright me\n        all of it\nClassifier: License :: Public Domain\n",
            "Public Domain",
        ),
        ("License: Copyright me\n        all of it\n", NOT_STATED),
        (
            "Classifier: License :: A :: MIT\nClassifier: License :: A :: BSD\nClassifier: Topic\n",
            "MIT, BSD",
        ),
    ],
)
def test_the_most_exact_statement_is_taken_and_a_missing_one_is_told(
    install: Install, metadata: str, licence: str
) -> None:
    install("some", metadata)
    assert stated_licence(distribution("some").metadata) == licence


def test_requirements_are_followed_through_extras_and_circles(install: Install) -> None:
    install(
        "top",
        "Requires-Dist: Zoo_Keeper[fast, wide] >=1; python_version > '3'\n"
        "Requires-Dist: never; extra == 'dev'\nRequires-Dist: absent\n",
    )
    install(
        "zoo-keeper",
        "Requires-Dist: quick; extra == 'fast'\nRequires-Dist: broad (>1) ; extra == \"wide\"\n"
        "Requires-Dist: never; extra == 'slow'\nRequires-Dist: top\n",
    )
    for name in ("quick", "broad", "never"):
        install(name)
    assert [one.name for one in installed("top")] == ["top", "broad", "quick", "zoo-keeper"]


def test_a_program_that_is_not_installed_is_told_in_one_sentence() -> None:
    with pytest.raises(MattingError, match="no-such-program is not installed"):
        installed("no-such-program")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("movie.libs/libavcodec-5e6b81c2.so.62.28.102", "FFmpeg"),
        ("movie/.dylibs/libswscale.9.5.102.dylib", "FFmpeg"),
        ("movie.libs/avformat-62-0a1b2c3d.dll", "FFmpeg"),
        ("movie/opencv_videoio_ffmpeg500_64.dll", "FFmpeg"),
        ("movie.libs/libx264-d6533a8d.so.165", "x264"),
        ("movie/lib/libgomp.so.1", "GCC runtime"),
    ],
)
def test_a_copyleft_library_inside_a_package_is_seen(
    install: Install, file: str, name: str
) -> None:
    install("movie", files={file: ""})
    install("named", files={file: "", "INFO/LICENSE": f"It holds {name}.\n"})
    assert [(each.name, each.is_named) for each in _terms("movie").carries] == [(name, False)]
    assert [(each.name, each.is_named) for each in _terms("named").carries] == [(name, True)]


def test_modules_and_licences_of_vendored_packages_are_not_taken_for_the_package_s_own(
    install: Install,
) -> None:
    vendored = "some/_vendor/other-1.0.dist-info/LICENSE"
    install("some", files={"some/codec.abi3.so": "", "some/x264.py": "", vendored: "of another"})
    terms = _terms("some")
    assert (terms.carries, terms.texts) == ((), {})
