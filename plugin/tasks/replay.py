"""An edit made once more, from what its manifest says."""

import json
import uuid
from dataclasses import replace
from pathlib import Path

from ...server.contract.manifest import Manifest
from ...server.contract.message import ContractError
from ...server.contract.requests import RasterRef
from ..errors import PluginError
from ..map.results import MANIFEST
from ..translated import tr
from .task import fetch, referring, to_its_end


def manifest_for(layer):
    """The Manifest of a result: of the project's layer, else of the file beside it. Raises
    PluginError where there is none with a request."""
    path = Path(layer.source().split("|")[0])
    texts = [layer.customProperty(MANIFEST, "")]
    beside = path.with_suffix(".manifest.json")
    if beside.is_file():
        texts.append(beside.read_text("utf8"))
    for text in filter(None, texts):
        try:
            found = Manifest.from_json(json.loads(text))
        except (ValueError, ContractError):
            continue
        if found.request is not None:
            return found
    raise PluginError(
        tr(
            "How '{name}' was made is not known: neither the project nor a file {beside} says it.",
            name=layer.name(),
            beside=beside.name,
        )
    )


def _path_of(ref, instead=None):
    """The file of a reference of a request, or another one in its place; None: it names none."""
    if ref is None or (ref.extent is not None and not ref.path and not ref.upload):
        return None
    path = Path(instead or ref.path)
    if not str(instead or ref.path):
        raise PluginError(
            tr("The edit was made of a raster that was sent to a server. Name the raster: RASTER.")
        )
    if not path.is_file():
        raise PluginError(
            tr("{path} is not there any more. Name the raster that was edited: RASTER.", path=path)
        )
    return path


def replay(manifest, raster, place, feedback, on_change):
    """Ask for the same edit; returns (path of the GeoTIFF, manifest). `raster`: path of the source
    where it is not where it was, else None. `place`: (Connection, folder). Blocks; any thread."""
    connection, folder = place
    asked = manifest.request
    exemplar = asked.exemplar.raster if asked.exemplar else None
    paths = [
        _path_of(asked.raster, raster),
        _path_of(exemplar),
        _path_of(asked.elevation),
        *(_path_of(one) for one in asked.over),
    ]
    client = connection.client(feedback)

    def submit(refs):
        source, copied, heights, *over = refs
        request = replace(
            asked,
            raster=_like(asked.raster, source),
            exemplar=asked.exemplar and replace(asked.exemplar, raster=copied),
            elevation=heights,
            over=tuple(over),
        )
        return client.submit(manifest.process, request, uuid.uuid4().hex)

    info = referring(client, connection, paths, submit)
    to_its_end(client, info, connection, (on_change, feedback.isCanceled))
    return fetch(client, info.jobID, folder)


def _like(before, source):
    """The reference of a request with another file in it."""
    if source is None:
        return before
    return RasterRef(source.upload, source.path, before.extent, before.gsd_m)
