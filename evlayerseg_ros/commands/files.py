"""Nothing of a user's is lost: what would be overwritten is asked for."""

from __future__ import annotations

from pathlib import Path

import click

from evlayerseg_ros.errors import InputError

force_option = click.option("--force", is_flag=True, help="Replace files that exist already.")


def keep(force: bool, *paths: Path | None) -> None:
    """Refuses to go on where one of these files exists, before any work is done.

    Args:
        force: go on all the same.
        paths: files that would be written; None is none.

    Raises:
        InputError: names the first that exists.
    """
    if force:
        return
    for path in paths:
        if path is not None and path.is_file():
            raise InputError(f"{path} exists already: name another file, or say --force.")
