"""HTTP through QGIS's own network manager, so that proxies and certificates are the user's.

`QgisTransport.send` blocks and belongs into tasks and Processing algorithms,
never on the GUI thread.
"""

from pathlib import Path

from qgis.core import QgsBlockingNetworkRequest, QgsFeedback, QgsNetworkAccessManager
from qgis.PyQt.QtCore import QByteArray, QFile, QIODevice, QUrl
from qgis.PyQt.QtNetwork import QNetworkRequest

from .client import Reply
from .errors import Cancelled, PluginError, ServerUnreachable

TIMEOUT_MS = 60_000


class QgisTransport:
    """Sends requests; one object may be used by one thread at a time.

    The feedback is looked at before a request and not handed to it:
    in a worker thread a QgsBlockingNetworkRequest that is aborted never returns
    (its abort drops the reply without ending the wait).
    """

    def __init__(self, feedback=None):
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
        verb = method.lower()
        # The static calls where there are any: a QgsBlockingNetworkRequest made in Python wants the interpreter's lock while Qt
        # holds its own for signals, and a GUI thread that waits the other way round never goes on (seen on QGIS 3.22).
        if verb == "get":
            answer = QgsNetworkAccessManager.blockingGet(request, "", True)
        elif verb == "post" and isinstance(body, Path):
            answer = self._post_file(request, body)
        elif verb == "post":
            answer = QgsNetworkAccessManager.blockingPost(request, QByteArray(body), "", True)
        elif verb == "delete":
            blocking = QgsBlockingNetworkRequest()
            blocking.deleteResource(request)
            answer = blocking.reply()
        else:
            raise ValueError(method)
        return self._reply(answer, url)

    def _post_file(self, request, path):
        blocking, stream = QgsBlockingNetworkRequest(), QFile(str(path))
        if not stream.open(QIODevice.OpenModeFlag.ReadOnly):
            raise PluginError(f"{path} cannot be read: {stream.errorString()}")
        try:
            blocking.post(request, stream, True)
            return blocking.reply()
        finally:
            stream.close()

    def _reply(self, answer, url):
        status = answer.attribute(QNetworkRequest.Attribute.HttpStatusCodeAttribute)
        if status is None:
            raise ServerUnreachable(
                f"The Landbrush server does not answer at {url}.",
                f"{answer.errorString()} (code {answer.error()}). Start it in the Landbrush panel, or check its address "
                "in the settings. If QGIS uses a proxy, put 127.0.0.1 on its exclude list.",
            )
        found = {bytes(name).decode().lower(): bytes(answer.rawHeader(name)).decode()
                 for name in answer.rawHeaderList()}
        return Reply(int(status), found, bytes(answer.content()))
