"""Files and answers over QGIS's own network manager, so that proxies and certificates are the
user's; nothing waits for them."""

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

from qgis.core import QgsNetworkAccessManager
from qgis.PyQt.QtCore import QObject, QTimer, QUrl, pyqtSignal
from qgis.PyQt.QtNetwork import QNetworkReply, QNetworkRequest

from ..translated import tr
from .wheels import SLICE, Wheel

PART = ".part"
"""Behind the name of a file that has not come whole."""
STATUS = QNetworkRequest.Attribute.HttpStatusCodeAttribute
GOES_ON = 206
"""HTTP's status of an answer that begins where the file so far ends."""


def _request(url: str) -> QNetworkRequest:
    request = QNetworkRequest(QUrl(url))
    request.setAttribute(
        QNetworkRequest.Attribute.CacheLoadControlAttribute,
        QNetworkRequest.CacheLoadControl.AlwaysNetwork,
    )
    request.setAttribute(QNetworkRequest.Attribute.CacheSaveControlAttribute, False)
    request.setAttribute(
        QNetworkRequest.Attribute.RedirectPolicyAttribute,
        QNetworkRequest.RedirectPolicy.NoLessSafeRedirectPolicy,
    )
    return request


class Answer(QObject):
    """JSON of an address. `came(object, str)`: it, or None and why not."""

    came = pyqtSignal(object, str)

    def __init__(self, url: str, parent=None) -> None:
        super().__init__(parent)
        self.reply = QgsNetworkAccessManager.instance().get(_request(url))
        self.reply.finished.connect(self._finished)

    def _finished(self) -> None:
        reply = self.reply
        reply.deleteLater()
        if reply.error() != QNetworkReply.NetworkError.NoError:
            self.came.emit(None, reply.errorString())
            return
        try:
            self.came.emit(json.loads(bytes(reply.readAll())), "")
        except ValueError as error:
            self.came.emit(None, str(error))


class Download(QObject):
    """A wheel on its way into a folder: where a part of it came before, the rest is fetched.

    `progressed(float)`: bytes that are here. `ended(str)`: empty, or why it did not come.
    """

    progressed = pyqtSignal(float)
    ended = pyqtSignal(str)

    def __init__(self, wheel: Wheel, folder: Path, parent=None) -> None:
        super().__init__(parent)
        self.wheel = wheel
        self.target = folder / Path(wheel.name).name
        self.part = folder / f"{self.target.name}{PART}"
        self.reply: QNetworkReply = None  # until it is asked for
        self._sum = hashlib.sha256()
        self._have = 0
        self._stream: Any = None  # the file, once it has begun
        self._stopped = self._begun = False

    def start(self) -> None:
        """Begin, or say at once that it is here."""
        if self.target.is_file():
            self.part = self.target
        # Written as it comes, and closed when it has ended.
        self._stream = open(self.part, "rb" if self.part == self.target else "a+b")  # noqa: SIM115
        self._stream.seek(0)
        QTimer.singleShot(0, self._look)

    def _look(self) -> None:
        """Sum what is here already, a slice at a time; then ask for the rest."""
        if self._stopped:
            return
        try:
            found = self._stream.read(SLICE)
        except OSError as error:
            self.ended.emit(str(error))
            return
        if found:
            self._take(found)
            QTimer.singleShot(0, self._look)
        elif self.part == self.target or (self.wheel.size and self._have >= self.wheel.size):
            self._finish()
        else:
            request = _request(self.wheel.url)
            if self._have:
                request.setRawHeader(b"Range", f"bytes={self._have}-".encode())
            self.reply = QgsNetworkAccessManager.instance().get(request)
            self.reply.readyRead.connect(self._read)
            self.reply.finished.connect(self._finished)

    def _take(self, found: bytes) -> None:
        self._sum.update(found)
        self._have += len(found)
        self.progressed.emit(float(self._have))

    def _read(self) -> None:
        status = self.reply.attribute(STATUS)
        if status not in (None, 200, GOES_ON):
            return  # what comes is no part of the file
        if status != GOES_ON and not self._begun:
            self._stream.truncate(0)
            self._sum, self._have = hashlib.sha256(), 0
        self._begun = True
        found = bytes(self.reply.readAll())
        try:
            self._stream.write(found)
            self._stream.flush()
        except OSError as error:
            self.stop()
            self.ended.emit(str(error))
            return
        self._take(found)

    def _finished(self) -> None:
        reply, self.reply = self.reply, None
        reply.deleteLater()
        if self._stopped:
            return
        if reply.error() != QNetworkReply.NetworkError.NoError:
            self._close()
            self.ended.emit(reply.errorString())
            return
        self._finish()

    def _close(self) -> None:
        if self._stream is not None:
            with contextlib.suppress(OSError):  # what could not be written is seen by its sum
                self._stream.close()

    def _finish(self) -> None:
        """Keep what came whole."""
        try:
            self._keep()
        except OSError as error:
            self.ended.emit(str(error))

    def _keep(self) -> None:
        self._close()
        if self._sum.hexdigest() != self.wheel.sha256:
            self.part.unlink()
            self.ended.emit(
                tr("{name} came damaged and was deleted. Try again.", name=self.wheel.name)
            )
            return
        if self.part != self.target:
            self.part.replace(self.target)
        self.ended.emit("")

    def stop(self) -> None:
        """Fetch no more; what is here stays for the next time."""
        self._stopped = True
        if self.reply is not None:
            self.reply.abort()
        self._close()
