"""The contract's calls. Knows neither QGIS nor sockets: the transport does."""

import hashlib
import json
import re
import time
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict

from ...server.contract.comparison import COMPARISONS
from ...server.contract.editors import PROCESS, PROCESSES, EditorInfo
from ...server.contract.heights import HEIGHT_UNITS
from ...server.contract.inspection import INSPECTIONS
from ...server.contract.jobs import (
    BESIDE,
    DISMISS,
    ENDED,
    EXECUTION,
    JOB,
    JOBS,
    LARGEST_PAGE,
    MANIFEST_FILE,
    RESULT,
    RESULT_FILE,
    RESULTS,
    JobInfo,
)
from ...server.contract.landing import LANDING
from ...server.contract.library import (
    EXEMPLAR_FORGET,
    EXEMPLAR_KEEP,
    EXEMPLAR_PICTURE,
    EXEMPLARS,
)
from ...server.contract.manifest import Manifest
from ...server.contract.message import ContractError
from ...server.contract.models import MODEL_ACTION, MODELS
from ...server.contract.outlines import OUTLINES
from ...server.contract.requests import RASTERS
from ...server.contract.words import ENSEMBLES, INTERPRETATIONS, SEARCHES, Ensemble
from ..errors import Cancelled, FileNotShared, PluginError, ServerUnreachable
from ..told import told
from ..translated import tr

POLL_WAIT_S = 2
LEAST_WAIT_S = 0.1
POLL_ERRORS = 5
SUBMIT_TRIES = 3
DOWNLOAD_PART = 16 << 20


@dataclass(frozen=True)
class Reply:
    """An HTTP answer. `status`: its number. `headers`: by names in lower case. `body`: as sent."""

    status: int
    headers: Dict[str, str]
    body: bytes


class EditClient:
    """One server. `transport` has send(method, url, headers, body) -> Reply, body being bytes or a
    file's Path."""

    def __init__(self, url, token, transport) -> None:
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
        return self._parsed(f"{method} {path}", self._send(method, path, content, headers))

    def _parsed(self, what, reply):
        try:
            return json.loads(reply.body.decode("utf8"))
        except ValueError as error:
            raise PluginError(
                tr("{url} answered with something that is not a Landbrush answer.", url=self.url),
                f"{what}: status {reply.status}, {reply.body[:200]!r}: {error}",
            ) from error

    def call(self, route, wanted=None, headers=None, **parts):
        """One call as its route declares it: a message goes in, and one comes out."""
        content = None if wanted is None else wanted.to_json()
        data = self._json(route.method, route.url(**parts), content, headers)
        return data if route.answer is None else self._message(route, route.answer, data)

    def _message(self, route, kind, data):
        """A message of that kind from the JSON that a route answered."""
        try:
            return kind.from_json(data)
        except ContractError as error:
            raise self._other_form(route, error) from error

    def _other_form(self, route, why):
        return PluginError(
            tr(
                "{url} answered in another form than this version of the plugin knows. "
                "Update the older side.",
                url=self.url,
            ),
            f"{route.method} {route.path}: {why}",
        )

    def health(self):
        """The landing page; `health` is in it when the token is right."""
        return self.call(LANDING)

    def editors(self):
        """EditorInfo of every process, the interpreter's first."""
        listed = self._part(PROCESSES, self.call(PROCESSES), "processes")
        return [self.editor(self._part(PROCESSES, entry, "id")) for entry in listed]

    def editor(self, editor_id):
        """EditorInfo of one process."""
        described = self.call(PROCESS, process_id=editor_id)
        return self._message(PROCESS, EditorInfo, self._part(PROCESS, described, "landbrush"))

    def _part(self, route, data, name):
        """A part of an answer whose form is OGC's."""
        try:
            return data[name]
        except (KeyError, TypeError) as error:
            raise self._other_form(route, f"no '{name}'") from error

    def interpret(self, wanted):
        """What the words of an InterpretationRequest are understood to ask for."""
        return self.call(INTERPRETATIONS, wanted)

    def ensemble(self, prompt, source):
        """Sentences that say the same as a prompt; `source`: who makes them."""
        return self.call(ENSEMBLES, Ensemble(prompt, source))

    def search(self, request):
        """Windows that look like a word."""
        return self.call(SEARCHES, request)

    def outline(self, request):
        """The outline of the thing at a place."""
        return self.call(OUTLINES, request)

    def height_unit(self, request):
        """In what an elevation model counts."""
        return self.call(HEIGHT_UNITS, request)

    def compare(self, request):
        """What changed between two rasters."""
        return self.call(COMPARISONS, request)

    def inspect(self, request):
        """Whether a raster is synthetic."""
        return self.call(INSPECTIONS, request)

    def models(self):
        """The pretrained models, and how each is."""
        return list(self.call(MODELS).models)

    def model_action(self, wanted):
        """Begin what a Model's action says."""
        return self.call(MODEL_ACTION, wanted, model_id=wanted.id)

    def exemplars(self):
        """The library of exemplars."""
        return self.call(EXEMPLARS)

    def exemplar_picture(self, exemplar_id):
        """The bytes of an exemplar's picture."""
        path = EXEMPLAR_PICTURE.url(exemplar_id=exemplar_id)
        return self._send(EXEMPLAR_PICTURE.method, path, headers={"Accept": "image/png"}).body

    def keep_exemplar(self, wanted):
        """Keep what a KeepRequest says in the library."""
        return self.call(EXEMPLAR_KEEP, wanted)

    def forget_exemplar(self, exemplar_id):
        """Delete an exemplar of one's own; what is left."""
        return self.call(EXEMPLAR_FORGET, exemplar_id=exemplar_id)

    def upload(self, path):
        """Send a raster file, piece by piece; returns its id, which is its content's."""
        head = {"Content-Type": RASTERS.body}
        reply = self._send(RASTERS.method, RASTERS.url(), headers=head, body=Path(path))
        answer = self._parsed(f"{RASTERS.method} {RASTERS.path}", reply)
        return self._message(RASTERS, RASTERS.answer, answer).upload

    def submit(self, process_id, request, key: str = ""):
        """Accept a job. The same key gives the same job, so that a lost answer is simply asked for
        again."""
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        body = {"inputs": request.to_json()}
        path = EXECUTION.url(process_id=process_id)
        attempt = 1
        while True:
            try:
                return JobInfo.from_json(self._json(EXECUTION.method, path, body, headers))
            except ServerUnreachable:
                if attempt == SUBMIT_TRIES:
                    raise
            time.sleep(attempt)
            attempt += 1

    def job(self, job_id, wait: int = 0):
        """Status of a job, after a change or `wait` seconds."""
        return self.call(JOB, job_id=job_id, wait=wait or "")

    def jobs(self):
        """All jobs, newest first, page by page."""
        found = []
        after = ""
        while True:
            page = self.call(JOBS, limit=LARGEST_PAGE, after=after)
            found += page.jobs
            if not any(link.get("rel") == "next" for link in page.links):
                return found
            after = found[-1].jobID

    def dismiss(self, job_id):
        """Stop a job; harmless when it has ended."""
        return self.call(DISMISS, job_id=job_id)

    def wait(self, job_id, on_change, cancelled):
        """Follow a job to its end; dismisses it when `cancelled()`. Some lost answers in a row are
        forgiven."""
        lost = 0
        while True:
            if cancelled():
                self.dismiss(job_id)
                raise Cancelled
            began = time.monotonic()
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
            if time.monotonic() - began < LEAST_WAIT_S:  # a server on which very many wait
                time.sleep(LEAST_WAIT_S)

    def result(self, job_id, name=RESULT_FILE):
        """The bytes of a result file."""
        path = RESULT.url(job_id=job_id, name=name)
        return self._send(RESULT.method, path, headers={"Accept": "*/*"}).body

    def download(self, job_id, target, name=RESULT_FILE, wanted=None):
        """Write a result file to `target` part by part, so that its size does not matter.

        `wanted`: the ResultFile of the manifest that it must be. Raises PluginError where the
        file changes meanwhile, ends early, or is another one; nothing is left then.
        """
        path = RESULT.url(job_id=job_id, name=name)
        try:
            with open(target, "w+b") as out:
                self._fetch(path, out)
                _check_whole(out, wanted, path)
        except BaseException:
            Path(target).unlink()
            raise

    def _fetch(self, path, out):
        done = 0
        total = None
        mark = ""
        while total is None or done < total:
            head = {"Accept": "*/*", "Range": f"bytes={done}-{done + DOWNLOAD_PART - 1}"}
            reply = self._send(RESULT.method, path, headers=head)
            if reply.status != 206:
                _check_length(reply, path)
                out.seek(0)  # a server or proxy that knows no ranges: the whole file at once
                out.truncate()
                out.write(reply.body)
                return
            first, size = _part_of(reply, path)
            tag = reply.headers.get("etag", "")
            if (
                not reply.body
                or first != done
                or done + len(reply.body) > size
                or total not in (None, size)
                or mark not in ("", tag)
            ):
                raise _broke_off(path)
            out.write(reply.body)
            done += len(reply.body)
            total = size
            mark = tag

    def beside(self, job_id):
        """Names of the files that lie beside the result."""
        there = self.call(RESULTS, job_id=job_id)
        return [name for key, name in BESIDE.items() if key in there]

    def manifest(self, job_id):
        """The manifest of a result; raises PluginError for one of another form."""
        try:
            data = json.loads(self.result(job_id, MANIFEST_FILE).decode("utf8"))
            return replace(Manifest.from_json(data), job=job_id)
        except ValueError as error:  # also a contract that is not kept
            raise PluginError(
                tr(
                    "The result's manifest is of another form than this version of the "
                    "plugin knows."
                ),
                str(error),
            ) from error


def _broke_off(path):
    return PluginError(
        tr("The result changed or broke off while it was fetched. Fetch it again."), path
    )


def _check_length(reply, path):
    """Raise PluginError for an answer that is shorter or longer than it says."""
    said = reply.headers.get("content-length", "").strip()
    packed = reply.headers.get("content-encoding", "identity").strip().lower() != "identity"
    if said and not packed and said != str(len(reply.body)):
        raise _broke_off(path)


def _part_of(reply, path):
    """First byte of a part and the size of the whole, as its header says; raises PluginError."""
    found = re.fullmatch(
        r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", reply.headers.get("content-range", "").strip()
    )
    if found is None:
        raise PluginError(
            tr(
                "The server, or something between, answered a part of the result in a form that is "
                "not understood. Fetch it again."
            ),
            f"{path}: {reply.headers.get('content-range', '')[:100]!r}",
        )
    first, last, size = map(int, found.groups())
    if last - first + 1 != len(reply.body) or last >= size:
        raise _broke_off(path)
    return first, size


def _check_whole(stream, wanted, path):
    """Raise PluginError where a file that was fetched is not the one that the manifest names."""
    if wanted is None:
        if not stream.tell():
            raise _broke_off(path)
        return
    stream.seek(0)
    digest = hashlib.sha256()
    size = 0
    for chunk in iter(lambda: stream.read(1 << 20), b""):
        digest.update(chunk)
        size += len(chunk)
    if (size, digest.hexdigest()) != (wanted.bytes, wanted.sha256):
        raise PluginError(
            tr(
                "What was fetched is not the result that the server made: it is damaged "
                "or of another job. Fetch it again."
            ),
            f"{path}: {size} bytes, {digest.hexdigest()}; wanted {wanted.bytes}, {wanted.sha256}",
        )


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
            tr("The server does not accept the token. Check it in the Landbrush settings."), detail
        )
    kind = FileNotShared if reply.status == 403 else PluginError
    said = f"{told(str(title))}: {told(str(detail))}" if detail else told(str(title))
    return kind(said, f"HTTP {reply.status}: {detail}")
