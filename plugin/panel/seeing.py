"""The part of the panel that shows results, compares them with the original, and makes of them what
one hands on."""

from pathlib import Path
from typing import Optional

from qgis.core import Qgis, QgsProject
from qgis.PyQt.QtCore import QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QFileDialog, QInputDialog, QMessageBox

from .. import settings
from ..errors import PluginError
from ..map.results import (
    SYNTHETIC,
    add_flattened,
    base_of,
    collected,
    delete_result,
    family,
    file_of_result,
    files_of_result,
    others_of_file,
    shown_over,
    strays,
)
from ..products.areas import write_areas
from ..products.layout import make_layout
from ..products.page import write_page
from ..products.pictures import Pictures, ground, layers_of
from ..products.sheet import Sheet, SheetTask, rights_of, width_m
from ..products.stac import write_item
from ..tasks.copying import CopyTask
from ..tasks.flatten import FlattenTask, file_on_disk
from ..translated import tr
from .again import fill
from .asking import AskingForm
from .jobs_page import JobsPage

FLICKER_MS = 800


def place_text(box, crs) -> str:
    """Where a picture lies, in words."""
    return f"{crs.authid()} · {box.toString(6 if crs.isGeographic() else 1)}"


class SeeingForm(AskingForm):
    """What is done to results. Signal `run_wanted()`: the form is filled, and is to be run."""

    run_wanted = pyqtSignal()

    def __init__(self, iface, parent=None) -> None:
        super().__init__(iface, parent)
        self.jobs = JobsPage(self._ask, self)
        self.pictures: Optional[Pictures] = None  # that are being drawn
        self.flicker_timer = QTimer(self)
        self.flicker_timer.setInterval(FLICKER_MS)
        self.flicker_timer.timeout.connect(lambda: self.results.hold(not self.results.held))
        self.results.wanted.connect(self.do_to_result)
        self.original.pressed.connect(lambda: self.results.hold(True))
        self.original.released.connect(lambda: self.results.hold(False))
        self.swipe.clicked.connect(self._swipe)
        self.jobs_button.clicked.connect(self.show_jobs)
        self.flicker.toggled.connect(self._flicker)
        self.swipe_tool.ended.connect(lambda: self.swipe.setChecked(False))
        self.wants = {
            "zoom": self._zoom_to,
            "compare": self.compare,
            "again": self._again,
            "seed": self._another_seed,
            "base": self._use_as_base,
            "export": self._export,
            "flatten": self._flatten,
            "share": self._share,
            "sheet": self._sheet,
            "layout": self._layout,
            "areas": self._areas,
            "stac": self._stac,
            "delete": self._delete,
        }
        QgsProject.instance().projectSaved.connect(self._saved)

    def do_to_result(self, name, layer) -> None:
        """What the menu of a result offers; says what went wrong."""
        try:
            self.wants[name](layer)
        except PluginError as error:
            self._fail(error)
        except OSError as error:
            self._fail(PluginError(tr("A file could not be written: {why}", why=error)))

    # ---- seeing

    def _zoom_to(self, layer) -> None:
        self.iface.setActiveLayer(layer)
        self.iface.zoomToActiveLayer()

    def compare(self, layer) -> None:
        """Before and after of a result, with a curtain over the map."""
        item = self.results.item_of(layer.id())
        if item is not None:
            self.results.setCurrentItem(item)
        self._swipe(True)

    def _swipe(self, on) -> None:
        found = self.results.compared() if on else None
        if found is not None:
            self.flicker.setChecked(False)
            self.swipe_tool.compare(*found)
        elif not on:
            self.canvas.unsetMapTool(self.swipe_tool)
        else:
            self.say(tr("There is no result to compare yet."), Qgis.MessageLevel.Warning)
        self.swipe.setChecked(found is not None)

    def stop_comparing(self) -> None:
        """Show results as they are meant to be shown: no turns, nothing held up."""
        self.flicker.setChecked(False)
        self.results.hold(False)

    def toggle_swipe(self) -> None:
        """Begin or end to compare."""
        self._swipe(not self.swipe.isChecked())

    def _flicker(self, on) -> None:
        if on:
            self.canvas.unsetMapTool(self.swipe_tool)
            self.flicker_timer.start()
        else:
            self.flicker_timer.stop()
            self.results.hold(False)

    # ---- going on from a result

    def _again(self, layer) -> None:
        fill(self, layer)
        self.status.setText(tr("As it was asked for; change what you like and run it."))

    def _another_seed(self, layer) -> None:
        fill(self, layer)
        self.variants.setValue(1)
        self.dice.click()
        self.run_wanted.emit()

    def _use_as_base(self, layer) -> None:
        self.layer.setLayer(layer)
        self.status.setText(tr("The next edit is made of '{name}'.", name=layer.name()))

    # ---- handing on

    def _asked_for_file(self, title, name, kinds):
        """A path that the user chose; None where they changed their mind."""
        start = str(Path(QgsProject.instance().absolutePath() or Path.home()) / name)
        path, _ = QFileDialog.getSaveFileName(self, title, start, kinds)
        return Path(path) if path else None

    def _export(self, layer) -> None:
        source = file_of_result(layer)
        target = self._asked_for_file(tr("Export result"), source.name, "GeoTIFF (*.tif)")
        if target is not None:
            self._copy(files_of_result(layer), target)

    def _flatten(self, layer) -> None:
        """All results that are shown over the same layer, and that, as one file and layer."""
        base = base_of(layer)
        if base is None:
            raise PluginError(tr("The layer that this was made from is not in the project."))
        shown = shown_over(base)
        if not shown:
            raise PluginError(tr("No result is shown over '{name}'.", name=base.name()))
        files = [file_on_disk(one) for one in (base, *shown)]
        target = self._asked_for_file(
            tr("Flatten into one file"), f"{files[0].stem}-scenario.tif", "GeoTIFF (*.tif)"
        )
        if target is None:
            return
        if any(target.exists() and target.samefile(one) for one in files):
            raise PluginError(tr("{path} is one of the files that are read.", path=target))
        task = FlattenTask(files[0], files[1:], target)
        name = base.id()

        def show() -> None:
            here = QgsProject.instance().mapLayer(name)
            if here is not None:  # the project may be another one by now
                add_flattened(target, here)

        self._written_by(task, target, show)

    def _copy(self, files, target) -> None:
        """Copy a result in the background, with what lies beside it."""
        source = files[0]
        pairs = [
            (one, target.with_name(target.name + one.name[len(source.name) :]))
            if one.name.startswith(source.name)
            else (one, target.with_name(target.stem + one.name[len(source.stem) :]))
            for one in files
        ]
        self._written_by(CopyTask(tr("Landbrush: exporting"), pairs), target)

    def _written_by(self, task, target, then=None) -> None:
        """Run a task that writes a file, and say where it lies, or what went wrong; `then`: what
        is done with it."""

        def ended(done) -> None:
            self.tasks.remove(done)
            if done.error is not None:
                self._fail(done.error)
                return
            if then is not None:
                try:
                    then()
                except PluginError as error:
                    self._fail(error)
                    return
            self.say(tr("Written: {path}", path=target))

        task.ended.connect(ended)
        self._start_task(task)

    def _share(self, layer) -> None:
        title, sure = QInputDialog.getText(
            self,
            tr("Page with slider"),
            tr("Title of the page (prompt and paths are not written into it):"),
            text=tr("Before and after"),
        )
        target = sure and self._asked_for_file(
            tr("Page with slider"), "before-after.html", "HTML (*.html)"
        )
        if not target:
            return
        box, crs = ground(layer)
        about = place_text(box, crs)
        self.pictures = pictures = Pictures(layer, box, crs, self)

        def made(before, after) -> None:
            try:
                write_page(target, (before, after), title, about)
            except OSError as error:
                self._fail(PluginError(tr("A file could not be written: {why}", why=error)))
                return
            self.say(tr("Written: {path}", path=target))

        pictures.made.connect(made)
        pictures.start()

    def _sheet(self, layer) -> None:
        """One press: where to, and the PDF is written in the background."""
        target = self._asked_for_file(tr("Sheet Before | After"), "before-after.pdf", "PDF (*.pdf)")
        if target is None:
            return
        box, crs = ground(layer)
        base = base_of(layer) or layer
        rights = rights_of(layers_of(layer)[1]) or tr(SYNTHETIC)
        title = tr("Before | After: {name}", name=base.name())
        sheet = Sheet(title, rights, place_text(box, crs), width_m(box, crs))
        self.pictures = pictures = Pictures(layer, box, crs, self)

        pictures.made.connect(
            lambda *both: self._written_by(SheetTask(target, sheet, both), target)
        )
        pictures.start()

    def _layout(self, layer) -> None:
        layout = make_layout(layer, *ground(layer))
        self.iface.openLayoutDesigner(layout)

    def _areas(self, layer) -> None:
        layers = [one for one in family(layer) if one.isValid()]
        found = write_areas(layers, settings.output_folder(), "changed-areas")
        QgsProject.instance().addMapLayer(found)

    def _stac(self, layer) -> None:
        self.say(tr("Written: {path}", path=write_item(layer)))

    def _delete(self, layer) -> None:
        shared = others_of_file(layer)
        names = "" if shared else ", ".join(path.name for path in files_of_result(layer))
        sure = QMessageBox.question(
            self,
            tr("Delete result"),
            tr("Take '{name}' out of the project and delete {files}?", name=layer.name(),
               files=names or tr("no file")),
        )  # fmt: skip
        if sure == QMessageBox.StandardButton.Yes:
            delete_result(layer)

    # ---- where results are kept

    def _saved(self) -> None:
        """The project has a folder of its own now: results that lie elsewhere can come there."""
        folder = settings.project_folder()
        away = strays(folder) if folder is not None else []
        if away and not settings.get("output/folder"):
            self.offer(
                tr("Results outside of the project's folder: {n}.", n=len(away)),
                tr("Collect them"),
                self.collect,
            )

    def collect(self) -> None:
        """Copy the files of all results into the project's folder, where a colleague finds them."""
        folder = settings.project_folder()
        if folder is None:
            self.say(tr("Save the project first."), Qgis.MessageLevel.Warning)
            return
        found = collected(folder)
        pairs = [(one, folder / one.name) for _, files, _ in found for one in files]
        folder.mkdir(parents=True, exist_ok=True)
        task = CopyTask(tr("Landbrush: exporting"), pairs)

        def ended(done) -> None:
            self.tasks.remove(done)
            if done.error is not None:
                self._fail(done.error)
                return
            here = set(QgsProject.instance().mapLayers())
            for name, target in names:
                if name in here:
                    layer = QgsProject.instance().mapLayer(name)
                    layer.setDataSource(str(target), layer.name(), "gdal")
            self.say(tr("Results copied to {folder}: {n}.", n=len(names), folder=folder))

        names = [(layer.id(), target) for layer, _, target in found]
        task.ended.connect(ended)
        self._start_task(task)

    def show_jobs(self) -> None:
        """Open the list of all jobs of the server."""
        self.jobs.show()
        self.jobs.raise_()

    def dispose_seeing(self) -> None:
        """Stop comparing, and follow the project no more."""
        self.flicker_timer.stop()
        QgsProject.instance().projectSaved.disconnect(self._saved)
        self.canvas.unsetMapTool(self.swipe_tool)
        self.swipe_tool.dispose()
        self.results.dispose()
        self.jobs.timer.stop()
