"""Every pretrained pipeline of its real classes, tiny, with random weights, saved as it is
published."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path

import torch

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 37,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
TEXT = {**SMALL, "vocab_size": 49408, "bos_token_id": 49406, "eos_token_id": 49407}
SENTENCES = (
    "flood the houses with brown water",
    "a satellite image of a town",
    "snow on roofs and fields",
    "make it winter",
    "a diptych with two side by side images of the same scene on the right the scene is exactly "
    "the same as on the "
    "left but",
    "burned forest and ash",
    "build a solar farm here",
    "what should be there",
    "buildings collapsed after an earthquake",
)


@functools.cache  # nearly every tiny model is saved with it
def clip_tokens(limit=77):
    from landbrush.server.models.clip_tokens import tokeniser
    from transformers import CLIPTokenizer

    tokens = json.loads(tokeniser(Path(".")).to_str())["model"]
    return CLIPTokenizer(
        vocab=tokens["vocab"],
        merges=[tuple(merge) for merge in tokens["merges"]],
        model_max_length=limit,
    )


def t5_tokens(folder):
    """T5's tokeniser as it is published: a model of sentencepiece, trained here on a few
    sentences."""
    import io

    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 20),
        model_writer=model,
        vocab_size=120,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spiece.model").write_bytes(model.getvalue())
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "T5Tokenizer",
                "eos_token": "</s>",
                "pad_token": "<pad>",
                "unk_token": "<unk>",
                "extra_ids": 0,
                "model_max_length": 512,
            }
        )
    )


def unet(channels, cross=32, **more):
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        **{
            "sample_size": 16,
            "in_channels": channels,
            "out_channels": 4,
            "layers_per_block": 1,
            "block_out_channels": (32, 64),
            "cross_attention_dim": cross,
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
            "attention_head_dim": 8,
            **more,
        }
    )


def vae(channels=4, factor=0.18215, shift=None):
    """With the eightfold reduction of the real ones, and almost no spread, so that samples of it
    are its mean."""
    from diffusers import AutoencoderKL

    net = AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=channels,
        layers_per_block=1,
        norm_num_groups=4,
        scaling_factor=factor,
        shift_factor=shift,
    )
    with torch.no_grad():
        if net.quant_conv is not None:
            net.quant_conv.weight[channels:] = 0
            net.quant_conv.bias[channels:] = -40
            net.quant_conv.weight[:channels] *= 3
    return net


def clip(limit=77, projection=0, **more):
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = {**TEXT, "max_position_embeddings": limit, **more}
    if projection:
        return CLIPTextModelWithProjection(CLIPTextConfig(**config, projection_dim=projection))
    return CLIPTextModel(CLIPTextConfig(**config))


def t5(width=32):
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(
        T5Config(vocab_size=200, d_model=width, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
    )


SD_BETAS = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
}


def stable_diffusion(folder, channels, limit=77, seed=0, **more):
    """Stable Diffusion's layout, with 4, 8 or 9 channels."""
    from diffusers import PNDMScheduler

    torch.manual_seed(seed)
    parts = {"unet": unet(channels, **more), "vae": vae(), "text_encoder": clip(limit)}
    for name, net in parts.items():
        net.save_pretrained(folder / name)
    clip_tokens(limit).save_pretrained(folder / "tokenizer")
    PNDMScheduler(
        skip_prk_steps=True,
        **{k: v for k, v in SD_BETAS.items() if k not in ("clip_sample", "skip_prk_steps")},
    ).save_pretrained(folder / "scheduler")
    return folder


def sdxl(folder, channels, seed=0):
    """Stable Diffusion XL's layout, with 4 or 9 channels."""
    from diffusers import EulerDiscreteScheduler

    torch.manual_seed(seed)
    unet(
        channels,
        cross=64,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 32,
        transformer_layers_per_block=(1, 2),
        use_linear_projection=True,
    ).save_pretrained(folder / "unet")
    vae(factor=0.13025).save_pretrained(folder / "vae")
    clip().save_pretrained(folder / "text_encoder")
    clip(projection=32).save_pretrained(folder / "text_encoder_2")
    for name in ("tokenizer", "tokenizer_2"):
        clip_tokens().save_pretrained(folder / name)
    EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
    ).save_pretrained(folder / "scheduler")
    return folder


def pixart(folder, transformer=True, seed=0):
    """PixArt-alpha's layout; without its transformer the base that RSEdit-DiT needs."""
    from diffusers import DPMSolverMultistepScheduler, PixArtTransformer2DModel

    torch.manual_seed(seed)
    if transformer:
        net = PixArtTransformer2DModel(
            sample_size=16,
            num_layers=2,
            patch_size=2,
            attention_head_dim=8,
            num_attention_heads=4,
            caption_channels=32,
            in_channels=4,
            cross_attention_dim=32,
            out_channels=8,
            attention_bias=True,
            norm_type="ada_norm_single",
            norm_elementwise_affine=False,
            norm_eps=1e-6,
            use_additional_conditions=False,
        )
        net.save_pretrained(folder / "transformer")
    vae().save_pretrained(folder / "vae")
    t5().save_pretrained(folder / "text_encoder")
    t5_tokens(folder / "tokenizer")
    DPMSolverMultistepScheduler(
        beta_schedule="linear", beta_start=0.0001, beta_end=0.02
    ).save_pretrained(folder / "scheduler")
    return folder


def sd3(folder, channels=16, seed=0):
    """Stable Diffusion 3's layout; 32 and 48 channels are UltraEdit's."""
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel

    torch.manual_seed(seed)
    net = SD3Transformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=channels,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=96,
        caption_projection_dim=32,
        pooled_projection_dim=64,
        out_channels=16,
        pos_embed_max_size=96,
    )
    net.save_pretrained(folder / "transformer")
    vae(16, 1.5305, 0.0609).save_pretrained(folder / "vae")
    for name in ("text_encoder", "text_encoder_2"):
        clip(projection=32).save_pretrained(folder / name)
    t5(96).save_pretrained(folder / "text_encoder_3")
    for name in ("tokenizer", "tokenizer_2"):
        clip_tokens().save_pretrained(folder / name)
    t5_tokens(folder / "tokenizer_3")
    FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(folder / "scheduler")
    return folder


def flux(folder, channels=64, seed=0):
    """FLUX.1's layout: 64 channels for Kontext, 384 for Fill."""
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel

    torch.manual_seed(seed)
    net = FluxTransformer2DModel(
        patch_size=1,
        in_channels=channels,
        out_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        guidance_embeds=True,
        axes_dims_rope=(4, 4, 8),
    )
    net.save_pretrained(folder / "transformer")
    vae(16, 0.3611, 0.1159).save_pretrained(folder / "vae")
    clip().save_pretrained(folder / "text_encoder")
    t5().save_pretrained(folder / "text_encoder_2")
    clip_tokens().save_pretrained(folder / "tokenizer")
    t5_tokens(folder / "tokenizer_2")
    FlowMatchEulerDiscreteScheduler(
        shift=3.0, use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15
    ).save_pretrained(folder / "scheduler")
    return folder


CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)


def chat_tokens():
    """Bytes as tokens, and a template of a conversation, as a language model's tokeniser has."""
    from transformers import Qwen2Tokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    words = {token: at for at, token in enumerate([*bytes_to_unicode().values(), *special])}
    tokens = Qwen2Tokenizer(vocab=words, merges=[], pad_token=special[0])
    tokens.chat_template = CHAT
    return tokens


def flux2(folder, seed=0):
    """FLUX.2 [klein]'s layout: states of three layers of a language model, latents in patches."""
    from diffusers import (
        AutoencoderKLFlux2,
        FlowMatchEulerDiscreteScheduler,
        Flux2Transformer2DModel,
    )
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(seed)
    Flux2Transformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=48,
        timestep_guidance_channels=16,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    ).save_pretrained(folder / "transformer")
    codec = AutoencoderKLFlux2(
        block_out_channels=(8, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=4,
    )
    codec.bn.running_mean.normal_(0, 0.1)
    codec.bn.running_var.uniform_(0.5, 2)
    codec.save_pretrained(folder / "vae")
    language = Qwen3Config(
        vocab_size=300,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=28,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
    )
    Qwen3ForCausalLM(language).save_pretrained(folder / "text_encoder")
    chat_tokens().save_pretrained(folder / "tokenizer")
    FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True).save_pretrained(
        folder / "scheduler"
    )
    return folder


def worded_decoder(folder, seed=0):
    """Kandinsky 2.1's inpainting decoder, with its multilingual text encoder."""
    from diffusers.pipelines.kandinsky.text_encoder import MCLIPConfig, MultilingualCLIP
    from transformers import XLMRobertaTokenizerFast

    kandinsky_decoder(
        folder,
        seed,
        encoder_hid_dim_type="text_image_proj",
        addition_embed_type="text_image",
        cross_attention_dim=32,
    )
    MultilingualCLIP(
        MCLIPConfig(
            numDims=32,
            transformerDimensions=32,
            transformerDimSize=32,
            imageDimSize=32,
            hidden_size=32,
            intermediate_size=37,
            num_attention_heads=4,
            num_hidden_layers=2,
            vocab_size=300,
        )
    ).save_pretrained(folder / "text_encoder")
    words = sorted({letter for sentence in SENTENCES for letter in sentence if letter != " "})
    signs = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    XLMRobertaTokenizerFast(
        vocab=[*((sign, 0.0) for sign in signs), *((one, -3.0) for one in ("\u2581", *words))]
    ).save_pretrained(folder / "tokenizer")
    return folder


def kandinsky_decoder(folder, seed=0, **more):
    """Kandinsky 2.2's inpainting decoder."""
    from diffusers import DDPMScheduler, UNet2DConditionModel, VQModel

    torch.manual_seed(seed)
    wanted = {
        "sample_size": 16,
        "in_channels": 9,
        "out_channels": 8,
        "layers_per_block": 1,
        "block_out_channels": (32, 64),
        "cross_attention_dim": 32,
        "down_block_types": ("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
        "up_block_types": ("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        "attention_head_dim": 4,
        "encoder_hid_dim": 32,
        "encoder_hid_dim_type": "image_proj",
        "addition_embed_type": "image",
        "resnet_time_scale_shift": "scale_shift",
        **more,
    }
    UNet2DConditionModel(**wanted).save_pretrained(folder / "unet")
    VQModel(
        block_out_channels=(32,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 3 + ("AttnDownEncoderBlock2D",),
        latent_channels=4,
        up_block_types=("AttnUpDecoderBlock2D",) + ("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        norm_num_groups=32,
        norm_type="spatial",
        num_vq_embeddings=12,
        vq_embed_dim=4,
    ).save_pretrained(folder / "movq")
    DDPMScheduler(
        beta_schedule="linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        variance_type="learned_range",
    ).save_pretrained(folder / "scheduler")
    return folder


def qwen_tokens():
    """As chat_tokens, with the signs of a picture."""
    from transformers import Qwen2Tokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    special += ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>"]
    words = {token: at for at, token in enumerate([*bytes_to_unicode().values(), *special])}
    return Qwen2Tokenizer(
        vocab=words, merges=[], pad_token=special[0], additional_special_tokens=special[1:]
    )


def qwen(folder, seed=0):
    """Qwen-Image-Edit's layout: a tokenizer, a processor and four networks."""
    from diffusers import (
        AutoencoderKLQwenImage,
        FlowMatchEulerDiscreteScheduler,
        QwenImageTransformer2DModel,
    )
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2VLImageProcessorPil,
    )

    torch.manual_seed(seed)
    QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=3,
        joint_attention_dim=16,
        axes_dims_rope=(8, 4, 4),
    ).save_pretrained(folder / "transformer")
    AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 2, 4, 4],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.1, -0.2, 0.0, 0.3],
        latents_std=[1.5, 0.8, 1.0, 2.0],
    ).save_pretrained(folder / "vae")
    tokens = qwen_tokens()
    small = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "vocab_size": 300,
        "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]},
    }
    config = Qwen2_5_VLConfig(
        text_config=small,
        vision_config={
            "depth": 2,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": 16,
        },
        image_token_id=tokens.convert_tokens_to_ids("<|image_pad|>"),
        vision_start_token_id=tokens.convert_tokens_to_ids("<|vision_start|>"),
        vision_end_token_id=tokens.convert_tokens_to_ids("<|vision_end|>"),
    )
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder / "text_encoder")
    tokens.save_pretrained(folder / "tokenizer")
    Qwen2VLImageProcessorPil().save_pretrained(folder / "processor")
    FlowMatchEulerDiscreteScheduler(shift=1.0, use_dynamic_shifting=True).save_pretrained(
        folder / "scheduler"
    )
    return folder


def kandinsky_prior(folder, seed=0):
    """Kandinsky 2.2's prior."""
    from diffusers import PriorTransformer, UnCLIPScheduler
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(seed)
    PriorTransformer(
        num_attention_heads=2, attention_head_dim=12, embedding_dim=32, num_layers=1
    ).save_pretrained(folder / "prior")
    CLIPVisionModelWithProjection(
        CLIPVisionConfig(**SMALL, image_size=64, projection_dim=32, patch_size=16)
    ).save_pretrained(folder / "image_encoder")
    clip(projection=32).save_pretrained(folder / "text_encoder")
    clip_tokens().save_pretrained(folder / "tokenizer")
    UnCLIPScheduler(
        variance_type="fixed_small_log",
        prediction_type="sample",
        clip_sample_range=10.0,
        num_train_timesteps=1000,
    ).save_pretrained(folder / "scheduler")
    CLIPImageProcessor(crop_size=64, size=64).save_pretrained(folder / "image_processor")
    return folder


def adapter(folder, base, rank=4, seed=0, width=0):
    """A low-rank adapter of FLUX's attention, named as peft does; `width`: of another base."""
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    out = {}
    for name, weight in base.named_parameters():
        if name.endswith(("to_q.weight", "to_v.weight", "x_embedder.weight")):
            module = name.removesuffix(".weight")
            out[f"transformer.{module}.lora_A.weight"] = 0.2 * torch.randn(
                rank, width or weight.shape[1]
            )
            out[f"transformer.{module}.lora_B.weight"] = 0.2 * torch.randn(weight.shape[0], rank)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(out, folder / "pytorch_lora_weights.safetensors")
    return folder


def kohya_adapter(folder, base, seed=0):
    """A low-rank adapter of Stable Diffusion's attention and text encoder, named as kohya's trainer
    does, with its alphas."""
    from diffusers import UNet2DConditionModel
    from safetensors.torch import save_file
    from transformers import CLIPTextModel

    torch.manual_seed(seed)
    out = {}
    for prefix, net in (
        ("lora_unet_", UNet2DConditionModel.from_pretrained(base / "unet")),
        ("lora_te_text_model_", CLIPTextModel.from_pretrained(base / "text_encoder")),
    ):
        for name, weight in net.named_parameters():
            if name.endswith(
                ("to_q.weight", "to_v.weight", "to_out.0.weight", "q_proj.weight", "fc1.weight")
            ):
                module = prefix + name.removesuffix(".weight").removeprefix("text_model.").replace(
                    ".", "_"
                )
                out[f"{module}.lora_down.weight"] = 0.3 * torch.randn(4, weight.shape[1])
                out[f"{module}.lora_up.weight"] = 0.3 * torch.randn(weight.shape[0], 4)
                out[f"{module}.alpha"] = torch.tensor(8.0)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(out, folder / "third_train-000009.safetensors")
    return folder


def controlnet(folder, base, seed=0):
    """A ControlNet on a Stable Diffusion, its zero convolutions filled, so that it steers; its
    files lie in the root."""
    from diffusers import ControlNetModel, UNet2DConditionModel

    torch.manual_seed(seed)
    net = ControlNetModel.from_unet(UNet2DConditionModel.from_pretrained(base / "unet"))
    with torch.no_grad():
        for block in (
            *net.controlnet_down_blocks,
            net.controlnet_mid_block,
            net.controlnet_cond_embedding.conv_out,
        ):
            block.weight.normal_(0, 0.2)
    net.save_pretrained(folder)
    return folder


def build(model_id, folder):
    """The published layout of a model of the catalogue, tiny."""
    from diffusers import FluxTransformer2DModel

    folder = Path(folder) / model_id
    makers = {
        "rsedit-unet-dgtrs": lambda: (
            stable_diffusion(folder / "DGTRS-CLIP-ViT-L-14", 8, 248).parent
        ),
        "rsedit-unet-openai": lambda: stable_diffusion(folder, 8),
        "instruct-pix2pix": lambda: stable_diffusion(folder, 8),
        "sd15": lambda: stable_diffusion(folder, 4),
        "text2earth": lambda: stable_diffusion(folder, 4, class_embed_type="timestep"),
        "sd15-inpainting": lambda: stable_diffusion(folder, 9),
        "text2earth-inpainting": lambda: stable_diffusion(folder, 9, class_embed_type="timestep"),
        "rsedit-dit": lambda: pixart(folder),
        "ultraedit-freeform": lambda: sd3(folder, 32),
        "ultraedit-mask": lambda: sd3(folder, 48),
        "flux-kontext": lambda: flux(folder, 64),
        "flux-fill": lambda: flux(folder, 384),
        "flux2-klein-4b": lambda: flux2(folder),
        "kandinsky22-inpainting": lambda: kandinsky_decoder(folder),
        "kandinsky22-prior": lambda: kandinsky_prior(folder),
        "kandinsky21-inpainting": lambda: worded_decoder(folder),
        "kandinsky21-prior": lambda: kandinsky_prior(folder, seed=1),
        "qwen-image-edit": lambda: qwen(folder),
        "sd20": lambda: stable_diffusion(folder, 4, seed=2),
        "sdxl": lambda: sdxl(folder, 4),
        "sdxl-inpainting": lambda: sdxl(folder, 9),
    }
    if model_id == "icedit":
        base = FluxTransformer2DModel.from_pretrained(folder.parent / "flux-fill" / "transformer")
        return adapter(folder, base)
    if model_id == "mmm-rs":
        return kohya_adapter(folder, folder.parent / "sd15")
    if model_id.startswith("controlnet-"):
        return controlnet(folder, folder.parent / "sd15")
    if model_id == "magicbrush":
        stable_diffusion(folder, 8, seed=1)
        for name in ("vae", "text_encoder", "tokenizer", "scheduler"):
            shutil.rmtree(folder / name)
        return folder
    return makers[model_id]()
