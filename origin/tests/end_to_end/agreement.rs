//! Edge and origin refuse the same requests in the same words.

use darkroom_shared::signature::{
    CALLER_HEADER, DIGEST_HEADER, INPUT_HEADER, Parts, SIGNATURE_HEADER, Secret, content_digest,
    sign,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};

use crate::stack::Stack;

const PATH: &str = "/api/media/generate-image";
const SECRET: &str = "agreement:0123456789abcdef0123456789abcdef";
/// A picture of one pixel, a file that only begins like one, an id that is nobody's, an address that may
/// not be asked.
const PICTURES: &[&str] = &[
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB",
    "01890000-0000-4000-8000-000000000000",
    "https://10.0.0.1/a.png",
];
/// A name that nobody has, and what may not be asked.
const WEBHOOKS: &[&str] = &[
    "https://nobody.invalid/hook",
    "http://nobody.invalid/hook",
    "https://[::1]/hook",
    "https://0x7f.1/hook",
];
/// Bodies that are put to both.
const BODIES: usize = 150;

/// A field's value: right, wrong, or of another type.
fn value(right: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
    prop_oneof![
        3 => right,
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_filter_map("a number", |x| x.is_finite().then(|| json!(x))),
        1 => ".{0,12}".prop_map(Value::from),
        1 => Just(json!([1, {}])),
    ]
    .boxed()
}

fn whole(range: std::ops::Range<u64>) -> impl Strategy<Value = Value> {
    range.prop_map(Value::from)
}

fn names(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    proptest::sample::select(names).prop_map(Value::from)
}

/// A body with some of the fields there are, and now and then one that there is not.
fn body() -> impl Strategy<Value = Value> {
    let fields: Vec<(&str, BoxedStrategy<Value>)> = vec![
        ("prompt", value("[a-z ]{1,30}".prop_map(Value::from))),
        ("negative_prompt", value(".{0,5}".prop_map(Value::from))),
        ("task_id", value(".{0,5}".prop_map(Value::from))),
        ("width", value(whole(60..80))),
        ("height", value(whole(60..80))),
        ("steps", value(whole(0..3))),
        ("guidance_scale", value(whole(0..33))),
        ("seed", value(whole(0..9))),
        ("n", value(whole(0..3))),
        ("scheduler", value(names(&["euler", "unipc", "magic"]))),
        ("model", value(names(&["demo", "other"]))),
        ("format", value(names(&["png", "webp", "avif", "gif"]))),
        ("visibility", value(names(&["public", "private"]))),
        ("loras", value(Just(json!([])))),
        ("init_image", value(names(PICTURES))),
        ("mask", value(names(PICTURES))),
        ("mask_channel", value(names(&["luminance", "alpha", "red"]))),
        (
            "strength",
            value((0_u32..6).prop_map(|x| json!(f64::from(x) / 4.0))),
        ),
        ("webhook_url", value(names(WEBHOOKS))),
        ("colour", value(Just(json!("red")))),
    ];
    let fields = fields.into_iter().map(|(name, value)| {
        // Nearly always a prompt, so that others decide.
        let share = if name == "prompt" { 0.95 } else { 0.15 };
        proptest::option::weighted(share, value).prop_map(move |value| (name, value))
    });
    fields.collect::<Vec<_>>().prop_map(|fields| {
        let given = fields.into_iter();
        let given = given.filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(given.collect::<Map<_, _>>())
    })
}

/// What is said of a request: its status, and why.
async fn verdict(response: reqwest::Response) -> Value {
    let status = response.status().as_u16();
    let answer: Value = response.json().await.expect("JSON");
    json!([status, answer["code"], answer["errors"], answer["detail"]])
}

async fn asked_directly(stack: &Stack, body: &[u8], nonce: usize) -> reqwest::Response {
    let secret = Secret::parse_list(SECRET).expect("a secret").remove(0);
    let digest = content_digest(body);
    let parts = Parts {
        method: "POST",
        path: PATH,
        query: "",
        content_digest: &digest,
        caller: "admin",
    };
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a time");
    let nonce = format!("{nonce:032x}");
    let signature = sign(&secret, &parts, now.as_secs() as i64, &nonce).expect("signed");
    let request = stack
        .http
        .post(format!("{}{PATH}", stack.origin))
        .header("content-type", "application/json")
        .header("prefer", "respond-async")
        .header(CALLER_HEADER, "admin")
        .header(DIGEST_HEADER, digest)
        .header(INPUT_HEADER, signature.input)
        .header(SIGNATURE_HEADER, signature.signature);
    request.body(body.to_vec()).send().await.expect("an answer")
}

#[tokio::test]
async fn edge_and_origin_agree_on_every_request() {
    let stack = Stack::start(&[("DARKROOM_ORIGIN_SECRETS", SECRET)]);
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(proptest::test_runner::Config::default(), random);
    let mut refused = 0;
    for i in 0..BODIES {
        let body = body().new_tree(&mut runner).expect("a body").current();
        let bytes = body.to_string();
        let at_origin = verdict(asked_directly(&stack, bytes.as_bytes(), i).await).await;
        let at_edge = stack.generate(&body).header("prefer", "respond-async");
        let at_edge = verdict(at_edge.send().await.expect("an answer")).await;
        assert_eq!(at_edge, at_origin, "{body}");
        refused += usize::from(at_origin[0] == 422);
    }
    assert!((BODIES / 4..BODIES).contains(&refused), "{refused} refused");
}
