"""What of a locked list this Python needs, and which wheels it takes.

A program for the Python of the server's environment, which QGIS does not import; it uses what pip
brings. usage: python choosing.py LOCK; prints JSON: `wanted`: name, version and SHA-256 sums of
each package; `tags`: of wheels, the best first.
"""

import json
import sys
from pathlib import Path

from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.tags import sys_tags

HASH = "--hash=sha256:"


def wanted(lock, environment=None):
    """The packages of a locked list that this Python needs, or that of another `environment`
    (values of markers that differ)."""
    found = []
    for line in lock.replace("\\\n", " ").splitlines():
        text = line.partition("#")[0].strip()
        if not text:
            continue
        said, *hashes = text.split(HASH)
        requirement = Requirement(said.strip())
        if requirement.marker is None or requirement.marker.evaluate(environment):
            version = str(requirement.specifier).lstrip("=")
            sums = [one.strip() for one in hashes]
            found.append({"name": requirement.name, "version": version, "hashes": sums})
    return found


if __name__ == "__main__":
    told = {
        "wanted": wanted(Path(sys.argv[1]).read_text("utf8")),
        "tags": [str(tag) for tag in sys_tags()],
    }
    sys.stdout.write(json.dumps(told) + "\n")
