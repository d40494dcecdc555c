"""Servers by name: this computer's own, and those of an office."""

import json
from dataclasses import asdict, dataclass

from . import settings


@dataclass(frozen=True)
class Profile:
    """A server on another computer. `name`: as the user calls it; `url`: its address; `authcfg`:
    the configuration of QGIS's authentication that keeps its token, or `token` plainly."""

    name: str
    url: str
    authcfg: str = ""
    token: str = ""

    @property
    def title(self) -> str:
        """What it is called: its address where it has no name."""
        return self.name or self.url


def profiles():
    """Those that were named, in their order."""
    try:
        rows = json.loads(settings.get("servers"))
        return [Profile(**{key: str(row[key]) for key in row}) for row in rows]
    except (ValueError, TypeError):
        return []


def keep(found) -> None:
    """Keep these; of a name that is there twice the last one."""
    named = {profile.name: profile for profile in found if profile.name and profile.url}
    settings.put("servers", json.dumps([asdict(profile) for profile in named.values()]))


def current():
    """The one that is used; None for this computer's own."""
    if settings.get("server/local"):
        return None
    return Profile(*(settings.get(f"server/{key}") for key in ("name", "url", "authcfg", "token")))


def use(profile) -> None:
    """Take this server from now on; None: this computer's own."""
    settings.put("server/local", profile is None)
    if profile is not None:
        settings.put("server/name", profile.name)
        settings.put("server/url", profile.url)
        settings.put("server/authcfg", profile.authcfg)
        settings.put("server/token", profile.token)
