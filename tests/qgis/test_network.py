"""Requests through QGIS's network manager, from tasks beside a busy GUI thread."""

import http.server
import os
import subprocess
import sys
import threading

import pytest

REQUESTS = """
import os, random, sys
from pathlib import Path
from qgis.core import QgsApplication, QgsTask
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal
from landbrush.plugin.tasks.network import QgisTransport

method, url, body = sys.argv[1], sys.argv[2], Path(sys.argv[3]) if len(sys.argv) > 3 else b""
app = QgsApplication([], False)
app.initQgis()
# Requests connect to the application too; QGIS's own is not made in Python as this one is.
app.aboutToQuit.connect(print)
app.aboutToQuit.disconnect(print)
answers = []

class Requests(QgsTask):
    def run(self):
        for _ in range(60):
            answers.append(QgisTransport().send(method, url, {}, body).status)
        return True

class Source(QObject):
    signal = pyqtSignal(int)

tasks = [Requests("a"), Requests("b")]
for task in tasks:
    QgsApplication.taskManager().addTask(task)
sources = [Source() for _ in range(2000)]
while len(answers) < 120:
    for _ in range(100):
        other = random.choice(sources)
        source, timer = Source(), QTimer()
        source.signal.connect(other.signal)
        other.signal.connect(timer.start)
        del source, timer
        sources[random.randrange(2000)] = Source()
    app.processEvents()
print("answers", set(answers), flush=True)
os._exit(0)
"""


class Hub(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def do_GET(self):
        self.do_POST()

    def do_DELETE(self):
        self.do_POST()

    def log_message(self, *_):
        pass


@pytest.fixture
def address():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("method", ["get", "post", "upload", "delete"])
def test_requests_of_tasks_do_not_lock_up_with_a_gui_thread_that_destroys_objects(
    method, address, tmp_path
):
    file = tmp_path / "sent"
    file.write_bytes(os.urandom(1000))
    arguments = ["post", address, str(file)] if method == "upload" else [method, address]
    done = subprocess.run(
        [sys.executable, "-c", REQUESTS, *arguments], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "answers {200}", done.stdout + done.stderr
