"""The plugin's settings, declared once with their defaults, kept in QgsSettings."""

import os
from pathlib import Path

from qgis.core import QgsApplication, QgsAuthMethodConfig, QgsProject, QgsSettings

from ..server.contract.routes import DEFAULT_PORT

PREFIX = "landbrush/"
DEFAULTS = {
    "servers": "[]",
    "server/local": True,
    "server/name": "",
    "server/url": f"http://127.0.0.1:{DEFAULT_PORT}",
    "server/token": "",
    "server/authcfg": "",
    "server/python": "",
    "server/package": "",
    "server/home": "",
    "server/wheels": "",
    "models/image-text": "",
    "models/second-image-text": "",
    "models/language": "",
    "models/endpoint": "",
    "models/endpoint-model": "",
    "models/endpoint-authcfg": "",
    "output/folder": "",
    "blend/feather_px": 3,
    "blend/context_px": 64,
    "blend/radiometric_match": True,
    "blend/whole_objects": True,
}


def get(key):
    """The setting, in its default's type."""
    default = DEFAULTS[key]
    return QgsSettings().value(PREFIX + key, default, type=type(default))


def put(key, value):
    """Store a value in the user's QGIS profile."""
    if key not in DEFAULTS:
        raise KeyError(key)
    QgsSettings().setValue(PREFIX + key, value)


def home():
    """The local server's folder: jobs, uploads, token, environment."""
    given = get("server/home") or os.environ.get("LANDBRUSH_HOME", "")
    profile = Path(QgsApplication.qgisSettingsDirPath())
    return profile / (Path(given).expanduser() if given else "landbrush")


def token():
    """Token of a remote server: from QGIS's authentication store where one is named there."""
    return _secret("server/authcfg") or get("server/token")


def _secret(key):
    """What QGIS's authentication store keeps under the configuration named in a setting; empty
    where none is named."""
    config_id = get(key)
    config = QgsAuthMethodConfig()
    if config_id and QgsApplication.authManager().loadAuthenticationConfig(config_id, config, True):
        return config.config("password") or config.config("token")
    return ""


MODELS = ("image-text", "second-image-text", "language", "endpoint", "endpoint-model")


def models():
    """Kind and path of the user's models, for the local server."""
    return {kind: get(f"models/{kind}") for kind in MODELS if get(f"models/{kind}")}


def endpoint_key():
    """The key of the endpoint that writes paraphrases; empty where it needs none."""
    return _secret("models/endpoint-authcfg")


def project_folder():
    """The folder beside the saved project for its results; None for a project that was not
    saved."""
    place = QgsProject.instance().absolutePath()
    return Path(place) / "landbrush" if place else None


def output_folder():
    """Where results are kept: the folder that was chosen, else beside the saved project, else one
    in the user's profile."""
    given = get("output/folder")
    folder = Path(given) if given else project_folder() or home() / "results"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
