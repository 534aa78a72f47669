"""SDXL base in its real size with random weights, and how long its stages take in diffusers on the CPU.

    python sdxl_stages.py make DIR                          writes it in fp16, diffusers' layout, 6.6 GiB
    python sdxl_stages.py single DIR FILE                   the same in one file with SGM's names
    python sdxl_stages.py load DIR                          loads it in fp16, as it is stored
    python sdxl_stages.py time DIR [--size 512] [--threads 2]    load, text encoders, UNet step, VAE decode
"""
import argparse
import os
import pathlib
import sys
import time
import warnings

os.environ.update(TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1")
warnings.filterwarnings("ignore")
ap = argparse.ArgumentParser()
ap.add_argument("what", choices=("make", "single", "load", "time"))
ap.add_argument("folder", type=pathlib.Path)
ap.add_argument("file", type=pathlib.Path, nargs="?")
ap.add_argument("--size", type=int, default=512)
ap.add_argument("--threads", type=int, default=2)
a = ap.parse_args()
import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

torch.set_num_threads(a.threads)
torch.set_grad_enabled(False)


def make(out):
    import json
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "train-demo"))
    from clip_vocab import write_tokenizer
    published = json.loads((pathlib.Path(__file__).resolve().parents[2] / "origin/sdxl/assets/sdxl-base.json").read_text())
    torch.set_default_dtype(torch.float16)

    def filled(build):
        """The same million random numbers over and over: what they are does not change how long they take."""
        with torch.device("meta"):
            model = build()
        model = model.to_empty(device="cpu").eval()
        block = torch.randn(1 << 20, dtype=torch.float32).half()
        for p in [*model.parameters(), *model.buffers()]:
            if p.dtype == torch.int64:
                p.copy_(torch.arange(p.numel()).view_as(p))
                continue
            flat = p.data.view(-1)
            for i in range(0, flat.numel(), 1 << 20):
                n = min(1 << 20, flat.numel() - i)
                flat[i : i + n] = block[:n]
            p.data.mul_(0.02) if p.dim() > 1 else p.data.fill_(0.5)
        return model
    text = lambda part: CLIPTextConfig(**{**published[part], "bos_token_id": 0, "pad_token_id": 1})
    for part, pad in (("tokenizer", "<|endoftext|>"), ("tokenizer_2", "!")):
        write_tokenizer(out / part, pad=pad)
    saved = {t: {f.name: f.read_bytes() for f in (out / t).iterdir()} for t in ("tokenizer", "tokenizer_2")}
    pipe = StableDiffusionXLPipeline(
        filled(lambda: AutoencoderKL(**published["vae"])), filled(lambda: CLIPTextModel(text("text_encoder"))),
        filled(lambda: CLIPTextModelWithProjection(text("text_encoder_2"))), CLIPTokenizer.from_pretrained(out / "tokenizer"),
        CLIPTokenizer.from_pretrained(out / "tokenizer_2"), filled(lambda: UNet2DConditionModel(**published["unet"])),
        EulerDiscreteScheduler(**{k: v for k, v in published["scheduler"].items() if k[0] != "_" and k not in ("clip_sample", "set_alpha_to_one")}),
        add_watermarker=False)
    pipe.save_pretrained(out)
    for part, files in saved.items():
        for name, data in files.items():
            (out / part / name).write_bytes(data)


def stage(name, f, repeat=1):
    best, r = None, None
    for _ in range(repeat):
        begun = time.time()
        r = f()
        best = min(best or 1e9, time.time() - begun)
    print(f"{name}: {best:.2f} s", flush=True)
    return r


def load(dtype):
    return StableDiffusionXLPipeline.from_pretrained(a.folder, torch_dtype=dtype, add_watermarker=False)


if a.what == "make":
    make(a.folder)
elif a.what == "single":
    from safetensors.torch import save_file
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "fixtures"))
    from sgm import sgm_state
    save_file({k: v.half().contiguous() for k, v in sgm_state(load(torch.float16)).items()}, a.file, {"format": "pt"})
elif a.what == "load":
    stage("load", lambda: load(torch.float16))
else:
    pipe = stage("load", lambda: load(torch.float32))
    prompt = "a photo of an astronaut riding a horse on mars"
    e, _, pooled, _ = stage("text encoders", lambda: pipe.encode_prompt(prompt, do_classifier_free_guidance=False))
    n = a.size // 8
    x, ids = torch.randn(1, 4, n, n), torch.tensor([[a.size, a.size, 0, 0, a.size, a.size]]).float()
    stage("UNet step", lambda: pipe.unet(x, 500, e, added_cond_kwargs=dict(text_embeds=pooled, time_ids=ids)), 2)
    stage("VAE decode", lambda: pipe.vae.decode(x))
