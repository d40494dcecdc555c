"""The plugin's settings, declared once with their defaults, kept in QgsSettings."""

import os
from pathlib import Path

from qgis.core import QgsApplication, QgsAuthMethodConfig, QgsProject, QgsSettings

from ..server.api import DEFAULT_PORT

PREFIX = "landbrush/"
DEFAULTS = {
    "server/local": True,
    "server/url": f"http://127.0.0.1:{DEFAULT_PORT}",
    "server/token": "",
    "server/authcfg": "",
    "server/python": "",
    "server/package": "",
    "server/home": "",
    "output/folder": "",
    "blend/feather_px": 3,
    "blend/context_px": 64,
    "blend/radiometric_match": True,
}


def get(key):
    """The setting, in its default's type."""
    default = DEFAULTS[key]
    return QgsSettings().value(PREFIX + key, default, type=type(default))


def put(key, value):
    """Store a setting."""
    if key not in DEFAULTS:
        raise KeyError(key)
    QgsSettings().setValue(PREFIX + key, value)


def home():
    """The local server's folder: jobs, uploads, token, environment."""
    given = get("server/home") or os.environ.get("LANDBRUSH_HOME", "")
    return Path(given) if given else Path(QgsApplication.qgisSettingsDirPath()) / "landbrush"


def token():
    """Token of a remote server: from QGIS's authentication store where one is named there."""
    config_id = get("server/authcfg")
    if config_id:
        config = QgsAuthMethodConfig()
        if QgsApplication.authManager().loadAuthenticationConfig(config_id, config, True):
            return config.config("password") or config.config("token")
    return get("server/token")


def output_folder():
    """Where results are kept: beside the saved project, else a folder of the user's."""
    given = get("output/folder")
    if given:
        folder = Path(given)
    elif QgsProject.instance().absolutePath():
        folder = Path(QgsProject.instance().absolutePath()) / "landbrush"
    else:
        folder = home() / "results"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
