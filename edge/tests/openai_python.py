"""OpenAI's own client for Python, unchanged, against the edge: run by openai-python.mjs."""
import base64
import os
import unittest

import openai

PNG = base64.b64decode(os.environ["PNG"])
PREVIEW = os.environ["PREVIEW"]
client = openai.OpenAI(
    api_key=os.environ["API_KEY"], base_url=f"{os.environ['EDGE_URL']}/v1", max_retries=0
)


class Client(unittest.TestCase):
    def test_generates_as_bytes_and_as_an_address(self):
        images = client.images.generate(
            model="gpt-image-1.5", prompt="a fox", n=2, size="1024x1024", quality="high",
            background="opaque", output_format="webp", moderation="low", user="u",
            extra_body={"darkroom": {"seed": 7}},
        )
        self.assertEqual([base64.b64decode(image.b64_json) for image in images.data], [PNG, PNG])
        self.assertEqual((images.size, images.quality, images.output_format), ("1024x1024", "high", "webp"))
        self.assertEqual(images.usage.total_tokens, 0)
        self.assertEqual(images.darkroom["recipe"]["seed"], 7)
        images = client.images.generate(model="dall-e-3", prompt="p", style="vivid")
        self.assertRegex(images.data[0].url, r"^http.*\.png$")
        raw = client.images.with_raw_response.generate(prompt="p", response_format="url")
        self.assertTrue(raw.request_id)

    def test_streams_partial_images(self):
        events = list(client.images.generate(prompt="p", stream=True, partial_images=2))
        kinds = [(event.type, event.b64_json) for event in events]
        final = base64.b64encode(PNG).decode()
        self.assertEqual(kinds, [
            ("image_generation.partial_image", PREVIEW),
            ("image_generation.partial_image", PREVIEW),
            ("image_generation.completed", final),
        ])
        self.assertEqual([event.partial_image_index for event in events[:2]], [0, 1])
        self.assertEqual(events[2].usage.output_tokens, 0)
        self.assertIsInstance(events[0], openai.types.ImageGenPartialImageEvent)
        self.assertIsInstance(events[2], openai.types.ImageGenCompletedEvent)
        with self.assertRaisesRegex(openai.APIError, "the engine failed"):
            list(client.images.generate(prompt="fail", stream=True))

    def test_edits(self):
        edited = client.images.edit(
            image=("a.png", PNG), mask=("m.png", PNG), prompt="p", n=2, size="512x512",
            extra_body={"darkroom": {"seed": 7, "strength": 0.5}},
        )
        self.assertEqual(len(edited.data), 2)
        recipe = edited.darkroom["recipe"]
        self.assertEqual((recipe["width"], recipe["seed"]), (512, 7))
        events = list(client.images.edit(image=[("a.png", PNG)], prompt="p", stream=True, partial_images=1))
        self.assertEqual(
            [event.type for event in events], ["image_edit.partial_image", "image_edit.completed"]
        )

    def test_lists_models(self):
        self.assertEqual([model.id for model in client.models.list()], ["demo"])

    def test_knows_each_error_by_its_class(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            client.images.generate(prompt="p", size="1x1")
        self.assertEqual((caught.exception.param, caught.exception.code), ("size", "invalid_request"))
        with self.assertRaises(openai.RateLimitError):
            client.images.generate(prompt="busy")
        with self.assertRaises(openai.AuthenticationError):
            client.with_options(api_key="nobody").images.generate(prompt="p")
        with self.assertRaises(openai.ConflictError):
            client.with_options(max_retries=2).images.generate(prompt="cancel")


if __name__ == "__main__":
    unittest.main(verbosity=2)
