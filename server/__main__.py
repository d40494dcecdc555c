"""The command line; each command is a module of `commands`."""

from __future__ import annotations

import argparse
import io
import logging
import sys

from .commands import dataset, doctor, edit, evaluate, inspect, models, serve, train
from .contract.message import ContractError
from .ground.errors import Dismissed, ServerError
from .raster import provenance

COMMANDS = (serve, edit, inspect, models, evaluate, train, dataset, doctor)


def main(arguments: list[str] | None = None) -> int:
    """Entry point of `landbrush-server` and `python -m landbrush.server`."""
    _print_anything()
    given = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("rasterio").setLevel(
        logging.ERROR
    )  # its sentences come with the errors raised
    logging.getLogger("pyogrio").setLevel(logging.WARNING)
    logging.getLogger("faiss").setLevel(
        logging.WARNING
    )  # which tells of each processor extension it does not find
    try:
        return given.run(given)
    except (ServerError, ContractError) as error:
        print(f"\nlandbrush-server: {error}", file=sys.stderr)
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
        print(
            "\nlandbrush-server: stopped. Trainings, datasets and 'evaluate cases' go on when "
            "called again.",
            file=sys.stderr,
        )
        return 130


def _print_anything() -> None:
    """A console's code page may lack letters of a path (Windows): they are printed as numbers
    instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("landbrush-server", description="Landbrush's model server.")
    parser.add_argument("--version", action="version", version=provenance.version())
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
