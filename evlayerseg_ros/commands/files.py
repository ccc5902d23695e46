"""Files that exist are replaced only with --force."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click

from evlayerseg_ros.errors import InputError

force_option = click.option("--force", is_flag=True, help="Replace files that exist already.")


def refuse_to_replace(
    force: bool, *paths: Path | None, or_else: str = "", inputs: Sequence[Path] = ()
) -> None:
    """Ends the command, before any work is done, where one of these files exists.

    One that the command reads is never replaced.

    Args:
        force: of force_option.
        paths: files that would be written, or None.
        or_else: a further remedy to name, such as "--resume to go on".
        inputs: what the command reads.

    Raises:
        InputError: names the first that exists.
    """
    for path in paths:
        if path is None or not path.is_file():
            continue
        if any(_holds(read, path) for read in inputs):
            raise InputError(f"{path} is read itself, and would be lost: name another file.")
        if not force:
            others = f", or {or_else}" if or_else else ""
            raise InputError(f"{path} exists already: name another file, or say --force{others}.")


def _holds(read: Path, path: Path) -> bool:
    """Whether a file that exists is what is read, or one of the files of that bag."""
    files = [read]
    if read.is_dir() or read.name == "metadata.yaml":
        from evlayerseg_ros.recordings.kinds import recording_at
        from evlayerseg_ros.recordings.parts import files_of

        with suppress(InputError, OSError):  # reading it tells what is wrong
            files += files_of(recording_at(read))[0]
    return any(file.exists() and os.path.samefile(file, path) for file in files)
