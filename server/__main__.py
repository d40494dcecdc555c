"""The command line; each command is a module of `commands`."""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import signal
import sys
import threading
from types import FrameType

from .contract.message import ContractError
from .ground.errors import Dismissed, ServerError
from .ground.optional import as_not_installed

COMMANDS = (
    "serve",
    "edit",
    "inspect",
    "flatten",
    "library",
    "models",
    "evaluate",
    "train",
    "dataset",
    "doctor",
)
"""Modules of `commands`; of those only the one that is asked for is loaded."""
GO_ON = ("train", "dataset", "evaluate")
"""Commands that take up what they have begun."""


def main(arguments: list[str] | None = None) -> int:
    """Entry point of `landbrush-server` and `python -m landbrush.server`."""
    _print_anything()
    arguments = sys.argv[1:] if arguments is None else arguments
    first = arguments[0] if arguments else ""
    if threading.current_thread() is threading.main_thread():
        # As Ctrl+C: what was begun is put away before the end.
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _run(arguments, first)
    except (ServerError, ContractError) as error:
        print(f"\nlandbrush-server: {error}", file=sys.stderr)
        return 1
    except ImportError as error:
        lacking = as_not_installed(error)
        if lacking is None:
            raise
        print(f"\nlandbrush-server: {lacking}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read has read enough
        sys.stderr.close()
        return 0
    except OSError as error:
        print(
            f"\nlandbrush-server: {error.filename or 'a file'}: {error.strerror or error}",
            file=sys.stderr,
        )
        return 1
    except (KeyboardInterrupt, Dismissed):
        more = ""
        if first in GO_ON:
            more = " Trainings, datasets and 'evaluate cases' go on when called again."
        print(f"\nlandbrush-server: stopped.{more}", file=sys.stderr)
        return 130


def _run(arguments: list[str], first: str) -> int:
    given = _parser(first).parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # Its sentences come with the errors raised.
    logging.getLogger("rasterio").setLevel(logging.ERROR)
    logging.getLogger("pyogrio").setLevel(logging.WARNING)
    # It tells of each processor extension that it does not find.
    logging.getLogger("faiss").setLevel(logging.WARNING)
    return int(given.run(given))


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _print_anything() -> None:
    """A console's code page may lack letters of a path (Windows): they are printed as numbers
    instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class _Version(argparse.Action):
    """Prints the version, which is looked up only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from .raster import provenance

        print(provenance.version())
        parser.exit()


def _parser(first: str) -> argparse.ArgumentParser:
    """The parser of the command that comes first; of all where none does."""
    parser = argparse.ArgumentParser("landbrush-server", description="Landbrush's model server.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    wanted = (first,) if first in COMMANDS else () if first == "--version" else COMMANDS
    for name in wanted:
        importlib.import_module(f"{__package__}.commands.{name}").add_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
