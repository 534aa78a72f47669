"""How long the stages of a picture take in stable-diffusion.cpp on the CPU, as it says itself.

    python time_sdcpp.py MODEL [--size 512] [--threads 2]

MODEL is an SDXL checkpoint in one file (sdxl_stages.py single). Weights stay in f16, which is what
it multiplies with.
"""
import argparse
import io
import re
import sys
import time

ap = argparse.ArgumentParser()
ap.add_argument("model")
ap.add_argument("--size", type=int, default=512)
ap.add_argument("--threads", type=int, default=2)
a = ap.parse_args()

from stable_diffusion_cpp import StableDiffusion

# Its own log is the only place where it tells the stages apart.
said = sys.stderr = io.StringIO()
begun = time.time()
model = StableDiffusion(model_path=a.model, n_threads=a.threads, wtype="default")
print(f"load: {time.time() - begun:.2f} s", flush=True)
ends = []
model.generate_image("a photo of an astronaut riding a horse on mars", width=a.size, height=a.size, cfg_scale=1.0, sample_steps=3,
                     sample_method="euler", progress_callback=lambda step, steps, seconds: ends.append(time.time()))
log = said.getvalue()


def told(what):
    found = re.search(what + r".*?taking ([\d.]+) ?(ms|s)", log)
    return float(found[1]) / (1000 if found[2] == "ms" else 1) if found else float("nan")


print(f"text encoders: {told('get_learned_condition completed'):.2f} s")
print(f"UNet step: {min(b - a for a, b in zip(ends, ends[1:])):.2f} s")
print(f"VAE decode: {told('decode_first_stage completed'):.2f} s")
