"""A dataset as WebDataset or Parquet: files that training reads in order."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

from ..ground.errors import WeightsMissing
from ..ground.files import whole_file
from .files import LISTED, lines


def tars(output: Path, samples: int) -> list[Path]:
    """The dataset as WebDataset: tar files of `samples` pictures, each with its prompt and what is
    known of it."""
    listed = lines(output / LISTED)
    made = []
    for old in output.glob("shard-*.tar"):
        old.unlink()
    for number in range(0, len(listed), samples):
        path = output / f"shard-{number // samples:05d}.tar"
        with whole_file(path) as draft, tarfile.open(draft, "w") as tar:
            for line in listed[number : number + samples]:
                stem = Path(line["file_name"]).stem
                _add(tar, f"{stem}.png", (output / line["file_name"]).read_bytes())
                if line.get("conditioning_image"):
                    _add(
                        tar,
                        f"{stem}.control.png",
                        (output / line["conditioning_image"]).read_bytes(),
                    )
                _add(tar, f"{stem}.txt", line["text"].encode())
                _add(tar, f"{stem}.json", json.dumps(line).encode())
        made.append(path)
    return made


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    about = tarfile.TarInfo(name)
    about.size = len(content)
    tar.addfile(about, io.BytesIO(content))


def parquet(output: Path, samples: int) -> list[Path]:
    """The dataset as Parquet files of `samples` rows: the picture's bytes and name, prompt,
    caption, ground size, and all that is known as JSON; the columns that the Hugging Face datasets
    library reads as images."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise WeightsMissing(
            "Parquet needs the package pyarrow: pip install 'landbrush[parquet]'"
        ) from error
    picture = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    listed = lines(output / LISTED)
    made = []
    for old in output.glob("data-*.parquet"):
        old.unlink()
    for number in range(0, len(listed), samples):
        path = output / f"data-{number // samples:05d}.parquet"
        part = listed[number : number + samples]
        rows = pyarrow.table(
            {
                "image": [
                    {"bytes": (output / line["file_name"]).read_bytes(), "path": line["file_name"]}
                    for line in part
                ],
                "conditioning_image": pyarrow.array(
                    [
                        {
                            "bytes": (output / line["conditioning_image"]).read_bytes(),
                            "path": line["conditioning_image"],
                        }
                        if line.get("conditioning_image")
                        else None
                        for line in part
                    ],
                    picture,
                ),
                "text": [line["text"] for line in part],
                "caption": [line["caption"] for line in part],
                "gsd_m": pyarrow.array([line["gsd_m"] for line in part], pyarrow.float64()),
                "about": [json.dumps(line) for line in part],
            }
        )
        with whole_file(path) as draft:
            pyarrow.parquet.write_table(rows, draft)
        made.append(path)
    return made
