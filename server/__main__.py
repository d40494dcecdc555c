"""The command line: serve, edit, models, evaluate, doctor."""

from __future__ import annotations

import argparse
import json
import logging
import os
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from .commands import dataset as dataset_command
from .commands import evaluate, train
from .commands import models as models_command
from .contract.editors import AUTO
from .contract.message import ContractError
from .contract.requests import Blend, EditRequest, Exemplar, Output, Polygons, RasterRef
from .editors import registry
from .ground.errors import BadRequest, Dismissed, ServerError
from .ground.settings import ADDRESS, Settings, default_home, lock_home, token_of
from .models import weights
from .raster import provenance
from .raster.geojson import read_polygons
from .raster.masks import as_polygons
from .raster.raster import opened, profile_of
from .words import interpreter


def main(arguments: list[str] | None = None) -> int:
    """Entry point of `landbrush-server` and `python -m landbrush.server`."""
    given = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("rasterio").setLevel(
        logging.ERROR
    )  # its sentences come with the errors raised
    logging.getLogger("faiss").setLevel(
        logging.WARNING
    )  # which tells of each processor extension it does not find
    try:
        if hasattr(given, "model"):
            _use_models(given)
        return given.run(given)
    except (ServerError, ContractError) as error:
        print(f"\nlandbrush-server: {error}", file=sys.stderr)
        return 1
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("landbrush-server", description="Landbrush's model server.")
    parser.add_argument("--version", action="version", version=provenance.version())
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser(
        "serve", help="answer the QGIS plugin and other OGC API - Processes clients"
    )
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=Settings.port, help="0: any free one")
    serve.add_argument(
        "--home", type=Path, default=default_home(), help="folder for jobs, uploads and the token"
    )
    serve.add_argument(
        "--root",
        type=Path,
        action="append",
        default=[],
        help="folder whose rasters may be named by path",
    )
    serve.add_argument("--workers", type=int, default=1, help="jobs at a time")
    serve.add_argument("--upload-limit-mb", type=int, default=Settings.upload_limit_mb)
    serve.add_argument(
        "--allow-host", action="append", default=[], help="further name this server is reached by"
    )
    _add_model_option(serve)
    serve.set_defaults(run=_serve)
    edit = commands.add_parser("edit", help="edit a file, without a server")
    edit.add_argument("raster", type=Path, help="the raster to edit; it is only read")
    edit.add_argument(
        "--polygons",
        type=Path,
        help="GeoJSON file; its 'crs' member or --crs names the CRS; an editor that makes "
        "bands does the whole layer without",
    )
    edit.add_argument(
        "--crs", default="", help="CRS of the polygons (default: the GeoJSON's, EPSG:4326)"
    )
    edit.add_argument("--prompt", default="", help="what should be there, in English")
    edit.add_argument(
        "--operation",
        default="",
        metavar="NAME",
        help="what is meant, where the words are not clear: " + ", ".join(interpreter.OFFERED),
    )
    edit.add_argument(
        "--editor",
        default=AUTO,
        help="auto: as the prompt says; else " + ", ".join(registry.EDITORS),
    )
    edit.add_argument("--exemplar", type=Path, help="GeoJSON file of the area to copy from")
    edit.add_argument(
        "--exemplar-raster", type=Path, help="the raster the exemplar lies in, if another"
    )
    edit.add_argument(
        "--protect",
        type=Path,
        help="GeoJSON file of areas inside the polygons that stay as they are",
    )
    edit.add_argument("--elevation", type=Path, help="elevation model in metres")
    edit.add_argument(
        "--band",
        action="append",
        default=[],
        metavar="ROLE=N",
        help="which band is what, where the file does not say: red=1, nir=4 ...",
    )
    edit.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of the editor, for instance depth_cm=40; a wrong name lists them",
    )
    edit.add_argument(
        "--seed", type=int, default=0, help="same seed, same result; another, another"
    )
    edit.add_argument(
        "--area",
        choices=("window", "layer"),
        default="window",
        help="write the edited window, or the whole layer",
    )
    edit.add_argument("--cog", action="store_true", help="write a Cloud Optimized GeoTIFF")
    edit.add_argument("--compression", choices=("deflate", "zstd", "none"), default="deflate")
    edit.add_argument(
        "--keep-request",
        action="store_true",
        help="tell the prompt and the request in the file's tags too",
    )
    edit.add_argument("--grow", type=int, default=0, metavar="PX", help="enlarge the polygons")
    edit.add_argument(
        "--feather",
        type=int,
        default=Blend().feather_px,
        metavar="PX",
        help="soft edge inside the polygons",
    )
    edit.add_argument(
        "--output", type=Path, required=True, help="a GeoTIFF; its manifest is written beside it"
    )
    edit.add_argument("--overwrite", action="store_true", help="replace an output that is there")
    edit.add_argument(
        "--home",
        type=Path,
        default=default_home(),
        help="folder in which models are named and kept",
    )
    _add_model_option(edit)
    edit.set_defaults(run=_edit)
    models_command.add_commands(commands)
    evaluate.add_commands(commands, _add_model_option)
    train.add_commands(commands)
    dataset_command.add_commands(commands)
    doctor = commands.add_parser("doctor", help="say what is here, what is missing and what to do")
    doctor.add_argument("--home", type=Path, default=default_home())
    doctor.set_defaults(run=_doctor)
    return parser


def _add_model_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="KIND=PATH",
        help="use that model this time; KIND is one of " + ", ".join(weights.KINDS),
    )


def _use_models(given: argparse.Namespace) -> None:
    """Models named in the home folder, and those of this command line."""
    weights.use_folder(given.home / "models")
    for text in given.model:
        kind, sign, value = text.partition("=")
        if not sign:
            raise BadRequest(f"--model {text}: write KIND=PATH.")
        weights.give(kind, value)


def _serve(given: argparse.Namespace) -> int:
    import waitress

    from .web.app import create_app

    for root in given.root:
        if not root.is_dir():
            raise BadRequest(f"--root {root}: there is no such folder.")
    settings = Settings(
        given.home,
        given.host,
        given.port,
        tuple(given.root),
        token_of(given.home),
        given.workers,
        given.upload_limit_mb,
        extra_hosts=tuple(given.allow_host),
    )
    held = lock_home(given.home)
    if held is None:
        print(_address_of_the_other(given.home), flush=True)
        print(
            f"landbrush-server: {given.home} is in use by a running server; see the address above.",
            file=sys.stderr,
        )
        return 3
    (given.home / ADDRESS).unlink(missing_ok=True)
    _check_port(given.host, given.port)
    app = create_app(settings)
    server = waitress.create_server(
        app,
        host=given.host,
        port=given.port,
        threads=16,
        ident="landbrush",
        max_request_body_size=given.upload_limit_mb * 1_000_000 + 1_000_000,
    )
    address = json.dumps(
        {
            "url": f"http://{given.host}:{server.effective_port}",
            "token_file": str(given.home / "token"),
        }
    )
    (given.home / ADDRESS).write_text(address, "utf8")
    print(address, flush=True)
    code = 1
    try:
        server.run()
        code = 0
    except Exception:
        logging.getLogger(__name__).exception("the server ended by a fault")
    finally:
        app.extensions["landbrush"].runner.close()
        (given.home / ADDRESS).unlink(missing_ok=True)
        logging.shutdown()
        # A running job starts again at the next start; waiting for it here could take long.
        os._exit(code)


def _check_port(host: str, port: int) -> None:
    """Before anything is begun: jobs of a former start would run and then be thrown away."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise BadRequest(
            f"{host}:{port} cannot be listened on: {error.strerror}. Choose another --port (0: "
            "any free one)."
        ) from error


def _address_of_the_other(home: Path) -> str:
    """What the server that holds the home has printed, once it has; it may still be starting."""
    for _ in range(600):
        try:
            return (home / ADDRESS).read_text("utf8")
        except OSError:
            time.sleep(0.1)
    raise BadRequest(
        f"{home} is locked by a server that does not answer. End it, or choose another --home."
    )


def _area_of(given: argparse.Namespace) -> Polygons:
    """The polygons, or all of the raster for an editor that makes bands."""
    if given.polygons is not None:
        return read_polygons(given.polygons, given.crs)
    if given.editor == AUTO or not registry.editor(given.editor).info.makes:
        raise BadRequest(
            "--polygons FILE is needed: the area to edit. Only editors that make bands do a "
            "whole layer without."
        )
    with opened(given.raster) as dataset:
        profile = profile_of(dataset)
        return as_polygons(profile.box, profile)


def _option(text: str, form: str = "--option NAME") -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign:
        raise BadRequest(f"'{text}': write {form}=VALUE.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _edit(given: argparse.Namespace) -> int:
    from .editing.path import Files, edit

    manifest = given.output.with_suffix(".manifest.json")
    _check_targets(given, (given.output, manifest))
    other = RasterRef(path=str(given.exemplar_raster)) if given.exemplar_raster else None
    exemplar = Exemplar(read_polygons(given.exemplar, given.crs), other) if given.exemplar else None
    request = EditRequest(
        raster=RasterRef(path=str(given.raster)),
        polygons=_area_of(given),
        prompt=given.prompt,
        operation=given.operation,
        options=dict(_option(text) for text in given.option),
        band_roles=dict(_option(text, "--band ROLE") for text in given.band),
        seed=given.seed,
        exemplar=exemplar,
        elevation=RasterRef(path=str(given.elevation)) if given.elevation else None,
        protect=read_polygons(given.protect, given.crs) if given.protect else None,
        blend=Blend(grow_px=given.grow, feather_px=given.feather),
        output=Output(given.area, given.compression, given.cog, given.keep_request),
    )
    request = EditRequest.from_json(request.to_json())  # the same limits as over HTTP
    if given.editor == AUTO and given.prompt.strip():
        print(interpreter.interpret(given.prompt, given.operation, exemplar is not None).understood)
    with tempfile.TemporaryDirectory(prefix=".landbrush-", dir=given.output.parent) as folder:
        report = edit(
            request,
            given.editor,
            Files(given.raster, given.exemplar_raster, given.elevation),
            Path(folder),
            _print_progress,
        )
        (Path(folder) / "manifest.json").replace(manifest)
        (Path(folder) / "result.tif").replace(given.output)
    gate = report["gate"]
    for note in (*report["quality"]["said"], *report["notes"]):
        print(f"\n{note}", end="")
    print(
        f"\n{given.output}: {report['editor']} ({report['engine']}), "
        f"{report['seconds']['total']:.2f} s, "
        f"{gate['pixels_inside_changed']:,} pixels changed inside, "
        f"{gate['pixels_outside_different']} of "
        f"{gate['pixels_outside']:,} outside"
    )
    return 0


def _check_targets(given: argparse.Namespace, targets: tuple[Path, ...]) -> None:
    """Refuse to write over what is read, and over anything else unless that is wanted."""
    if not given.output.parent.is_dir():
        raise BadRequest(f"--output {given.output}: there is no folder {given.output.parent}.")
    if given.output.suffix.lower() not in (".tif", ".tiff"):
        raise BadRequest(
            f"--output {given.output}: the result is a GeoTIFF; give it the suffix .tif."
        )
    read = [
        given.raster,
        given.exemplar_raster,
        given.elevation,
        given.polygons,
        given.exemplar,
        given.protect,
    ]
    for target in (t for t in targets if t.exists()):
        if any(path is not None and path.exists() and path.samefile(target) for path in read):
            raise BadRequest(
                f"{target} is one of the inputs; choose another --output, so that nothing is lost."
            )
        if not given.overwrite:
            raise BadRequest(
                f"{target} is already there; choose another --output, or add --overwrite."
            )


def _print_progress(
    stage: str, step: int, steps: int, _picture: object = None, note: str = ""
) -> None:
    print(f"\r{stage} {step}/{steps} {note}   ", end="", file=sys.stderr, flush=True)


def _doctor(given: argparse.Namespace) -> int:
    from .commands.doctor import examine

    lines, healthy = examine(given.home)
    print("\n".join(lines))
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main())
