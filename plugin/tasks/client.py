"""The contract's calls. Knows neither QGIS nor sockets: the transport does."""

import json
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Dict

from ...server.contract.comparison import Comparison
from ...server.contract.editors import EditorInfo
from ...server.contract.jobs import ENDED, MANIFEST_FILE, RESULT_FILE, JobInfo
from ...server.contract.models import Model
from ...server.contract.routes import route
from ...server.contract.words import Ensemble, Interpretation, SearchResult
from ..errors import Cancelled, PluginError, ServerUnreachable

POLL_WAIT_S = 2
POLL_ERRORS = 5
SUBMIT_TRIES = 3
DOWNLOAD_PART = 16 << 20


@dataclass(frozen=True)
class Reply:
    """An HTTP answer; header names in lower case."""

    status: int
    headers: Dict[str, str]
    body: bytes


class EditClient:
    """One server. `transport` has send(method, url, headers, body) -> Reply, body being bytes or a
    file's Path."""

    def __init__(self, url, token, transport):
        self.url = url.rstrip("/")
        self.token = token
        self.transport = transport

    def _send(self, method, path, content=None, headers=None, body=b""):
        head = {
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/json",
            **(headers or {}),
        }
        if content is not None:
            body = json.dumps(content).encode()
            head["Content-Type"] = "application/json"
        reply = self.transport.send(method, self.url + path, head, body)
        if reply.status >= 400:
            raise _as_error(reply)
        return reply

    def _json(self, method, path, content=None, headers=None):
        reply = self._send(method, path, content, headers)
        try:
            return json.loads(reply.body.decode("utf8"))
        except ValueError as error:
            raise PluginError(
                f"{self.url} answered with something that is not a Landbrush answer.",
                f"{method} {path}: status {reply.status}, {reply.body[:200]!r}: {error}",
            ) from error

    def health(self):
        """The landing page; `health` is in it when the token is right."""
        return self._json("GET", route("landing"))

    def editors(self):
        """EditorInfo of every process, the interpreter's first."""
        found = self._json("GET", route("processes"))["processes"]
        return [self.editor(entry["id"]) for entry in found]

    def editor(self, editor_id):
        """EditorInfo of one process."""
        data = self._json("GET", route("process", process_id=editor_id))
        return EditorInfo.from_json(data["landbrush"])

    def interpret(self, wanted):
        """What the words of an InterpretationRequest are understood to ask for."""
        return Interpretation.from_json(
            self._json("POST", route("interpretations"), wanted.to_json())
        )

    def ensemble(self, prompt, source):
        """Sentences that say the same as a prompt; `source`: who makes them."""
        wanted = Ensemble(prompt, source)
        return Ensemble.from_json(self._json("POST", route("ensembles"), wanted.to_json()))

    def search(self, request):
        """Windows that look like a word."""
        return SearchResult.from_json(self._json("POST", route("searches"), request.to_json()))

    def compare(self, request):
        """What changed between two rasters."""
        return Comparison.from_json(self._json("POST", route("comparisons"), request.to_json()))

    def models(self):
        """The pretrained models, and how each is."""
        return [Model.from_json(entry) for entry in self._json("GET", route("models"))["models"]]

    def model_action(self, wanted):
        """Begin what a Model's action says."""
        return Model.from_json(
            self._json("POST", route("model", model_id=wanted.id), wanted.to_json())
        )

    def upload(self, path):
        """Send a raster file, piece by piece; returns its id, which is its content's."""
        reply = self._send(
            "POST", route("rasters"), headers={"Content-Type": "image/tiff"}, body=Path(path)
        )
        return json.loads(reply.body.decode("utf8"))["upload"]

    def submit(self, process_id, request, key=""):
        """Accept a job. The same key gives the same job, so that a lost answer is simply asked for
        again."""
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        body = {"inputs": request.to_json()}
        path = route("execution", process_id=process_id)
        attempt = 1
        while True:
            try:
                return _job(self._json("POST", path, body, headers))
            except ServerUnreachable:
                if attempt == SUBMIT_TRIES:
                    raise
            time.sleep(attempt)
            attempt += 1

    def job(self, job_id, wait=0):
        """Status of a job, after a change or `wait` seconds."""
        query = f"?wait={wait}" if wait else ""
        return _job(self._json("GET", route("job", job_id=job_id) + query))

    def jobs(self):
        """All jobs, newest first."""
        return [_job(entry) for entry in self._json("GET", route("jobs"))["jobs"]]

    def dismiss(self, job_id):
        """Stop a job; harmless when it has ended."""
        return _job(self._json("DELETE", route("job", job_id=job_id)))

    def wait(self, job_id, on_change, cancelled):
        """Follow a job to its end; dismisses it when `cancelled()`. Some lost answers in a row are
        forgiven."""
        lost = 0
        while True:
            if cancelled():
                self.dismiss(job_id)
                raise Cancelled
            try:
                info = self.job(job_id, POLL_WAIT_S)
                lost = 0
            except ServerUnreachable:
                lost += 1
                if lost >= POLL_ERRORS:
                    raise
                time.sleep(min(lost, 3))
                continue
            on_change(info)
            if info.status in ENDED:
                return info

    def result(self, job_id, name=RESULT_FILE):
        """The bytes of a result file."""
        return self._send(
            "GET", route("result_file", job_id=job_id, name=name), headers={"Accept": "*/*"}
        ).body

    def download(self, job_id, target, name=RESULT_FILE):
        """Write a result file to `target` part by part, so that its size does not matter; raises
        PluginError where the file changes meanwhile or ends early."""
        path = route("result_file", job_id=job_id, name=name)
        done = 0
        total = None
        mark = ""
        with open(target, "wb") as out:
            while total is None or done < total:
                head = {"Accept": "*/*", "Range": f"bytes={done}-{done + DOWNLOAD_PART - 1}"}
                reply = self._send("GET", path, headers=head)
                out.write(reply.body)
                done += len(reply.body)
                if reply.status != 206:
                    return  # a server or proxy that knows no ranges: the whole file at once
                if not reply.body or mark not in ("", reply.headers.get("etag", "")):
                    raise PluginError(
                        "The result changed or broke off while it was fetched. Fetch it again.",
                        path,
                    )
                total = int(reply.headers["content-range"].rpartition("/")[2])
                mark = reply.headers.get("etag", "")

    def manifest(self, job_id):
        """The manifest of a result."""
        return json.loads(self.result(job_id, MANIFEST_FILE).decode("utf8"))


def _job(data):
    return JobInfo.from_json(data)


def _as_error(reply):
    """A problem document as an error for the user."""
    try:
        problem = json.loads(reply.body.decode("utf8"))
        detail = problem.get("detail", "")
        title = problem.get("title", "")
    except (ValueError, AttributeError):
        detail = reply.body[:300].decode("utf8", "replace")
        title = f"HTTP status {reply.status}"
    if reply.status == 401:
        return PluginError(
            "The server does not accept the token. Check it in the Landbrush settings.", detail
        )
    return PluginError(f"{title}: {detail}" if detail else title, f"HTTP {reply.status}: {detail}")
