"""The QGIS plugin repository's security scan: its list of Bandit tests, and detect-secrets.

usage: python scripts/scan.py FOLDER    (the built plugin)

One finding of either blocks a version there, so one finding fails here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BANDIT_TESTS = (
    "B101,B102,B103,B104,B105,B106,B107,B108,B110,B111,B112,B113,B201,B202,B301,B302,"
    "B303,B304,B305,B306,B307,B308,B310,B311,B312,B313,B314,B315,B316,B317,B318,B319,"
    "B320,B321,B323,B324,B401,B402,B403,B405,B406,B407,B408,B409,B412,B413,B501,B502,"
    "B503,B504,B505,B506,B507,B508,B509,B601,B602,B603,B604,B605,B606,B607,B608,B609,"
    "B610,B611,B612,B613,B614,B615,B701,B702,B703,B704"
)


def run(*command: str) -> str:
    return subprocess.run(
        [str(Path(sys.executable).parent / command[0]), *command[1:]],
        capture_output=True,
        text=True,
        check=False,
    ).stdout


def main(folder: str) -> int:
    bandit = json.loads(run("bandit", "-q", "-r", folder, "-t", BANDIT_TESTS, "-f", "json"))
    for found in bandit["results"]:
        print(
            f"{found['filename']}:{found['line_number']}: {found['test_id']} {found['issue_text']}"
        )
    secrets = json.loads(
        run("detect-secrets", "scan", "--all-files", "--exclude-files", r"metadata\.txt", folder)
    )
    hidden = [
        f"{name}:{s['line_number']}: {s['type']}"
        for name, rows in secrets["results"].items()
        for s in rows
    ]
    print("\n".join(hidden), end="\n" if hidden else "")
    count = len(bandit["results"]) + len(hidden) + len(bandit["errors"])
    files = len([p for p in Path(folder).rglob("*.py")])
    print(f"security scan of {files} files: {count} findings")
    return 1 if count or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
