"""A raster and results of its edits written as one file."""

from ..errors import PluginError
from ..local.command import run_command
from ..map.sources import layer_path
from ..translated import tr
from .task import BackgroundTask


def file_on_disk(layer):
    """The file of a raster layer; raises PluginError where it has none on this computer."""
    path = layer_path(layer)
    if path is None:
        raise PluginError(
            tr(
                "'{name}' is no file on this computer. Save it as a GeoTIFF (Export > Save As, raw "
                "data) first.",
                name=layer.name(),
            )
        )
    return path


def flattened(base, results, target, feedback) -> str:
    """Write them, in a worker thread; what is said of it. `results`: files, the lowest first.
    Raises PluginError, Cancelled."""
    files = [base, *results]
    folders = dict.fromkeys(str(path.resolve().parent) for path in files)
    roots = [part for folder in folders for part in ("--root", folder)]
    names = [str(path) for path in files]
    order = ["flatten", *names, "--output", str(target), "--overwrite", *roots]
    return run_command(order, feedback).strip()


class FlattenTask(BackgroundTask):
    """The same for the panel. Signal `ended(task)`; then `error` may be set."""

    def __init__(self, base, results, target) -> None:
        super().__init__(tr("Landbrush: flattening"))
        self.files = (base, results, target)

    def work(self) -> None:
        """Write the raster with its results; what fails leaves no file."""
        flattened(*self.files, self.feedback)
