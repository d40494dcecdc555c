"""`models`: the store of pretrained models, and the names of models that lie elsewhere, from the
command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..editors.models import Models
from ..ground.errors import BadRequest, ModelRefused
from ..ground.settings import default_home
from ..models import weights
from ..store import hub, own
from ..store.catalogue import Entry
from ..store.importing import Arrival, import_model
from ..store.installed import Record

ACTIONS = ("list", "set", "import", "download", "verify", "remove")


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add `models` to the command line."""
    parser = commands.add_parser(
        "models",
        help="pretrained models: list, import, download, verify, remove; or name one of yours",
    )
    parser.add_argument("action", nargs="?", choices=ACTIONS, default="list")
    parser.add_argument(
        "name",
        nargs="?",
        default="",
        metavar="NAME",
        help="of the model; for 'set' its kind: " + ", ".join(weights.KINDS),
    )
    parser.add_argument(
        "value",
        nargs="?",
        default="",
        metavar="PATH",
        help="import: folder or zip; set: path, URL or name (empty forgets it)",
    )
    parser.add_argument(
        "--accept-licence",
        action="store_true",
        help="you have read the model's licence and accept it",
    )
    parser.add_argument(
        "--revision",
        default="",
        metavar="COMMIT",
        help="which commit to download, or that your files are of",
    )
    parser.add_argument(
        "--like",
        default="",
        metavar="NAME",
        help="import: a model of your own, used as that one is",
    )
    parser.add_argument("--title", default="", help="import with --like: what users read")
    parser.add_argument("--licence", default="", help="import with --like: its licence")
    parser.add_argument(
        "--native-px",
        type=int,
        default=0,
        metavar="PX",
        help="import with --like: the side it was trained at",
    )
    parser.add_argument("--home", type=Path, default=default_home())
    parser.set_defaults(run=_models)


def _models(given: argparse.Namespace) -> int:
    models = Models(given.home)
    {
        "list": _list,
        "set": _set,
        "import": _import,
        "download": _download,
        "verify": _verify,
        "remove": _remove,
    }[given.action](models, given)
    return 0


def _list(models: Models, given: argparse.Namespace) -> None:
    print(f"Pretrained models (in {models.store.folder}):")
    for entry in models.store.list_all().values():
        why = models.store.missing_reason(entry)
        print(
            f"  {entry.id:24s} {'missing' if why else 'installed':10s} "
            f"{', '.join(entry.editors) or ('outlines' if entry.outlines else 'base of others')}"
        )
        print(f"  {'':24s} {entry.title}. {entry.good_for}")
        print(f"  {'':24s} licence: {entry.licence}. {entry.restrictions}".rstrip())
        if entry.repo:
            print(
                f"  {'':24s} from https://huggingface.co/{entry.repo} {entry.subfolder} "
                f"{entry.revision or '(name a commit)'}"
            )
        print(f"  {'':24s} {why or models.warm.estimate(entry)}")
    print("Models that lie elsewhere, by kind:")
    for kind, what in weights.KINDS.items():
        print(f"  {kind:24s} {models.chosen(kind) or '-'}\n  {'':24s} {what}")


def _set(models: Models, given: argparse.Namespace) -> None:
    value = given.value
    if given.name not in weights.KINDS:
        raise BadRequest(
            f"'{given.name[:60]}' is no kind of model; there are {', '.join(weights.KINDS)}."
        )
    if given.name in weights.PATHS and value:
        value = str(Path(value).expanduser().resolve())
        if not Path(value).exists():
            raise BadRequest(f"{given.name}: there is nothing at {value}.")
    if value:
        print(f"{given.name}: {_tried(models, given.name, value)}")
    models.folder.choose(given.name, value)
    for kind, what in weights.KINDS.items():
        print(f"{kind:18s} {models.chosen(kind) or '-'}\n{'':18s} {what}")


def _import(models: Models, given: argparse.Namespace) -> None:
    if not given.value:
        raise BadRequest("models import NAME PATH: name the folder or zip with the files.")
    source = Path(given.value).expanduser().resolve()
    if given.like:
        entry = own.described(
            given.name, models.store.entry(given.like), given.title, given.licence, given.native_px
        )
    else:
        entry = models.store.entry(given.name)
    arrival = Arrival(entry, given.accept_licence, given.revision, _told)
    record = import_model(models.store, arrival, source)
    if given.like:
        own.remember(models.store, entry)
    _tell_of(models, entry, record)


def _download(models: Models, given: argparse.Namespace) -> None:
    entry = models.store.entry(given.name)
    arrival = Arrival(entry, given.accept_licence, given.revision, _told)
    _tell_of(models, entry, hub.download(models.store, arrival))


def _tell_of(models: Models, entry: Entry, record: Record) -> None:
    print(
        f"\n{entry.title}: {len(record.files)} files, {record.bytes / 1e9:.2f} GB. "
        f"{models.store.missing_reason(entry) or 'Ready.'}"
    )


def _verify(models: Models, given: argparse.Namespace) -> None:
    ids = (
        [given.name]
        if given.name
        else [i for i in models.store.list_all() if models.store.record(i)]
    )
    wrong = []
    for model_id in ids:
        try:
            record = models.store.verify(models.store.entry(model_id), _told)
            print(f"\n{model_id}: {len(record.files)} files are as they were brought.")
        except ModelRefused as error:
            wrong.append(str(error))
            print(f"\n{model_id}: {error}")
    if wrong:
        raise ModelRefused(
            f"{len(wrong)} of {len(ids)} models are not what was brought; see above."
        )


def _remove(models: Models, given: argparse.Namespace) -> None:
    entry = models.store.entry(given.name)
    others = [
        e
        for e in models.store.list_all().values()
        if e.id != entry.id and models.store.record(e.id)
    ]
    ready = [other for other in others if not models.store.missing(other)]
    print(f"{entry.title}: {own.remove(models.store, entry) / 1e9:.2f} GB freed.")
    for other in ready:
        if models.store.missing(other):
            print(
                f"{other.id} was built on it and is incomplete now: "
                f"{', '.join(models.store.missing(other))} missing."
            )


def _told(done: int, total: int, what: str) -> None:
    print(
        f"\r{100 * done // max(total, 1):3d} % {what[:60]:60s}", end="", file=sys.stderr, flush=True
    )


def _tried(models: Models, kind: str, value: str) -> str:
    """What there is at a path or address; raises where it is not what the kind asks for."""
    if kind in ("image-text", "second-image-text"):
        other = models.chosen("second-image-text" if kind == "image-text" else "image-text")
        if other and Path(other) == Path(value):
            raise BadRequest(
                f"{kind}: {value} is the other model already; the second must share nothing with "
                "the first."
            )
        model = models.image_text_at(Path(value))
        return f"{model.name}, {model.size} px, loads"
    if kind == "language":
        from ..words.prompts import load_language_model

        load_language_model(value)
        return "loads"
    if kind == "endpoint" and not value.startswith(("http://", "https://")):
        raise BadRequest(f"endpoint: '{value[:100]}' is no http or https address.")
    return value
