"""HTTP through QGIS's own network manager, so that proxies and certificates are the user's.

`QgisTransport.send` blocks and belongs into tasks and Processing algorithms,
never on the GUI thread.
"""

from qgis.core import QgsBlockingNetworkRequest, QgsFeedback
from qgis.PyQt.QtCore import QByteArray, QUrl
from qgis.PyQt.QtNetwork import QNetworkRequest

from .client import Reply
from .errors import Cancelled, ServerUnreachable

TIMEOUT_MS = 60_000


class QgisTransport:
    """Sends requests; one object may be used by one thread at a time."""

    def __init__(self, feedback=None):
        self.feedback = feedback or QgsFeedback()

    def send(self, method, url, headers, body=b""):
        """Return the Reply, whatever its status; raises ServerUnreachable where there is none."""
        if self.feedback.isCanceled():
            raise Cancelled
        request = QNetworkRequest(QUrl(url))
        request.setTransferTimeout(TIMEOUT_MS)
        for name, value in headers.items():
            request.setRawHeader(name.encode(), value.encode())
        blocking = QgsBlockingNetworkRequest()
        verb = method.lower()
        if verb == "get":
            code = blocking.get(request, True, self.feedback)
        elif verb == "post":
            code = blocking.post(request, QByteArray(body), True, self.feedback)
        elif verb == "delete":
            code = blocking.deleteResource(request, self.feedback)
        else:
            raise ValueError(method)
        answer = blocking.reply()
        status = answer.attribute(QNetworkRequest.Attribute.HttpStatusCodeAttribute)
        if status is None:
            if self.feedback.isCanceled():
                raise Cancelled
            raise ServerUnreachable(
                f"The Landbrush server does not answer at {url}.",
                f"{blocking.errorMessage()} (code {code}). Start it in the Landbrush panel, or check its address "
                "in the settings. If QGIS uses a proxy, put 127.0.0.1 on its exclude list.",
            )
        found = {bytes(name).decode().lower(): bytes(answer.rawHeader(name)).decode()
                 for name in answer.rawHeaderList()}
        return Reply(int(status), found, bytes(answer.content()))
