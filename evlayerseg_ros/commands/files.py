"""Files that exist are replaced only with --force."""

from __future__ import annotations

from pathlib import Path

import click

from evlayerseg_ros.errors import InputError

force_option = click.option("--force", is_flag=True, help="Replace files that exist already.")


def refuse_to_replace(force: bool, *paths: Path | None, or_else: str = "") -> None:
    """Ends the command, before any work is done, where one of these files exists.

    Args:
        force: of force_option.
        paths: files that would be written, or None.
        or_else: a further remedy to name, such as "--resume to go on".

    Raises:
        InputError: names the first that exists.
    """
    if force:
        return
    for path in paths:
        if path is not None and path.is_file():
            others = f", or {or_else}" if or_else else ""
            raise InputError(f"{path} exists already: name another file, or say --force{others}.")
