"""Results as layers of the project: where they stand, which of them is seen, what they say of
themselves, and the files they lie in."""

import functools
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from qgis.core import (
    QgsGeometry,
    QgsLayerMetadata,
    QgsMapLayerStyle,
    QgsProject,
    QgsRasterLayer,
)

from ...server.contract.bundle import is_beside
from ...server.contract.manifest import Manifest
from ...server.contract.message import ContractError
from ...server.contract.requests import PIXELS_UP
from ..errors import PluginError
from ..translated import tr
from .places import geometry_of

GROUP = "Landbrush"
MANIFEST, SYNTHETIC_MARK = "landbrush/manifest", "landbrush/synthetic"
ADDED, SOURCE, GROUP_OF = "landbrush/added", "landbrush/source", "landbrush/group-of"
"""Properties of layers and groups, which a project keeps."""
SYNTHETIC = (
    "Synthetic imagery: pixels inside the edited polygons were made by a program. Not survey data."
)
LONGEST_IN_PROJECT = 200_000
"""Characters of a manifest that a project holds whole."""
LONGEST_WORDS = 40
KEPT_READ = 100
"""Manifests that are kept as they were read."""


# ---- names


def result_name(manifest) -> str:
    """Name of a result: prompt, seed, the options that were set by hand and the editor, and that it
    is synthetic."""
    words = manifest.prompt.strip() or manifest.operation
    short = words if len(words) <= LONGEST_WORDS else words[: LONGEST_WORDS - 1] + "…"
    given = manifest.request.options if manifest.request else {}
    told = ", ".join(f"{name} {_short(value)}" for name, value in sorted(given.items()))
    parts = (short, f"seed {manifest.seed}", told, manifest.editor)
    return " · ".join(part for part in parts if part) + " (synthetic)"


def _short(value):
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 20 else text[:19] + "…"


def _unlike_others(name):
    """The name, with a number where a layer of the project has it already."""
    taken = {layer.name() for layer in QgsProject.instance().mapLayers().values()}
    number, found = 2, name
    while found in taken:
        found, number = f"{name} {number}", number + 1
    return found


def result_path(folder, manifest, job_id):
    """A new file name in the output folder that says what it is and when; not the prompt, since
    files are handed on."""
    words = "".join(c if c.isalnum() else "-" for c in manifest.editor.lower())[:30].strip("-")
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    return folder / f"landbrush-{stamp}-{words or 'edit'}-{job_id[:6]}.tif"


# ---- which layers are results, and of what


def results():
    """The project's results, the newest first."""
    found = [
        layer
        for layer in QgsProject.instance().mapLayers().values()
        if isinstance(layer, QgsRasterLayer) and is_result(layer)
    ]
    return sorted(found, key=lambda layer: layer.customProperty(ADDED, ""), reverse=True)


def is_result(layer) -> bool:
    """Whether a layer is a result of ours."""
    return bool(layer.customProperty(MANIFEST, ""))


def manifest_of(layer):
    """The Manifest of a result; None for a layer that has none, or one that cannot be read."""
    return _manifest(layer.customProperty(MANIFEST, ""))


@functools.lru_cache(maxsize=KEPT_READ)
def _manifest(text):
    """A manifest that was read once is not read again: each new result looks at all others."""
    try:
        return Manifest.from_json(json.loads(text)) if text else None
    except (ValueError, ContractError):
        return None


def source_of(manifest):
    """The project's layer that a result was made from; None where it is not there."""
    path = manifest.request.raster.path if manifest.request else ""
    for layer in QgsProject.instance().mapLayers().values():
        if path and isinstance(layer, QgsRasterLayer) and layer.source().split("|")[0] == path:
            return layer
    return None


def base_of(layer):
    """The layer that a result lies over: the one it was made from, or, of an edit of an edit, what
    the first of them was made from. None where it is not in the project."""
    seen: set = set()
    while layer is not None and is_result(layer) and layer.id() not in seen:
        seen.add(layer.id())
        above = QgsProject.instance().mapLayer(layer.customProperty(SOURCE, ""))
        if above is None:  # of another session: by its file
            manifest = manifest_of(layer)
            above = manifest and source_of(manifest)
        layer = above
    return layer if layer is not None and not is_result(layer) else None


def family(layer):
    """All results that lie over the same layer as this one, or over this one."""
    base = base_of(layer) if is_result(layer) else layer
    if base is None:
        return [layer]
    return [one for one in results() if base_of(one) == base]


def edited_area(layer):
    """The polygons of a result, in the coordinates of its base; the layer's extent where they are
    not known any more, or were given in another CRS."""
    manifest, base = manifest_of(layer), base_of(layer)
    request = manifest.request if manifest is not None else None
    if request is None or base is None or request.polygons.crs not in ("", PIXELS_UP):
        return QgsGeometry.fromRect(layer.extent())
    return geometry_of(request.polygons, base)


def shown_jobs():
    """Ids of the jobs whose results are layers of the project."""
    found = set()
    for layer in results():
        manifest = manifest_of(layer)
        if manifest is not None:
            found.add(manifest.job)
    return found


# ---- what is seen


def _node(layer):
    return QgsProject.instance().layerTreeRoot().findLayer(layer.id())


def is_shown(layer) -> bool:
    """Whether the layer's box in the tree is ticked, and those of its groups."""
    node = _node(layer)
    return node is not None and node.isVisible()


def show(layer, on: bool = True) -> None:
    """Tick a layer and its groups, or untick it."""
    node = _node(layer)
    if node is None:
        return
    if on:
        node.setItemVisibilityCheckedParentRecursive(True)
    else:
        node.setItemVisibilityChecked(False)


def show_alone(layer) -> None:
    """Of all results over the same ground, show this one."""
    for other in family(layer):
        show(other, other == layer)


def show_instead(layer) -> None:
    """Show a result, and none of those that were edited in the same place."""
    mine = edited_area(layer)
    for other in family(layer):
        if other != layer and edited_area(other).intersects(mine):
            show(other, False)
    show(layer)


def seen_over(layer, area, reach):
    """Results that are shown over a layer near an area (QgsGeometry in the layer's coordinates),
    the lowest first, without those that were edited in the area itself: they stand for other ways
    to do the same. `reach`: how far is near, in the layer's units; None: anywhere."""
    if is_result(layer):
        return ()
    near = area.boundingBox()
    if reach is not None:
        near.grow(reach)
    return tuple(
        one
        for one in shown_over(layer)
        if (reach is None or one.extent().intersects(near))
        and not edited_area(one).intersects(area)
        and file_of_result(one).is_file()
    )


def shown_over(base):
    """The results that are shown over a layer and have its bands, the lowest first."""
    order = [node.layerId() for node in QgsProject.instance().layerTreeRoot().findLayers()]
    found = [
        one
        for one in family(base)
        if is_shown(one)
        and one.bandCount() == base.bandCount()
        and one.dataProvider().dataType(1) == base.dataProvider().dataType(1)
    ]
    return sorted(found, key=lambda one: order.index(one.id()), reverse=True)


# ---- adding, keeping, taking away


def kept_in_project(manifest):
    """A manifest as text for a layer's property: without the request where that has very many
    polygons; then all of it lies in a file beside the result."""
    text = json.dumps(manifest.to_json())
    if len(text) > LONGEST_IN_PROJECT:
        text = json.dumps(replace(manifest, request=None).to_json())
    return text


def add_result(path, source, manifest):
    """Add a result to the project right above its source, styled like that, and hide those that it
    would cover; returns the layer."""
    layer = QgsRasterLayer(str(path), _unlike_others(result_name(manifest)))
    if not layer.isValid():
        raise PluginError(
            tr("The result was written but QGIS cannot open it."),
            f"{path}: {layer.error().message()}",
        )
    if source is not None and source.crs() != layer.crs():
        layer.setCrs(source.crs())  # set by hand in QGIS: the result lies over its source
    if source is not None and source.bandCount() == layer.bandCount():
        style = QgsMapLayerStyle()
        style.readFromLayer(source)
        style.writeToLayer(layer)
    layer.setMetadata(_metadata(layer, manifest))
    layer.setCustomProperty(MANIFEST, kept_in_project(manifest))
    layer.setCustomProperty(SYNTHETIC_MARK, True)
    layer.setCustomProperty(ADDED, datetime.now().isoformat())
    if source is not None:
        layer.setCustomProperty(SOURCE, source.id())
    QgsProject.instance().addMapLayer(layer, False)
    node = _group(base_of(layer)).insertLayer(0, layer)
    node.setExpanded(False)
    show_instead(layer)  # of variants one is seen at a time
    return layer


def add_flattened(path, base):
    """Add a raster with its results in one file to the project, above them, shown as it is."""
    name = _unlike_others(tr("{name}, flattened (synthetic)", name=base.name()))
    layer = QgsRasterLayer(str(path), name)
    if not layer.isValid():
        raise PluginError(
            tr("The result was written but QGIS cannot open it."),
            f"{path}: {layer.error().message()}",
        )
    style = QgsMapLayerStyle()
    style.readFromLayer(base)
    style.writeToLayer(layer)
    layer.setCrs(base.crs())
    layer.setCustomProperty(SYNTHETIC_MARK, True)
    metadata = QgsLayerMetadata()
    metadata.setTitle(name)
    metadata.setAbstract(SYNTHETIC)
    metadata.setRights([SYNTHETIC, *base.metadata().rights()])
    layer.setMetadata(metadata)
    QgsProject.instance().addMapLayer(layer, False)
    _group(base).insertLayer(0, layer).setExpanded(False)
    return layer


def _group(base):
    """The group of the results over a layer, right above it; at the top where it is not known."""
    root = QgsProject.instance().layerTreeRoot()
    wanted = base.id() if base is not None else ""
    for group in root.findGroups(True):
        if group.customProperty(GROUP_OF, None) == wanted:
            return group
    node = _node(base) if base is not None else None
    parent = node.parent() if node is not None else root
    place = parent.children().index(node) if node is not None else 0
    group = parent.insertGroup(place, f"{GROUP} · {base.name()}" if base is not None else GROUP)
    group.setCustomProperty(GROUP_OF, wanted)
    return group


def _metadata(layer, manifest):
    gate = manifest.gate
    found = QgsLayerMetadata()
    found.setTitle(layer.name())
    found.setType("dataset")
    found.setAbstract(
        f"{SYNTHETIC}\nPrompt: {manifest.prompt or '-'}\nEditor: {manifest.editor} "
        f"- {manifest.engine}\n"
        f"Seed: {manifest.seed}\nPixels outside the polygons that differ from the source: "
        f"{gate.pixels_outside_different} of {gate.pixels_outside}."
    )
    found.setKeywords({"landbrush": ["synthetic", "AI_GENERATED", manifest.editor]})
    found.setConstraints([QgsLayerMetadata.Constraint(SYNTHETIC, "use")])
    found.setRights([SYNTHETIC])  # what map_credits() shows in a print layout
    found.setHistory(
        [
            f"{datetime.now().isoformat(timespec='seconds')} Landbrush "
            f"{manifest.versions.get('landbrush', '')}: {manifest.operation}"
        ]
    )
    found.setCrs(layer.crs())
    return found


def file_of_result(layer):
    """The GeoTIFF of a result."""
    return Path(layer.source().split("|")[0])


def files_of_result(layer):
    """The GeoTIFF of a result and everything that lies beside it for its sake."""
    path = file_of_result(layer)
    if not path.is_file():
        return []
    own = (
        path.with_suffix(".manifest.json"),
        path.with_suffix(".stac.json"),
        path.with_name(path.name + ".aux.xml"),
    )
    others = [one for one in path.parent.iterdir() if is_beside(one.name, path.name) or one in own]
    return [path, *sorted(set(others) - {path})]


def others_of_file(layer):
    """Other layers of the project that show the same file."""
    found = QgsProject.instance().mapLayers().values()
    return [one for one in found if one.id() != layer.id() and one.source() == layer.source()]


def delete_result(layer) -> None:
    """Take a result out of the project, and its files from the disk, unless another layer shows
    them. Raises PluginError where one cannot be deleted."""
    files = [] if others_of_file(layer) else files_of_result(layer)
    QgsProject.instance().removeMapLayer(layer.id())
    for path in reversed(files):  # the GeoTIFF last, so that what is left can still be found
        try:
            path.unlink()
        except OSError as error:
            raise PluginError(
                tr("{path} cannot be deleted: {why}", path=path, why=error)
            ) from error


def strays(folder):
    """Results whose file lies elsewhere than in a folder or below it."""
    found = [(layer, file_of_result(layer)) for layer in results()]
    return [layer for layer, path in found if path.is_file() and Path(folder) not in path.parents]


def collected(folder):
    """What is to be copied so that all results lie in a folder: (layer, its files, the GeoTIFF
    there) for each that lies elsewhere."""
    return [
        (layer, files_of_result(layer), Path(folder) / file_of_result(layer).name)
        for layer in strays(folder)
    ]
