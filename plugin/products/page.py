"""A page with a slider between before and after, whole in one file, for a mail or a meeting."""

import base64
import html
import os
from pathlib import Path

from qgis.PyQt.QtCore import QBuffer, QByteArray, QIODevice

from ..map.results import SYNTHETIC
from ..translated import language, tr

JPEG_QUALITY = 88

PAGE = """<!DOCTYPE html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ margin: 0; font: 16px/1.4 system-ui, sans-serif; background: #f4f4f2; color: #1c1c1a; }}
main {{ max-width: {width}px; margin: 0 auto; padding: 12px; }}
h1 {{ font-size: 1.3em; margin: .4em 0; }}
.pair {{ position: relative; overflow: hidden; border-radius: 4px; background: #ccc; }}
.pair img {{ display: block; width: 100%; }}
.pair .before {{ position: absolute; inset: 0; clip-path: inset(0 calc(100% - var(--at)) 0 0); }}
.pair .line {{ position: absolute; top: 0; bottom: 0; left: var(--at); width: 2px;
  background: #fff; box-shadow: 0 0 3px #000; pointer-events: none; }}
.tag {{ position: absolute; top: 8px; padding: 2px 8px; border-radius: 3px; color: #fff;
  background: rgba(0,0,0,.6); pointer-events: none; }}
.tag.l {{ left: 8px; }} .tag.r {{ right: 8px; }}
input {{ width: 100%; margin: 12px 0 4px; }}
.note {{ border-left: 4px solid #b3261e; padding: 4px 12px; background: #fff; }}
@media print {{ input {{ display: none; }} }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<div class="pair" id="pair" style="--at: 50%">
<img src="data:image/jpeg;base64,{after}" alt="{after_alt}">
<img class="before" src="data:image/jpeg;base64,{before}" alt="{before_alt}">
<div class="line"></div>
<span class="tag l">{before_alt}</span><span class="tag r">{after_alt}</span>
</div>
<input type="range" min="0" max="100" step="0.1" value="50" aria-label="{slider}"
  oninput="document.getElementById('pair').style.setProperty('--at', this.value + '%')">
<p class="note">{note}</p>
<p>{about}</p>
</main>
<script>
var pair = document.getElementById("pair"), slider = document.querySelector("input");
function go(e) {{
  if (e.type !== "pointerdown" && !e.buttons) return;
  var box = pair.getBoundingClientRect();
  slider.value = Math.min(100, Math.max(0, 100 * (e.clientX - box.left) / box.width));
  pair.style.setProperty("--at", slider.value + "%");
  e.preventDefault();
}}
pair.addEventListener("pointerdown", go);
pair.addEventListener("pointermove", go);
</script>
</body>
</html>
"""


def _jpeg(image):
    """A QImage as JPEG in base64."""
    content = QByteArray()
    buffer = QBuffer(content)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "JPG", JPEG_QUALITY)
    return base64.b64encode(bytes(content)).decode("ascii")


def page_of(pictures, title, about) -> str:
    """The page as text. `pictures`: QImage before and after. `title`, `about`: said above and
    below; nothing else of the edit is said, so that no prompt or path goes out unasked."""
    before, after = pictures
    return PAGE.format(
        lang=language(),
        title=html.escape(title),
        width=after.width(),
        before=_jpeg(before),
        after=_jpeg(after),
        before_alt=html.escape(tr("Before")),
        after_alt=html.escape(tr("After · synthetic")),
        slider=html.escape(tr("Position of the line between before and after")),
        note=html.escape(tr(SYNTHETIC)),
        about=html.escape(about),
    )


def write_page(path, pictures, title, about) -> None:
    """Write the page, whole or not at all; raises OSError."""
    draft = Path(f"{path}.part")
    try:
        draft.write_text(page_of(pictures, title, about), encoding="utf8")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
