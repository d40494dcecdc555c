"""The day after, in a QGIS that was started anew: the project is opened, its results are there, one
of them is made again to the same bytes, and QGIS is left.

Run by day.sh after day_in_qgis.py; reads what that left in DAY_OUT.
"""

import json
import os
import sys
import traceback

from qgis.core import QgsProject
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtWidgets import QApplication
from qgis.utils import iface, plugins

sys.path.insert(0, os.environ["DAY_SCRIPTS"])

from person import LOG, OUT, click, done, entry, layer_of_first, leave, say, shot, wait


def next_day(dock):
    wanted = json.loads((OUT / "tomorrow.json").read_text("utf8"))
    iface.addProject(str(OUT / "plan.qgz"))
    back = sum(
        bool(dock.results.item(k).data(Qt.ItemDataRole.UserRole))
        for k in range(dock.results.count())
    )
    say(f"figure results_found_next_day {back} of {wanted['results']}")
    entry(dock, 0, "Edit again …")
    click(dock.run_button)
    wait(lambda: dock.will_run or dock.task is not None)
    done(dock)
    made = json.loads(layer_of_first(dock).customProperty("landbrush/manifest"))
    say(f"figure replay_same_bytes {int(made['gate']['sha256_result'] == wanted['sha256'])} of 1")
    shot("6-next-day")


def main():
    try:
        window = iface.mainWindow()
        window.showNormal()
        window.setGeometry(QApplication.primaryScreen().availableGeometry())
        next_day(plugins["landbrush"].dock)
        say("found again")
    except BaseException:
        traceback.print_exc(file=LOG)
        LOG.flush()
        os._exit(1)
    QgsProject.instance().setDirty(False)
    leave()


QTimer.singleShot(1500, main)
