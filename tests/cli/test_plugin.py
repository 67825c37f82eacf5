"""shm-matte plugin: what is packed, and where it goes. The hosts here are stand-ins."""

from __future__ import annotations

import ast
import sys
import tomllib
import zipfile
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path

import pytest

from cli import main as door
from cli.plugin.packing import HOSTS, SHARED, pack, zipped
from cli.plugin.placing import enable_in_krita, install_into_folder
from shm_engine import __version__
from shm_engine.errors import MattingError

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            door.main(["plugin", *map(str, arguments)])
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture(autouse=True)
def _nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Blender on the PATH, and a home without GIMP."""
    (tmp_path / "home").mkdir()
    (tmp_path / "programs").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "GIMP3_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("host", HOSTS)
def test_whatever_a_host_imports_is_packed(host: str) -> None:
    packed = pack(host)
    modules = {name for name in packed if name.startswith("shm_plugin/")}
    assert HOSTS[host].entry in packed
    assert {f"shm_plugin/{name}" for name in SHARED} < modules
    foreign = {"shm_engine", "cli", "training", "numpy", "torch"}
    for name in modules:
        for node in ast.walk(ast.parse(packed[name])):
            if isinstance(node, ast.Import):
                assert not foreign & {alias.name.split(".")[0] for alias in node.names}, name
            elif isinstance(node, ast.ImportFrom) and not node.level:
                assert (node.module or "").split(".")[0] not in foreign, name
            elif isinstance(node, ast.ImportFrom):
                package = "/".join(name.split("/")[: -node.level])
                inside = [node.module] if node.module else [alias.name for alias in node.names]
                assert {f"{package}/{each}.py" for each in inside} <= modules, name


def test_equal_files_make_equal_zips_and_the_manifest_names_our_version(
    run: Run, tmp_path: Path
) -> None:
    code, out, _ = run("build", "blender")
    written = tmp_path / f"human_matte_blender-{__version__}.zip"
    assert (code, out) == (0, f"wrote {written.name}\n")
    assert written.read_bytes() == zipped(pack("blender"))
    with zipfile.ZipFile(written) as archive:
        assert archive.testzip() is None
        manifest = tomllib.loads(archive.read("blender_manifest.toml").decode())
    assert manifest["version"] == __version__
    assert manifest["blender_version_min"] == "4.2.0"
    assert "wheels" not in manifest


def test_a_zip_goes_where_the_user_says(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert run("build", "gimp", "-o", tmp_path / "out")[0] == 0
    assert run("build", "gimp", "-o", tmp_path / "mine.zip")[0] == 0
    (inside,) = (tmp_path / "out").iterdir()
    assert inside.read_bytes() == (tmp_path / "mine.zip").read_bytes()
    with zipfile.ZipFile(inside) as archive:
        assert "human-matte/human-matte.py" in archive.namelist()
        assert not any(name.endswith("engine.txt") for name in archive.namelist())
    code, _, err = run("build", "gimp", "-o", tmp_path / "no" / "folder.zip")
    assert code == 1
    assert "cannot be written" in err


def test_gimp_finds_the_plug_in_and_the_plug_in_this_engine(run: Run, tmp_path: Path) -> None:
    code, _, err = run("install", "gimp")
    assert code == 1
    assert "start it once" in err
    for version in ("2.10", "3.0", "3.2"):
        (tmp_path / "home" / ".config" / "GIMP" / version).mkdir(parents=True)
    old = tmp_path / "home/.config/GIMP/3.0/plug-ins/human-matte"
    old.mkdir(parents=True)
    (old / "left-over.py").touch()
    code, out, _ = run("install", "gimp")
    assert code == 0
    assert out.count("Layer > Transparency > Human Matte") == 2
    folders = sorted((tmp_path / "home/.config/GIMP").glob("*/plug-ins"))
    assert [folder.parent.name for folder in folders] == ["3.0", "3.2"]
    for folder in folders:
        (plug_in,) = folder.iterdir()
        files = {str(p.relative_to(plug_in)) for p in plug_in.rglob("*") if p.is_file()}
        assert files == set(pack("gimp", sys.executable))
        assert (plug_in / "human-matte.py").stat().st_mode & 0o111
        assert (plug_in / "shm_plugin" / "engine.txt").read_text() == sys.executable


def test_a_folder_for_gimp_may_be_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("install", "gimp", "--to", tmp_path / "mine")[0] == 0
    assert (tmp_path / "mine" / "human-matte" / "human-matte.py").is_file()
    monkeypatch.setenv("GIMP3_DIRECTORY", str(tmp_path / "own"))
    assert run("install", "gimp")[0] == 0
    assert (tmp_path / "own" / "plug-ins" / "human-matte").is_dir()
    # Its own folder, instead of the one that it is in.
    assert run("install", "gimp", "--to", tmp_path / "mine" / "human-matte")[0] == 0
    assert not (tmp_path / "mine" / "human-matte" / "human-matte").exists()
    (tmp_path / "file").touch()
    code, _, err = run("install", "gimp", "--to", tmp_path / "file")
    assert code == 1
    assert "cannot be written" in err


def test_where_the_new_plug_in_cannot_be_put_the_old_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "human-matte"
    install_into_folder({"entry.py": b"old"}, "entry.py", folder)
    rename = Path.rename

    def refuse_new(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise PermissionError(13, "in use")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse_new)
    with pytest.raises(MattingError, match="in use"):
        install_into_folder({"entry.py": b"new"}, "entry.py", folder)
    assert (folder / "entry.py").read_bytes() == b"old"


def test_the_zip_for_krita_is_laid_out_as_its_importer_wants_it(run: Run, tmp_path: Path) -> None:
    assert run("build", "krita")[0] == 0
    with zipfile.ZipFile(tmp_path / f"human_matte_krita-{__version__}.zip") as archive:
        names = archive.namelist()
        config = ConfigParser()
        config.read_string(archive.read("human_matte.desktop").decode())
    assert config["Desktop Entry"]["X-KDE-Library"] == "human_matte"
    assert config["Desktop Entry"]["ServiceTypes"] == "Krita/PythonPlugin"
    # It takes nothing without an entry for the folder.
    assert {"human_matte/", "human_matte/__init__.py"} < set(names)
    assert all(name.startswith("human_matte") for name in names)


def test_krita_finds_the_plug_in_switched_on(run: Run, tmp_path: Path) -> None:
    code, _, err = run("install", "krita")
    assert code == 1
    assert "start it once" in err
    (tmp_path / "home/.local/share/krita").mkdir(parents=True)
    code, out, _ = run("install", "krita")
    assert (code, out.count("\n")) == (0, 1)
    assert "Tools > Scripts > Human Matte" in out
    plug_ins = tmp_path / "home/.local/share/krita/pykrita"
    assert {each.name for each in plug_ins.iterdir()} == {"human_matte", "human_matte.desktop"}
    inside = plug_ins / "human_matte"
    files = {str(p.relative_to(inside)) for p in inside.rglob("*") if p.is_file()}
    assert files == set(pack("krita", sys.executable))
    settings = tmp_path / "home/.config/kritarc"
    assert settings.read_text() == "[python]\nenable_human_matte=true\n"
    assert run("install", "krita")[0] == 0
    assert settings.read_text() == "[python]\nenable_human_matte=true\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a=1\n[b]\nc=\xff", "a=1\n[b]\nc=\xff\n\n[python]\nenable_human_matte=true\n"),
        (
            "[a]\n[python]\nenable_x=false\nenable_human_matte=false\n\n[z]\n1=2\n",
            "[a]\n[python]\nenable_human_matte=true\nenable_x=false\n\n[z]\n1=2\n",
        ),
    ],
)
def test_all_else_in_the_settings_of_krita_stays(tmp_path: Path, before: str, after: str) -> None:
    settings = tmp_path / "kritarc"
    settings.write_bytes(before.encode("latin-1"))
    settings.chmod(0o600)
    assert enable_in_krita(settings)
    assert settings.stat().st_mode & 0o777 == 0o600
    assert settings.read_bytes() == after.encode("latin-1")


def test_where_krita_cannot_be_switched_on_it_is_said_how(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("install", "krita", "--to", tmp_path / "mine")
    assert code == 0
    assert "Python Plugin Manager" in out
    assert (tmp_path / "mine" / "human_matte.desktop").is_file()
    (tmp_path / "home/.local/share/krita").mkdir(parents=True)
    (tmp_path / "home/.config/kritarc").mkdir(parents=True)
    code, out, _ = run("install", "krita")
    assert code == 0
    assert "Python Plugin Manager" in out


_BLENDER = """#!/bin/sh
[ "$1" != --version ] || { echo "Blender VERSION"; exit; }
[ "VERSION" != 9.9.0 ] || { echo "no room"; exit 3; }
[ "VERSION" != 9.8.0 ] || { echo "ERROR not a zip"; echo "bye"; exit; }
echo "$@" >"HOME/asked"
for last; do :; done
/bin/cp "$last" "HOME/taken.zip"
"""


def _blender(path: Path, home: Path, version: str) -> Path:
    path.write_text(_BLENDER.replace("VERSION", version).replace("HOME", str(home)))
    path.chmod(0o755)
    return path


def test_blender_is_asked_to_install_the_zip(run: Run, tmp_path: Path) -> None:
    code, _, err = run("install", "blender")
    assert code == 1
    assert "plugin build blender" in err
    _blender(tmp_path / "programs" / "blender", tmp_path, "4.2.1")
    code, out, _ = run("install", "blender")
    assert code == 0
    assert out.startswith("installed into Blender 4.2 ")
    asked = (tmp_path / "asked").read_text().split()
    assert asked[:3] == ["--command", "extension", "install-file"]
    with zipfile.ZipFile(tmp_path / "taken.zip") as archive:
        assert archive.read("shm_plugin/engine.txt").decode() == sys.executable


@pytest.mark.parametrize(
    ("version", "said"),
    [("3.6.0", "needs Blender 4.2"), ("9.9.0", "no room"), ("9.8.0", ": not a zip"), ("", "seem")],
)
def test_a_blender_that_does_not_take_it_says_why(
    run: Run, tmp_path: Path, version: str, said: str
) -> None:
    program = _blender(tmp_path / "mine", tmp_path, version)
    code, _, err = run("install", "blender", "--program", program)
    assert code == 1
    assert said in err
    code, _, err = run("install", "blender", "--program", tmp_path / "nothing")
    assert code == 1
    assert "cannot be started" in err


@pytest.mark.parametrize(
    "wrong",
    [
        ("blender", "--to", "x"),
        ("gimp", "--program", "x"),
        ("krita", "--program", "x"),
        ("photoshop",),
    ],
)
def test_what_does_not_go_together_is_wrong_usage(run: Run, wrong: tuple[str, ...]) -> None:
    code, out, err = run("install", *wrong)
    assert (code, out) == (2, "")
    assert "shm-matte plugin install --help shows how it is used" in err
