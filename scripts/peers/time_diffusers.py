"""Seconds per UNet step of real-size SDXL base (random weights, fp32) in diffusers/torch on the CPU.

    python time_diffusers.py sdxl [--threads 2] [--size 512]     needs about 12 GiB of free memory
    python time_diffusers.py demo --model DIR [--threads 2] [--steps 20]
"""
import argparse
import os
import resource
import time
import warnings

warnings.filterwarnings("ignore")
ap = argparse.ArgumentParser()
ap.add_argument("what", choices=("sdxl", "demo"))
ap.add_argument("--threads", type=int, default=2)
ap.add_argument("--size", type=int, default=512)
ap.add_argument("--batch", type=int, default=1)
ap.add_argument("--repeat", type=int, default=2)
ap.add_argument("--steps", type=int, default=20)
ap.add_argument("--model")
a = ap.parse_args()
import torch
torch.set_num_threads(a.threads)
torch.set_grad_enabled(False)
from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel


def timed(name, f):
    w, c = time.time(), time.process_time()
    r = f()
    print(f"{name}: {time.time() - w:.2f} s wall, {time.process_time() - c:.2f} s cpu, threads {a.threads}, load {os.getloadavg()[0]:.1f}, "
          f"peak rss {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1048576:.1f} GiB", flush=True)
    return r


if a.what == "sdxl":
    with torch.device("meta"):
        unet = UNet2DConditionModel(
            sample_size=128, block_out_channels=(320, 640, 1280), layers_per_block=2, cross_attention_dim=2048, attention_head_dim=(5, 10, 20),
            transformer_layers_per_block=[1, 2, 10], use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=2816, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"))
    print(f"{sum(p.numel() for p in unet.parameters()) / 1e9:.3f} G parameters")
    unet = unet.to_empty(device="cpu").eval()

    def fill():
        block = torch.randn(1 << 20)
        for p in unet.parameters():
            flat = p.data.view(-1)
            for i in range(0, flat.numel(), 1 << 20):
                n = min(1 << 20, flat.numel() - i)
                flat[i : i + n] = block[:n]
            p.data.mul_(0.02) if p.dim() > 1 else p.data.fill_(0.5)
    timed("fill weights", fill)
    n, b = a.size // 8, a.batch
    x, ctx = torch.randn(b, 4, n, n), torch.randn(b, 77, 2048)
    cond = dict(text_embeds=torch.randn(b, 1280), time_ids=torch.tensor([[a.size, a.size, 0, 0, a.size, a.size]] * b).float())
    for i in range(a.repeat):
        timed(f"UNet step {a.size}x{a.size} batch {b} #{i}", lambda: unet(x, 500, ctx, added_cond_kwargs=cond).sample)
else:
    pipe = timed("load", lambda: StableDiffusionXLPipeline.from_pretrained(a.model, torch_dtype=torch.float32, add_watermarker=False))
    pipe.set_progress_bar_config(disable=True)
    for i in range(a.repeat + 1):
        timed(f"demo {a.steps} steps #{i}", lambda: pipe("a red circle on a blue background", num_inference_steps=a.steps, guidance_scale=4.0))
