"""The stack that Darkroom replaces, as it is usually built and no worse: FastAPI on uvicorn, pictures
made inside the request, one after the other, as one GPU does it, and stored with boto3.

`scripts/bench origin` runs it beside the origin. The engine is the same stub: a step takes
`STUB_STEP_MS` milliseconds, a picture is noise of its seed. Encoding and upload of one picture go on
beside the steps of the next.
"""

import io
import os
import random
import threading
import time
import uuid

import boto3
import uvicorn
from botocore.config import Config
from fastapi import FastAPI
from PIL import Image
from pydantic import BaseModel, Field

STEP = float(os.environ["STUB_STEP_MS"]) / 1000
BUCKET = os.environ["AWS_S3_BUCKET"]
ENDPOINT = os.environ["AWS_S3_ENDPOINT"]

app = FastAPI()
engine = threading.Lock()
s3 = boto3.client(
    "s3",
    endpoint_url=ENDPOINT,
    region_name=os.environ["AWS_S3_REGION"],
    config=Config(s3={"addressing_style": "path"}, max_pool_connections=40),
)


class Request(BaseModel):
    prompt: str = Field(min_length=1, max_length=10_000)
    width: int = Field(64, ge=64, le=2048, multiple_of=8)
    height: int = Field(64, ge=64, le=2048, multiple_of=8)
    steps: int = Field(20, ge=1, le=150)
    seed: int = Field(ge=0, lt=2**53)


def picture(request: Request) -> bytes:
    with engine:
        for _ in range(request.steps):
            time.sleep(STEP)
    return random.Random(request.seed).randbytes(3 * request.width * request.height)


# Not `async`: uvicorn runs it on a thread, so that others are heard meanwhile.
@app.post("/api/media/generate-image")
def generate(request: Request) -> dict:
    rgb = picture(request)
    file = io.BytesIO()
    Image.frombytes("RGB", (request.width, request.height), rgb).save(file, "PNG")
    key = f"generated/{int(time.time())}-{uuid.uuid4()}.png"
    s3.put_object(
        Bucket=BUCKET,
        Key=key,
        Body=file.getvalue(),
        ContentType="image/png",
        CacheControl="public, max-age=31536000, immutable",
        Metadata={"seed": str(request.seed)},
    )
    return {"image_url": f"{ENDPOINT}/{BUCKET}/{key}"}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=0)
