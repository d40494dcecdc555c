"""The plugin's client against the real app, without sockets and without QGIS."""

from __future__ import annotations

from pathlib import Path

import pytest
from landbrush.plugin.errors import Cancelled, PluginError, ServerUnreachable
from landbrush.plugin.tasks import client as client_module
from landbrush.plugin.tasks.client import EditClient, Reply
from landbrush.server.contract.requests import EditRequest, RasterRef
from landbrush.server.contract.words import InterpretationRequest, SearchRequest
from landbrush.server.ground.settings import Settings
from landbrush.server.web.app import create_app

from tests.server.conftest import RGB, TOKEN, closed, in_type, inputs, scene, write


class FlaskTransport:
    """The transport's one method over Flask's test client; `lose` drops that many answers."""

    def __init__(self, app):
        self.client, self.lose, self.sent = app.test_client(), 0, []

    def send(self, method, url, headers, body=b""):
        path = url.split("//", 1)[1].split("/", 1)[1]
        body = body.read_bytes() if isinstance(body, Path) else body
        answer = self.client.open(f"/{path}", method=method, headers=headers, data=body)
        self.sent.append((method, f"/{path}"))
        if self.lose:
            self.lose -= 1
            raise ServerUnreachable("no answer")
        return Reply(
            answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.data
        )


@pytest.fixture
def world(tmp_path):
    path = write(tmp_path / "a.tif", in_type(scene(3, 160, 160), "uint8"), colorinterp=RGB)
    app = create_app(Settings(home=tmp_path / "home", roots=(tmp_path,), token=TOKEN))
    transport = FlaskTransport(app)
    yield EditClient("http://localhost", TOKEN, transport), transport, path
    closed(app)


def test_the_whole_path(world):
    client, _, path = world
    assert client.health()["health"]
    editors = {info.id: info for info in client.editors()}
    assert editors["fog"].options[0].unit == "m" and editors["fill"].takes("exemplar")
    assert client.interpret(InterpretationRequest("snow")).editor == "snow"
    seen = []
    info = client.submit("snow", EditRequest.from_json(inputs(path)))
    info = client.wait(info.jobID, seen.append, lambda: False)
    assert (
        info.status == "successful"
        and seen[-1] == info
        and [j.jobID for j in client.jobs()] == [info.jobID]
    )
    assert (
        client.result(info.jobID)[:2] in (b"II", b"MM")
        and client.manifest(info.jobID).editor == "snow"
    )
    assert client.search(SearchRequest(RasterRef(path=str(path)), "parking")).reason
    assert client.upload(path) == client.upload(path)


def test_a_lost_answer_to_submit_is_asked_for_again_and_makes_no_second_job(world, monkeypatch):
    client, transport, path = world
    monkeypatch.setattr("landbrush.plugin.tasks.client.time.sleep", lambda s: None)
    request = EditRequest.from_json(inputs(path))
    transport.lose = 2
    job = client.submit("snow", request)
    assert [posted for posted, _ in transport.sent].count("POST") == 3
    assert [found.jobID for found in client.jobs()] == [job.jobID]
    transport.lose = 3
    with pytest.raises(ServerUnreachable):
        client.submit("snow", request, "key")
    again = client.submit("snow", request, "key")
    assert [found.jobID for found in client.jobs()] == [again.jobID, job.jobID]


def test_a_download_comes_in_parts(world, tmp_path, monkeypatch):
    client, transport, path = world
    job = client.submit("snow", EditRequest.from_json(inputs(path)))
    client.wait(job.jobID, lambda info: None, lambda: False)
    whole = client.result(job.jobID)
    for part in (1000, len(whole), len(whole) + 1):
        monkeypatch.setattr(client_module, "DOWNLOAD_PART", part)
        before = len(transport.sent)
        client.download(job.jobID, tmp_path / "out.tif")
        assert (tmp_path / "out.tif").read_bytes() == whole
        assert len(transport.sent) - before == -(-len(whole) // part)


def test_a_result_that_changes_while_it_is_fetched_is_refused(world, tmp_path, monkeypatch):
    client, transport, path = world
    job = client.submit("snow", EditRequest.from_json(inputs(path)))
    client.wait(job.jobID, lambda info: None, lambda: False)
    monkeypatch.setattr(client_module, "DOWNLOAD_PART", 1000)
    plain = transport.send

    def send(*arguments):
        reply = plain(*arguments)
        return Reply(reply.status, {**reply.headers, "etag": str(len(transport.sent))}, reply.body)

    transport.send = send
    with pytest.raises(PluginError, match="changed or broke off"):
        client.download(job.jobID, tmp_path / "out.tif")


def ranges_ignored_midway(sent, headers, body, whole):
    """The first part comes, then a proxy answers with everything."""
    return (206, headers, body) if len(sent) == 1 else (200, {}, whole)


GOOD = {
    "ranges not known": lambda sent, headers, body, whole: (200, {}, whole),
    "ranges forgotten midway": ranges_ignored_midway,
    "a length that is right": lambda sent, headers, body, whole: (
        200,
        {"content-length": str(len(whole))},
        whole,
    ),
}
BAD = {
    "nothing at all": lambda sent, headers, body, whole: (200, {}, b""),
    "cut off": lambda sent, headers, body, whole: (
        200,
        {"content-length": str(len(whole))},
        whole[:-9],
    ),
    "cut off, without a length": lambda sent, headers, body, whole: (200, {}, whole[:-9]),
    "another file of the same length": lambda sent, headers, body, whole: (
        200,
        {},
        whole[:-1] + bytes([whole[-1] ^ 1]),
    ),
    "a wrong part": lambda sent, headers, body, whole: (
        206,
        {**headers, "content-range": f"bytes 5-{len(body) + 4}/{len(whole)}"},
        body,
    ),
    "more than the part": lambda sent, headers, body, whole: (206, headers, body + b"x"),
    "less than the part": lambda sent, headers, body, whole: (206, headers, body[:-1]),
    "an empty part": lambda sent, headers, body, whole: (206, headers, b""),
    "another size with each part": lambda sent, headers, body, whole: (
        206,
        {**headers, "content-range": headers["content-range"] + str(len(sent))},
        body,
    ),
    **{
        f"the range {given!r}": lambda sent, headers, body, whole, given=given: (
            206,
            {**headers, "content-range": given},
            body,
        )
        for given in (
            "",
            "bytes",
            "bytes */*",
            "bytes 0-9/*",
            "bytes 9-0/10",
            "bytes x-y/z",
            "9" * 999,
        )
    },
    "no range": lambda sent, headers, body, whole: (
        206,
        {k: v for k, v in headers.items() if k != "content-range"},
        body,
    ),
}


@pytest.fixture
def answered(world, tmp_path, monkeypatch):
    """Fetches a result whose answers are changed on their way, like the plugin does."""
    client, transport, path = world
    job = client.submit("snow", EditRequest.from_json(inputs(path)))
    client.wait(job.jobID, lambda info: None, lambda: False)
    whole = client.result(job.jobID)
    (wanted,) = client.manifest(job.jobID).files
    monkeypatch.setattr(client_module, "DOWNLOAD_PART", 4000)
    plain = transport.send
    sent = []

    def fetch(change):
        def send(*arguments):
            reply = plain(*arguments)
            sent.append(arguments)
            return Reply(*change(sent, reply.headers, reply.body, whole))

        transport.send = send
        client.download(job.jobID, tmp_path / "out.tif", wanted=wanted)
        return (tmp_path / "out.tif").read_bytes() == whole

    return fetch


@pytest.mark.parametrize("way", GOOD)
def test_a_result_comes_past_what_knows_no_ranges(answered, way):
    assert answered(GOOD[way])


@pytest.mark.parametrize("way", BAD)
def test_what_is_not_the_whole_result_is_refused_and_not_left(answered, tmp_path, way):
    with pytest.raises(PluginError, match="Fetch it again"):
        answered(BAD[way])
    assert not (tmp_path / "out.tif").exists()


def test_some_lost_polls_are_forgiven_and_many_are_not(world, monkeypatch):
    client, transport, path = world
    monkeypatch.setattr("landbrush.plugin.tasks.client.time.sleep", lambda s: None)
    job = client.submit("snow", EditRequest.from_json(inputs(path)))
    transport.lose = 4
    assert client.wait(job.jobID, lambda info: None, lambda: False).status == "successful"
    transport.lose = 5
    with pytest.raises(ServerUnreachable):
        client.wait(job.jobID, lambda info: None, lambda: False)


def test_cancelling_dismisses(world):
    client, transport, path = world
    job = client.submit("snow", EditRequest.from_json(inputs(path)))
    with pytest.raises(Cancelled):
        client.wait(job.jobID, lambda info: None, lambda: True)
    assert transport.sent[-1][0] == "DELETE" and client.job(job.jobID).status == "dismissed"
    assert client.dismiss(job.jobID).status == "dismissed"


def test_problems_become_messages(world):
    client, _, path = world
    with pytest.raises(PluginError, match="needs an exemplar"):
        client.submit("fill", EditRequest.from_json(inputs(path)))
    client.token = "wrong"
    with pytest.raises(PluginError, match="does not accept the token"):
        client.jobs()


@pytest.mark.parametrize("body", [b"", b"<html>proxy</html>", b"[1]", b'{"a": 1}'])
def test_answers_that_are_not_ours(body):
    class Strange:
        def send(self, *_):
            return Reply(502, {}, body)

    with pytest.raises(PluginError):
        EditClient("http://x", "t", Strange()).jobs()


class Answering:
    """A transport whose server answers everything with the same JSON."""

    def __init__(self, body: bytes):
        self.body = body

    def send(self, method, url, headers, body=b""):
        return Reply(200, {"content-type": "application/json"}, self.body)


@pytest.mark.parametrize("body", [b"[]", b'{"processes": [{}]}', b'{"landbrush": 3}', b'{"a": 1}'])
def test_an_answer_of_another_form_says_what_to_do(body, tmp_path):
    file = tmp_path / "a.tif"
    file.write_bytes(b"II*\0")
    client = EditClient("http://localhost", TOKEN, Answering(body))
    for ask in (
        client.editors,
        lambda: client.editor("snow"),
        client.models,
        client.jobs,
        lambda: client.upload(file),
        lambda: client.interpret(InterpretationRequest("snow")),
    ):
        with pytest.raises(PluginError, match="Update the older side"):
            ask()


def test_an_answer_that_is_no_json_is_no_landbrush(tmp_path):
    file = tmp_path / "a.tif"
    file.write_bytes(b"II*\0")
    client = EditClient("http://localhost", TOKEN, Answering(b"<html>"))
    for ask in (client.editors, lambda: client.upload(file)):
        with pytest.raises(PluginError, match="not a Landbrush answer"):
            ask()
