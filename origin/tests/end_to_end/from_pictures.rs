//! Pictures that begin with pictures, and OpenAI's door to the same engine.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::picture::Picture;
use crate::pictures::{BLUE, RED, is_near};
use crate::stack::{Stack, json as answer};

const YELLOW: [f64; 3] = [240.0, 210.0, 50.0];

async fn generated(stack: &Stack, request: &Value) -> (Value, Picture) {
    let response = stack.generate(request).send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    let body = answer(Ok(response)).await;
    let url = body["image_url"].as_str().expect("an address");
    let picture = stack.http.get(url).send().await.expect("the picture");
    let bytes = picture.bytes().await.expect("bytes");
    (body, Picture::decode(&bytes))
}

#[tokio::test]
async fn a_picture_is_made_anew_as_far_as_strength_and_mask_say() {
    let stack = Stack::start(&[]);
    let first = json!({ "prompt": "a red circle on a blue background", "seed": 7 });
    let (first, _) = generated(&stack, &first).await;
    let other = |strength: f64| {
        json!({
            "prompt": "a green star on a yellow background", "seed": 3,
            "init_image": first["images"][0]["id"], "strength": strength,
        })
    };
    let (body, little) = generated(&stack, &other(0.05)).await;
    assert_eq!(body["recipe"]["init_image"], first["images"][0]["sha256"]);
    assert_eq!(body["job"]["progress"]["steps"], 1);
    assert!(is_near(little.colour_at(64, 64), RED), "the middle");
    assert!(is_near(little.colour_at(6, 6), BLUE), "a corner");
    let (_, all) = generated(&stack, &other(1.0)).await;
    assert!(is_near(all.colour_at(6, 6), YELLOW), "a corner");

    // What is light in the mask is on the right.
    let mut mask = Vec::new();
    let mut encoder = png::Encoder::new(&mut mask, 2, 1);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().expect("written");
    writer.write_image_data(&[0, 255]).expect("written");
    writer.finish().expect("written");
    let mut masked = other(1.0);
    masked["mask"] = format!("data:image/png;base64,{}", STANDARD.encode(mask)).into();
    let (_, half) = generated(&stack, &masked).await;
    assert!(is_near(half.colour_at(6, 64), BLUE), "the left");
    assert!(!is_near(half.colour_at(121, 64), BLUE), "the right");
}

#[tokio::test]
async fn openais_clients_see_a_picture_come_about() {
    let stack = Stack::start(&[]);
    let request = json!({
        "model": "gpt-image-1", "prompt": "a red circle on a blue background", "stream": true,
        "partial_images": 3, "size": "auto", "darkroom": { "seed": 7 },
    });
    let response = stack
        .http
        .post(format!("{}/v1/images/generations", stack.edge))
        .bearer_auth(&stack.key)
        .json(&request)
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), 200);
    let text = response.text().await.expect("events");
    let events: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .collect();
    let picture = |event: &Value| {
        let base64 = event["b64_json"].as_str().expect("a picture");
        Picture::decode(&STANDARD.decode(base64).expect("base64"))
    };
    let [partials @ .., completed] = &events[..] else {
        panic!("no events: {text}");
    };
    assert_eq!(partials.len(), 3);
    for (index, partial) in (0..).zip(partials) {
        assert_eq!(partial["type"], "image_generation.partial_image");
        assert_eq!(partial["partial_image_index"], index);
        assert_eq!(picture(partial).width, 16);
    }
    assert_eq!(completed["type"], "image_generation.completed");
    let picture = picture(completed);
    assert_eq!((picture.width, picture.height), (128, 128));
    assert!(is_near(picture.colour_at(64, 64), RED), "the middle");
    assert!(is_near(picture.colour_at(6, 6), BLUE), "a corner");
}
