"""HTTP through QGIS's own network manager, so that proxies and certificates are the user's.

`QgisTransport.send` blocks and belongs into tasks and Processing algorithms,
never on the GUI thread.
"""

from pathlib import Path

from qgis.core import QgsBlockingNetworkRequest, QgsFeedback
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
        blocking = QgsBlockingNetworkRequest()
        verb = method.lower()
        if verb == "get":
            code = blocking.get(request, True)
        elif verb == "post" and isinstance(body, Path):
            code = self._post_file(blocking, request, body)
        elif verb == "post":
            code = blocking.post(request, QByteArray(body), True)
        elif verb == "delete":
            code = blocking.deleteResource(request)
        else:
            raise ValueError(method)
        return self._reply(blocking, url, code)

    def _post_file(self, blocking, request, path):
        stream = QFile(str(path))
        if not stream.open(QIODevice.OpenModeFlag.ReadOnly):
            raise PluginError(f"{path} cannot be read: {stream.errorString()}")
        try:
            return blocking.post(request, stream, True)
        finally:
            stream.close()

    def _reply(self, blocking, url, code):
        answer = blocking.reply()
        status = answer.attribute(QNetworkRequest.Attribute.HttpStatusCodeAttribute)
        if status is None:
            raise ServerUnreachable(
                f"The Landbrush server does not answer at {url}.",
                f"{blocking.errorMessage()} (code {code}). Start it in the Landbrush panel, or check its address "
                "in the settings. If QGIS uses a proxy, put 127.0.0.1 on its exclude list.",
            )
        found = {bytes(name).decode().lower(): bytes(answer.rawHeader(name)).decode()
                 for name in answer.rawHeaderList()}
        return Reply(int(status), found, bytes(answer.content()))
