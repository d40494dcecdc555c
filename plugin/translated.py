"""Words of the panel in the user's language: one catalogue a language, by the English sentence."""

import json
from functools import cache
from pathlib import Path
from typing import Optional

CATALOGUES = Path(__file__).resolve().parents[1] / "resources" / "i18n"
"""Files `de.json`, `fr.json`, `es.json`, `zh.json`: English text -> the same in the language."""


def tr(text: str, /, **values) -> str:
    """A text in the user's language, in English where the catalogue has none; `values` are put
    into its places in braces afterwards, so that a translator may move them."""
    found = catalogue(language()).get(text, text)
    return found.format(**values) if values else found


def localised(value: float, decimals: Optional[int] = None) -> str:
    """A number with its thousands and decimals as QGIS's locale writes them; without `decimals`
    with as many as it has, up to six digits in all."""
    if decimals is None:
        plain = f"{value:.6g}"
        if "e" in plain:
            return plain
        decimals = len(plain.partition(".")[2])
    try:
        from qgis.PyQt.QtCore import QLocale
    except ImportError:  # the part of the plugin that works without QGIS
        return f"{value:,.{decimals}f}"
    locale = QLocale()
    if locale.language() == QLocale.Language.C:  # no locale at all: it has no thousands
        return f"{value:,.{decimals}f}"
    # QGIS leaves the thousands out unless its options say otherwise; square metres need them.
    locale.setNumberOptions(QLocale.NumberOption.DefaultNumberOptions)
    return locale.toString(float(value), "f", decimals)


def language() -> str:
    """The two letters of the language that QGIS speaks: set in its options, else the system's."""
    try:
        from qgis.core import QgsApplication
    except ImportError:  # the part of the plugin that works without QGIS
        return "en"
    # What QGIS was started with; without its window it knows but what its options say.
    window = QgsApplication.instance()
    shown = window.translation() if isinstance(window, QgsApplication) else ""
    return ((shown if shown not in ("", "C") else QgsApplication.locale()) or "en")[:2].lower()


@cache
def catalogue(code: str):
    """What is translated into a language; empty for one that has no catalogue."""
    path = CATALOGUES / f"{code}.json"
    return json.loads(path.read_text(encoding="utf8")) if path.is_file() else {}
