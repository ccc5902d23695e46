"""The command line as a user calls it, but in this process."""

from __future__ import annotations

from click.testing import CliRunner, Result

from evlayerseg_ros.cli import main


def run(*words: object) -> Result:
    """`evlayerseg WORDS..`, whatever comes of it."""
    return CliRunner().invoke(main, [str(word) for word in words])


def done(*words: object) -> Result:
    """The same; it must succeed."""
    result = run(*words)
    assert result.exit_code == 0, result.output
    return result


def refused(*words: object) -> Result:
    """The same; it must end with status 2, and without a traceback."""
    result = run(*words)
    assert result.exit_code == 2 and "Traceback" not in result.output, result.output
    return result
