"""shm-matte plugin build | install: the menu action "Human Matte" for Blender, GIMP and Krita."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from cli.options import FILE, verbosity_options
from cli.plugin.packing import HOSTS, archive, outside, pack
from shm_engine import __version__
from shm_engine.errors import MattingError
from shm_engine.files import replacing

_HOST = click.argument("host", metavar="HOST", type=click.Choice(list(HOSTS)))


@click.group(short_help='Put "Human Matte" into the menus of Blender, GIMP and Krita.')
def command() -> None:
    """Put "Human Matte" into the menus of Blender, GIMP and Krita."""


@command.command(short_help="Write the plug-in as a file, to install by hand or elsewhere.")
@_HOST
@click.option("-o", "--output", metavar="ZIP", type=FILE, help="Its name, or a folder for it.")
@verbosity_options
def build(host: str, output: Path | None) -> None:
    """Write the plug-in for HOST (blender, gimp or krita) as a zip.

    Blender takes it as it is: drag it into the window. So does Krita: Tools > Scripts > Import
    Python Plugin from File. For GIMP unpack it into its folder of plug-ins.
    """
    name = f"human_matte_{host}-{__version__}.zip"
    target = Path(name) if output is None else output
    if target.is_dir():
        target /= name
    _write(target, archive(host))
    click.echo(f"wrote {target}")


@command.command(short_help="Put the plug-in where the program finds it.")
@_HOST
@click.option(
    "--program",
    metavar="FILE",
    type=FILE,
    help="Blender's program, if it is not found by itself.",
)
@click.option(
    "--to",
    "folder",
    metavar="FOLDER",
    type=FILE,
    help="GIMP's or Krita's folder of plug-ins, if it is not found by itself.",
)
@verbosity_options
def install(host: str, program: Path | None, folder: Path | None) -> None:
    """Put the plug-in where HOST (blender, gimp or krita) finds it; it will use this engine.

    Blender installs and enables it, in every version from 4.2 on that is found. In GIMP 3 it is in
    the menu Layer > Transparency after the next start, in Krita 5.2 in Tools > Scripts.
    """
    if host == "blender":
        if folder is not None:
            raise click.UsageError("--to is for GIMP and Krita; --program names Blender's program")
        _install_into_blenders(program)
        return
    if program is not None:
        raise click.UsageError("--program is for Blender; --to names the folder of GIMP or Krita")
    if host == "gimp":
        _install_into_gimps(folder)
    else:
        _install_into_krita(folder)


def _install_into_blenders(program: Path | None) -> None:
    from cli.plugin.placing import find_blenders, install_into_blender, program_of

    programs = find_blenders() if program is None else [program_of(program)]
    if not programs:
        raise MattingError(
            "Blender was not found; name its program with --program, or drag the file that "
            "`shm-matte plugin build blender` writes into Blender's window"
        )
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / f"human_matte-{__version__}.zip"
        _write(file, archive("blender", sys.executable))
        for each in programs:
            version = install_into_blender(each, file)
            click.echo(f"installed into {version} ({each}): Image > Human Matte")


def _install_into_gimps(folder: Path | None) -> None:
    from cli.plugin.placing import find_gimp_folders, install_into_folder

    folders = find_gimp_folders() if folder is None else [folder]
    if not folders:
        raise MattingError(
            "GIMP 3 has no folder here yet; start it once, or name its folder of plug-ins (GIMP: "
            "Edit > Preferences > Folders > Plug-ins) with --to"
        )
    for each in folders:
        into = _within(each)
        install_into_folder(pack("gimp", sys.executable), HOSTS["gimp"].entry, into)
        click.echo(f"installed into {into}: Layer > Transparency > Human Matte")


def _within(plug_ins: Path) -> Path:
    """The folder of the plug-in for GIMP, which some name instead of the one it is in."""
    own = HOSTS["gimp"].folder
    return plug_ins if plug_ins.name == own else plug_ins / own


def _install_into_krita(folder: Path | None) -> None:
    from cli.plugin.placing import enable_in_krita, find_krita, install_into_folder

    found = find_krita() if folder is None else (folder, None)
    if found is None:
        raise MattingError(
            "Krita has no folder here yet; start it once, or name the folder pykrita in its folder "
            "of resources (Krita: Settings > Manage Resources > Open Resource Folder) with --to"
        )
    plug_ins, settings = found
    into = plug_ins / HOSTS["krita"].folder
    install_into_folder(pack("krita", sys.executable), HOSTS["krita"].entry, into)
    for name, content in outside("krita").items():
        _write(plug_ins / name, content)
    click.echo(f"installed into {into}: Tools > Scripts > Human Matte, when Krita starts anew")
    if settings is None or not enable_in_krita(settings):
        click.echo(
            "switch it on there: Settings > Configure Krita > Python Plugin Manager > Human Matte"
        )


def _write(target: Path, content: bytes) -> None:
    try:
        with replacing(target) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise MattingError(f"{target} cannot be written: {error.strerror}", path=target) from error
