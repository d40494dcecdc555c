"""landbrush-server train list: the trainings of a TOML file, one after the other."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..ground.errors import BadRequest
from ..ground.files import read_toml
from .train_run import say

RUN_KEYS = ("name", "kind")
KINDS = ("rsedit", "icedit", "lora", "controlnet")


def run_list(given: argparse.Namespace) -> int:
    """Every [[run]] of `given.list`; raises BadRequest before the first where one is wrong."""
    try:
        runs = read_toml(given.list)["run"]
        wanted = [
            (
                str(run["name"]),
                str(run["kind"]),
                {key: value for key, value in run.items() if key not in RUN_KEYS},
            )
            for run in runs
        ]
    except (KeyError, TypeError) as error:
        raise BadRequest(
            f"{given.list}: a TOML file with [[run]] tables that have name and kind is needed "
            f"({error})."
        ) from error
    parsed: list[tuple[str, argparse.Namespace]] = []
    for name, kind, options in wanted:
        if kind not in KINDS:
            raise BadRequest(
                f"{given.list}: run '{name}' is of kind '{kind}'; {', '.join(KINDS)} are known."
            )
        command = [
            kind,
            "--data",
            str(given.data),
            "--output",
            str(given.output / name),
            "--home",
            str(given.home),
        ]
        for key, value in options.items():
            command += (
                [f"--{key}"]
                if value is True
                else []
                if value is False
                else [f"--{key}", str(value)]
            )
        arguments = _parsed(command, f"{given.list}: run '{name}'")
        parsed.append((f"== {name}: train {' '.join(command)}", arguments))
    for line, arguments in parsed:
        say(line)
        arguments.run(arguments)
    return 0


def _parsed(command: Sequence[str], where: str) -> argparse.Namespace:
    """A training's arguments; raises BadRequest with the place."""
    from . import train, train_editors

    parser = argparse.ArgumentParser(prog="train", exit_on_error=False)
    kinds = parser.add_subparsers()
    train_editors.add_commands(kinds)
    train.add_of_pictures(kinds)
    try:
        return parser.parse_args(command)
    except (argparse.ArgumentError, SystemExit) as error:
        raise BadRequest(
            f"{where}: its options are not understood ({' '.join(command)}; {error})."
        ) from error
