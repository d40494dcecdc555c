"""HTTP through QGIS's own network manager, so that proxies and certificates are the user's.

`QgisTransport.send` blocks and belongs into tasks and Processing algorithms,
never on the GUI thread.
"""

from pathlib import Path

from qgis.core import QgsBlockingNetworkRequest, QgsFeedback
from qgis.PyQt.QtCore import QByteArray, QFile, QIODevice, QUrl
from qgis.PyQt.QtNetwork import QNetworkRequest

from ..errors import Cancelled, PluginError, ServerUnreachable
from ..translated import tr
from .client import Reply

TIMEOUT_MS = 60_000


class QgisTransport:
    """Sends requests; one object may be used by one thread at a time.

    The feedback is looked at before a request and not handed to it:
    in a worker thread a QgsBlockingNetworkRequest that is aborted never returns
    (its abort drops the reply without ending the wait).
    """

    def __init__(self, feedback=None) -> None:
        self.feedback = feedback or QgsFeedback()

    def send(self, method, url, headers, body=b""):
        """Return the Reply, whatever its status; raises ServerUnreachable where there is none.

        `body`: bytes, or the Path of a file, which is read as it is sent.
        """
        if self.feedback.isCanceled():
            raise Cancelled
        request = QNetworkRequest(QUrl(url))
        request.setTransferTimeout(TIMEOUT_MS)
        for name, value in headers.items():
            request.setRawHeader(name.encode(), value.encode())
        blocking = _blocking()
        verb = method.lower()
        if verb == "get":
            blocking.get(request, True)
        elif verb == "post" and isinstance(body, Path):
            _post_file(blocking, request, body)
        elif verb == "post":
            blocking.post(request, QByteArray(body), True)
        elif verb == "delete":
            blocking.deleteResource(request)
        else:
            raise ValueError(method)
        return _reply(blocking.reply(), url)


def _blocking():
    """A QgsBlockingNetworkRequest that cannot lock up with the GUI thread.

    Qt calls a sender's disconnectNotify while it holds its lock for signals, and the first such
    call on an object made in Python takes the interpreter's lock to look for a Python method; a GUI
    thread that destroys a QObject at that moment holds the locks the other way round, and both wait
    for ever. The answer of that look is kept, so it is asked for here, where the interpreter's lock
    is held before Qt's.
    """
    blocking = QgsBlockingNetworkRequest()
    blocking.downloadProgress.connect(_ignore)
    blocking.downloadProgress.disconnect(_ignore)
    return blocking


def _ignore(*_) -> None:
    pass


def _post_file(blocking, request, path):
    stream = QFile(str(path))
    if not stream.open(QIODevice.OpenModeFlag.ReadOnly):
        raise PluginError(
            tr("{path} cannot be read: {errorString}", path=path, errorString=stream.errorString())
        )
    try:
        blocking.post(request, stream, True)
    finally:
        stream.close()


def _reply(answer, url):
    status = answer.attribute(QNetworkRequest.Attribute.HttpStatusCodeAttribute)
    if status is None:
        raise ServerUnreachable(
            tr("The Landbrush server does not answer at {url}.", url=url),
            f"{answer.errorString()} (code {answer.error()}). Start it in the Landbrush panel, or "
            "check its address in the settings. If QGIS uses a proxy, put 127.0.0.1 on its "
            "exclude list.",
        )
    found = {
        bytes(name).decode().lower(): bytes(answer.rawHeader(name)).decode()
        for name in answer.rawHeaderList()
    }
    return Reply(int(status), found, bytes(answer.content()))
