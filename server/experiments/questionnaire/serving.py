"""The page by a small server of its own: whoever knows the address may answer, and nothing else is
there."""

from __future__ import annotations

import secrets
from pathlib import Path

from flask import Flask, Response, request

from ...ground.errors import BadRequest
from ...ground.files import write_text
from . import ANSWERS, PAGE
from .answers import key_in, read

LARGEST_BYTES = 2_000_000
MOST_ANSWERS = 10_000


def app_of(folder: Path, code: str) -> Flask:
    """Serves the page of a questionnaire below /CODE/, and keeps what comes in as a file each."""
    key = key_in(folder)
    app = Flask("landbrush-questionnaire", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BYTES
    kept = folder / ANSWERS

    @app.get(f"/{code}/")
    def page() -> Response:
        # The page says by this that its answers can be sent where it came from.
        text = (folder / PAGE).read_text("utf8").replace('data-send=""', 'data-send="answers"')
        found = Response(text, mimetype="text/html")
        found.headers["Content-Security-Policy"] = (
            "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
            "script-src 'unsafe-inline'; connect-src 'self'"
        )
        found.headers["Cache-Control"] = "no-store"
        return found

    @app.post(f"/{code}/answers")
    def answered() -> tuple[dict[str, str], int]:
        text = request.get_data(as_text=True)
        try:
            ratings = read(text, key, "the answers")
        except BadRequest as error:
            return {"error": str(error)}, 400
        if not ratings:
            return {"error": "the answers hold no rating"}, 400
        if kept.is_dir() and sum(1 for _ in kept.iterdir()) >= MOST_ANSWERS:
            return {"error": "no more answers are taken"}, 429
        kept.mkdir(exist_ok=True)
        write_text(kept / f"{secrets.token_hex(8)}.csv", text)
        return {"thanks": f"{len(ratings)} ratings"}, 201

    return app
