"""What a person does in the QGIS desktop: clicks, keys, a polygon drawn, an entry of a menu, a file
named; with what is noted of it. For the scripts of a day (day.sh), which run inside QGIS.

Reads DAY_OUT from the environment; `say` writes into DAY_OUT/day.log.
"""

import os
import time
import traceback
from pathlib import Path

from qgis.core import QgsPointXY, QgsProject
from qgis.PyQt.QtCore import QElapsedTimer, QPoint, Qt, QTimer
from qgis.PyQt.QtGui import QContextMenuEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QFileDialog, QLineEdit, QMessageBox, QScrollArea
from qgis.utils import iface

OUT = Path(os.environ["DAY_OUT"])
LOG = open(OUT / "day.log", "a", encoding="utf8")  # noqa: SIM115 - open to the end
LOOK_EVERY_MS = 200


class Hand:
    """Counts clicks; a polygon counts as one."""

    clicks = 0


def say(*words):
    print(*words, file=LOG, flush=True)


class Pulse:
    """How long the GUI thread was kept from its events, in milliseconds at most."""

    def __init__(self):
        self.longest, self.clock, self.timer = 0, QElapsedTimer(), QTimer()
        self.timer.setInterval(5)
        self.timer.timeout.connect(self.beat)

    def beat(self):
        self.longest = max(self.longest, self.clock.restart())

    def start(self):
        self.longest = 0
        self.clock.start()
        self.timer.start()


def wait(condition):
    """Handle events until the condition holds; the whole run has a limit outside (LIMIT_S)."""
    while not condition():
        QApplication.processEvents()
        time.sleep(0.001)


def pause(seconds):
    until = time.monotonic() + seconds
    wait(lambda: time.monotonic() > until)


def settle():
    iface.mapCanvas().refreshAllLayers()
    pause(0.7)
    wait(lambda: not iface.mapCanvas().isDrawing())


def shot(name):
    iface.messageBar().clearWidgets()
    settle()
    QApplication.primaryScreen().grabWindow(0).save(str(OUT / f"{name}.png"))


def click(widget, place=None, button=Qt.MouseButton.LeftButton):
    Hand.clicks += 1
    place = place or widget.rect().center()
    QTest.mouseMove(widget, place)
    QTest.mouseClick(widget, button, Qt.KeyboardModifier.NoModifier, place)


def at(layer, col, row):
    extent = layer.extent()
    x = extent.xMinimum() + col / layer.width() * extent.width()
    y = extent.yMaximum() - row / layer.height() * extent.height()
    there = iface.mapCanvas().getCoordinateTransform().transform(QgsPointXY(x, y))
    return QPoint(round(there.x()), round(there.y()))


def draw(dock, layer, ring):
    """Clicks on the map; the right button ends the polygon. How many there are is the shape's."""
    before = Hand.clicks
    if not dock.area.draw.isChecked():
        click(dock.area.draw, QPoint(20, dock.area.draw.height() // 2))
        before = Hand.clicks
    for col, row in ring:
        click(iface.mapCanvas().viewport(), at(layer, col, row))
    click(iface.mapCanvas().viewport(), at(layer, *ring[-1]), Qt.MouseButton.RightButton)
    Hand.clicks = before + 1


def write(dock, text):
    dock.words.prompt.setFocus()
    dock.words.prompt.selectAll()
    if text.isascii():
        QTest.keyClicks(dock.words.prompt, text)
    else:  # as an input method puts it in; QTest knows the keys of ASCII alone
        dock.words.prompt.insertPlainText(text)
    wait(lambda: dock.words.understood is not None)


def done(dock):
    wait(lambda: dock.task is None and not dock.waiting and not dock.will_run)
    if not dock.results.count():
        raise RuntimeError(f"no result: {dock.status.text()}")


def choose(box, text):
    """An entry of a list, by the keys of its first letters."""
    panel = box.parentWidget()
    while not isinstance(panel, QScrollArea):
        panel = panel.parentWidget()
    panel.ensureWidgetVisible(box)
    box.setFocus()
    QTest.keyClicks(box, text)
    if text not in box.currentText():
        raise RuntimeError(f"the list shows {box.currentText()}, not {text}")


def layer_of_first(dock):
    name = dock.results.item(0).data(Qt.ItemDataRole.UserRole)
    return QgsProject.instance().mapLayer(name)


def number(box, value):
    """A number typed into a field."""
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, str(value))
    QTest.keyClick(box, Qt.Key.Key_Tab)


def as_soon_as(find, act):
    """Look for something that opens and keeps its caller waiting, and act on it."""
    timer = QTimer(iface.mainWindow())

    def look():
        found = find()
        if found is not None:
            timer.stop()
            try:
                act(found)
            except BaseException:
                traceback.print_exc(file=LOG)
                LOG.flush()
                found.close()

    timer.timeout.connect(look)
    timer.start(LOOK_EVERY_MS)


def entry(dock, row, title):
    """An entry of the menu of a result, by the right button."""

    def pick(menu):
        titles = {action.text().replace("&", ""): action for action in menu.actions()}
        place = menu.actionGeometry(titles[title]).center()
        QTest.mouseMove(menu, place)
        QTest.mouseClick(menu, Qt.MouseButton.LeftButton, pos=place)

    view = dock.results.viewport()
    place = dock.results.visualItemRect(dock.results.item(row)).center()
    as_soon_as(QApplication.activePopupWidget, pick)
    mouse = QContextMenuEvent.Reason.Mouse
    QApplication.sendEvent(view, QContextMenuEvent(mouse, place, view.mapToGlobal(place)))


def name_file(path):
    """A path typed into the window that will ask for one."""

    def asked():
        window = QApplication.activeModalWidget()
        return window if isinstance(window, QFileDialog) else None

    def give(window):
        line = window.findChild(QLineEdit, "fileNameEdit")
        line.setFocus()
        line.selectAll()
        QTest.keyClicks(line, str(path))
        QTest.keyClick(line, Qt.Key.Key_Return)

    as_soon_as(asked, give)


def ran_well():
    """Whether the message bar does not speak of a failure."""
    return not any(item.level() == 2 for item in iface.messageBar().items())


def leave():
    """QGIS's own way out: its menu's Exit."""
    as_soon_as(_question, _answer)
    iface.actionExit().trigger()


def _question():
    window = QApplication.activeModalWidget()
    return window if isinstance(window, QMessageBox) else None


def _answer(window):
    """Scratch layers, and what moved since it was saved, go; what else is asked is noted."""
    as_soon_as(lambda: _question() if _question() is not window else None, _answer)
    discard = window.button(QMessageBox.StandardButton.Discard)
    if "scratch" in window.text() or discard is not None:  # it was saved a moment ago
        button = discard or window.button(QMessageBox.StandardButton.Yes)
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    else:
        say("asked on the way out:", window.windowTitle(), window.text())
