"""What can be known to be wrong with a request once its rasters are opened, and which files they
are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..contract.editors import AUTO
from ..contract.requests import EditRequest, RasterRef
from ..editing import new_ground
from ..editing.plan import decide
from ..editing.region import placing_of
from ..editors.registry import Editors
from ..ground.errors import BadRequest, RasterUnreadable
from ..raster.composed import box_over
from ..raster.polygons import check_crs, extent_box, pixel_polygons
from ..raster.raster import opened, profile_of
from ..raster.rasters import Rasters


@dataclass(frozen=True)
class Admission:
    """What a server lets in. `editors`: that there are. `roots`: folders whose rasters may be named
    by path. `uploads`: folder of what was sent."""

    editors: Editors
    roots: tuple[Path, ...]
    uploads: Path

    def admit(self, process_id: str, request: EditRequest) -> Rasters:
        """The files of a request, once what can be checked without pixels has been; raises what is
        wrong with it."""
        files = self.files_of(request)
        for polygons in (
            request.polygons,
            request.protect,
            request.exemplar and request.exemplar.polygons,
            *(pair.polygons for pair in request.examples),
        ):
            if polygons:
                check_crs(polygons.crs, "polygons.crs")
        if request.extent:
            check_crs(request.extent.crs, "extent.crs")
        with opened(files.raster, files.roots) as dataset:
            profile = profile_of(dataset)
            for over in files.over:
                with opened(over, files.roots) as result:
                    box_over(dataset, result, over.name)
        extent_box(request.extent, profile)
        shown = [path for pair in files.examples for path in pair]
        for path in (files.exemplar, files.elevation, *shown):
            if path is not None:
                with opened(path, files.roots) as dataset:
                    profile_of(dataset)
        if process_id != AUTO or not request.prompt.strip() or request.raster.extent is not None:
            plan = decide(request, process_id, self.editors)
            editor = plan.editor
            shapes = pixel_polygons(request.polygons, profile)
            placing_of(plan, profile, shapes).windows(shapes)
            if request.raster.extent is not None and "raster?" not in editor.info.needs:
                raise BadRequest(
                    f"raster.extent: {editor.info.title} works on a picture, and new ground is "
                    "empty. Name a raster, or take the process 'generate'."
                )
        return files

    def roots_of(self, path: Path) -> tuple[Path, ...]:
        """Folders below which a raster of a request must lie with all it refers to; an upload
        refers to nothing."""
        return (*self.roots, path) if path.parent == self.uploads else self.roots

    def files_of(self, request: EditRequest) -> Rasters:
        """Paths of the request's rasters; raises Forbidden or RasterUnreadable."""
        exemplar = request.exemplar.raster if request.exemplar else None
        files = Rasters(
            self.path_of(request.raster, request.band_roles),
            self.path_of(exemplar) if exemplar else None,
            self.path_of(request.elevation) if request.elevation else None,
            tuple(self.path_of(one) for one in request.over),
            examples=tuple(
                (self.path_of(pair.before), self.path_of(pair.after)) for pair in request.examples
            ),
        )
        return replace(files, roots=files.allowed(self.roots, self.uploads))

    def path_of(self, ref: RasterRef, roles: Mapping[str, int] | None = None) -> Path:
        """The file of an upload, of a path below one of the roots, or of new ground, empty or of
        such a raster made finer."""
        if ref.extent is not None:
            if not (ref.upload or ref.path):
                return new_ground.blank(ref.extent, ref.gsd_m, self.uploads)
            source = self.path_of(replace(ref, extent=None, gsd_m=0.0))
            return new_ground.finer(source, ref, roles or {}, self.uploads)
        if ref.upload:
            path = self.uploads / ref.upload
            if not ref.upload.isalnum() or not path.is_file():
                raise RasterUnreadable(
                    f"There is no upload '{ref.upload[:64]}'; send the raster to POST /rasters "
                    "first."
                )
            with opened(path, (path,)):
                return path
        try:
            path = Path(ref.path).resolve()
        except (OSError, ValueError, RuntimeError) as error:
            raise BadRequest(f"path: '{ref.path[:200]}' is not a path ({error}).") from error
        with opened(path, self.roots):
            return path
