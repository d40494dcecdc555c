"""Parts of a pretrained model, loaded from the store: by classes of a fixed list, from safetensors,
without any download."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..ground.errors import ModelRefused, WeightsMissing
from ..ground.optional import torch
from ..models import lazy, weights, whole
from ..store import adapters, headers
from ..store.catalogue import Entry
from ..store.installed import Store, config_of
from . import schedules
from .placement import LAYERS, WHOLE, Placement
from .text import Reader, clip_of, tokens_in

if TYPE_CHECKING:
    from .families import Family

OTHER_NAMES = {
    "Transformer2DModel": "PixArtTransformer2DModel",
    "SiglipModel": "SiglipTextModel",
    "CLIPModel": "CLIPTextModel",
    "T5ForConditionalGeneration": "T5EncoderModel",
    "T5Model": "T5EncoderModel",
}
"""What older or whole models are called, of which a part is used here."""


class Model:
    """One installed model in use. Its lock is held while it draws: its parts move, and its state is
    one drawing's."""

    def __init__(self, store: Store, entry: Entry, family: Family, placement: Placement) -> None:
        self.store = store
        self.family = family
        self.entry = entry
        self.placement = placement
        self.lock = threading.RLock()
        self._parts: dict[str, Any] = {}
        self._tokens: dict[tuple[Path, int], Any] = {}
        self._layered: set[str] = set()
        self._compiled: set[str] = set()

    def has(self, name: str) -> bool:
        """Whether the model or its base has that part."""
        try:
            return bool(self.store.part(self.entry, name))
        except WeightsMissing:
            return False

    def folder(self, name: str, beside: str = "") -> Path:
        """Where a part lies, the model's own or its base's; `beside`: that of the model which has
        the other part too."""
        if beside:
            return self.folder(beside).parent / name
        return self.store.part(self.entry, name)

    def part(self, name: str, beside: str = "") -> Any:
        """A network, loaded once; `beside`: that of the model which has the other part too, where
        both have one of the name. Raises WeightsMissing, ModelRefused."""
        kept = f"{beside}/{name}" if beside else name
        if kept not in self._parts:
            net = loaded(self.folder(name, beside), self.placement.kind, self.family.classes)
            if self.entry.lora and name in (self.entry.lora, "text_encoder"):
                merge_adapter(
                    net,
                    self.store.part(self.entry, "lora"),
                    self.entry.title,
                    name == "text_encoder",
                )
            self._parts[kept] = net.eval().requires_grad_(False)
        return self._parts[kept]

    @contextlib.contextmanager
    def using(self, name: str, beside: str = "") -> Iterator[Any]:
        """A network on the device, for as long as it is needed there; `beside` as in `part`."""
        net = self.part(name, beside)
        device = self.placement.device
        strategy = self.placement.strategy
        if strategy == LAYERS and name not in ("vae", "movq") and device != "cpu":
            self._bring_layers(f"{beside}/{name}", net)
            yield net
            return
        net.to(device)
        try:
            yield net
        finally:
            if strategy != WHOLE:
                net.to("cpu")
                release()

    def _bring_layers(self, name: str, net: Any) -> None:
        """Let the layers of a network take turns on the device."""
        if name not in self._layered:
            lazy.parts("diffusers.hooks", "apply_group_offloading")(
                net, torch.device(self.placement.device), offload_type="leaf_level", use_stream=True
            )
            self._layered.add(name)

    def compiled(self, name: str) -> None:
        """Compile a network for its many calls; pays on a GPU after some dozen steps."""
        if name not in self._compiled:
            self.part(name).compile()
            self._compiled.add(name)

    @contextlib.contextmanager
    def reader(self, encoder: str, tokens: str, limit: int = 0) -> Iterator[Reader]:
        """A text encoder with its tokens; without a limit as many as the encoder has positions."""
        with self.using(encoder) as net:
            limit = limit or int(getattr(net.config, "max_position_embeddings", 0)) or 77
            yield Reader(net, self.tokens(tokens, limit), limit)

    def tokens(self, name: str, limit: int, beside: str = "") -> Any:
        """The tokeniser of a part that cuts at so many tokens, read once: that takes longer than a
        step of a small network. `beside` as in `part`. Raises WeightsMissing."""
        folder = self.folder(name, beside)
        if (folder, limit) not in self._tokens:
            self._tokens[folder, limit] = tokens_in(folder, limit)
        return self._tokens[folder, limit]

    def scheduler(self, name: str) -> Any:
        """A fresh scheduler by that name with the model's own betas or shifts."""
        return schedules.make_scheduler(
            name, schedules.config_of(self.store.part(self.entry, "scheduler"))
        )

    def about(self) -> dict[str, Any]:
        """For the manifest: which files, whose licence, where computed."""
        found: dict[str, Any] = {
            "model": self.entry.id,
            "licence": self.entry.licence,
            "device": self.placement.device,
            "precision": str(self.placement.kind).removeprefix("torch."),
            "memory": self.placement.sentence,
        }
        files: dict[str, dict[str, Any]] = {}
        for name in dict.fromkeys(
            part for one in self.store.lineage(self.entry) for part in one.parts
        ):
            owner = self.folder(name).parent.name
            kept = self.store.record(owner)
            hashes = {
                n: f.sha256
                for n, f in (kept.files if kept else {}).items()
                if n.startswith(f"{name}/") and n.endswith(".safetensors")
            }
            if kept and hashes:
                files.setdefault(owner, {"revision": kept.revision, "sha256": {}})["sha256"].update(
                    hashes
                )
        return {**found, "files": files}


def release() -> None:
    """Give memory that is no longer used back to the device."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def loaded(folder: Path, kind: torch.dtype, classes: Mapping[str, str]) -> Any:
    """The network in a folder; raises ModelRefused for a class that is not of the list."""
    config_path = folder / "config.json"
    files = headers.weight_files(folder)
    if not files:
        raise WeightsMissing(f"{folder} holds no .safetensors file.")
    if not config_path.is_file() and folder.name.startswith("text_encoder"):
        tensors, _ = weights.load(files[0])
        return clip_of(tensors, quick="remote" not in files[0].name.lower()).to(kind)
    config = config_of(folder)
    name = str(config.get("_class_name") or (config.get("architectures") or [""])[0])
    name = OTHER_NAMES.get(name, name)
    if name not in classes:
        raise ModelRefused(
            f"{folder.name} is a '{name[:60]}', which is none of the networks that are read: "
            f"{', '.join(classes)}."
        )
    cls = lazy.parts(classes[name], name)
    variant = (
        files[0].name.split(".")[1]
        if len(files[0].suffixes) == 2 and "-of-" not in files[0].name
        else None
    )
    for library in ("diffusers", "transformers"):
        logging = lazy.parts(f"{library}.utils", "logging")
        logging.set_verbosity_error()
        logging.disable_progress_bar()
    wide = torch.float32 if config.get("force_upcast") and kind == torch.float16 else kind
    word = "torch_dtype" if classes[name] == "diffusers" else "dtype"
    try:
        with lazy.lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            net = whole.read(cls, folder, variant=variant, **{word: wide})
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise ModelRefused(f"{folder} cannot be loaded as {name}: {str(error)[:300]}") from error
    return net


def merge_adapter(net: Any, folder: Path, title: str, of_words: bool = False) -> None:
    """Add an adapter's low-rank changes to the weights of its base: W + alpha / r * up @ down (Hu
    et al. 2022).

    `of_words`: those for the text encoder, which many an adapter has none for.
    """
    tensors, about = weights.load(headers.weight_files(folder)[0])
    own = dict(net.named_parameters())
    pairs = adapters.pairs_of(tensors, of_words)
    whole = {name: tuple(weight.shape) for name, weight in own.items()}
    adapters.check_shapes(
        pairs, {name: tuple(factor.shape) for name, factor in tensors.items()}, whole, title
    )
    for pair, name in adapters.targets_of(pairs, whole).items():
        down = tensors[pair.down].float()
        up = tensors[pair.up].float()
        alpha = (
            float(tensors[pair.alpha])
            if pair.alpha
            else float(about.get("lora_alpha", down.shape[0]))
        )
        change = alpha / down.shape[0] * (up.flatten(1) @ down.flatten(1))
        with torch.no_grad():
            own[name].add_(change.reshape(own[name].shape).to(own[name]))
