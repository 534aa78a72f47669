//! A generate request: its fields, their limits, and the messages for what is wrong.
//!
//! Read by hand rather than by a derive, so that one answer names every field that is wrong.

use serde::{Deserialize, Serialize};

use crate::fields::Fields;
use crate::input::Source;
use crate::limits::{LIMITS, Range};
use crate::outside::Reach;
use crate::problem::Problem;

/// The largest body that is taken, in bytes.
pub const MAX_BODY: usize = 20 * 1024 * 1024;
/// The largest seed: the largest whole number that every JSON reader keeps exact.
pub const MAX_SEED: u64 = (1 << 53) - 1;
/// Characters of a name; which names there are is the model's to say.
const NAME: Range<u64> = Range { min: 1, max: 100 };

/// Fields of the contract that no engine here serves yet: refused by name, never ignored.
const NOT_OFFERED: [&str; 1] = ["loras"];

/// File format of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Lossless.
    #[default]
    Png,
    /// Lossless, smaller.
    Webp,
    /// Lossy, smallest.
    Avif,
    /// Lossy, read everywhere.
    Jpeg,
}

impl Format {
    /// Every format there is.
    pub const ALL: &[Self] = &[Self::Png, Self::Webp, Self::Avif, Self::Jpeg];

    /// The name in requests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Avif => "avif",
            Self::Jpeg => "jpeg",
        }
    }

    /// The end of file names.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            other => other.as_str(),
        }
    }

    /// The media type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Avif => "image/avif",
            Self::Jpeg => "image/jpeg",
        }
    }
}

/// Who may fetch a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Everybody who has its address.
    #[default]
    Public,
    /// Its owner, and who has a signed URL.
    Private,
}

impl Visibility {
    /// Both.
    pub const ALL: &[Self] = &[Self::Public, Self::Private];

    /// The name in requests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
        }
    }

    /// Reads [`Visibility::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|visibility| visibility.as_str() == text)
    }
}

/// What of a mask says which part of the picture is made anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum MaskChannel {
    /// What is light.
    #[default]
    Luminance,
    /// What is transparent.
    Alpha,
}

impl MaskChannel {
    /// The name in requests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Luminance => "luminance",
            Self::Alpha => "alpha",
        }
    }
}

/// What a caller asks for. Only [`GenerateRequest::from_json`] makes one, so it is checked.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateRequest {
    /// 1 to 10,000 characters.
    pub prompt: String,
    /// Up to 10,000 characters.
    pub negative_prompt: Option<String>,
    /// The caller's label, 1 to 200 printable characters.
    pub task_id: Option<String>,
    /// Pixels: a multiple of 8, 64 to 2048.
    pub width: Option<u32>,
    /// Pixels: a multiple of 8, 64 to 2048.
    pub height: Option<u32>,
    /// 1 to 150.
    pub steps: Option<u32>,
    /// 0 to 30.
    pub guidance_scale: Option<f64>,
    /// 0 to [`MAX_SEED`].
    pub seed: Option<u64>,
    /// Images, 1 to 10.
    pub n: u32,
    /// A name out of the model's list.
    pub scheduler: Option<String>,
    /// A model's name.
    pub model: Option<String>,
    /// File format.
    pub format: Format,
    /// Of a JPEG, 1 to 100.
    pub jpeg_quality: Option<u32>,
    /// Who may fetch the pictures.
    pub visibility: Visibility,
    /// Previews of each image in the job's events.
    pub previews: u32,
    /// The picture to begin with.
    pub init_image: Option<Source>,
    /// Which part of it is made anew; all of it where there is none.
    pub mask: Option<Source>,
    /// How the mask says so.
    pub mask_channel: MaskChannel,
    /// How much is made anew: above 0, up to 1.
    pub strength: Option<f64>,
    /// Whom to tell how the job ends: an https address.
    pub webhook_url: Option<String>,
}

impl GenerateRequest {
    /// Reads and checks a request's body, whose addresses must be public ones.
    ///
    /// # Errors
    /// As [`GenerateRequest::within`].
    pub fn from_json(body: &[u8]) -> Result<Self, Problem> {
        Self::within(&Reach::default(), body)
    }

    /// Reads and checks a request's body, whose addresses must be within `reach`.
    ///
    /// # Errors
    /// [`Code::Malformed`](crate::problem::Code::Malformed) for a body that is no JSON object,
    /// [`Code::Invalid`](crate::problem::Code::Invalid) with every offending field for one whose
    /// values are not allowed.
    pub fn within(reach: &Reach, body: &[u8]) -> Result<Self, Problem> {
        Self::read_whole(Fields::from_json(body)?, reach)
    }

    /// Reads and checks a request's fields, of which there may be no others.
    pub(crate) fn read_whole(mut fields: Fields, reach: &Reach) -> Result<Self, Problem> {
        let request = Self::read(&mut fields, reach);
        fields.finish(&NOT_OFFERED)?;
        Ok(request)
    }

    /// Whether it names images, by id or by address, that only the origin can look up: its recipe,
    /// and so the recipe's hash, is not known before that.
    #[must_use]
    pub fn names_images(&self) -> bool {
        [&self.init_image, &self.mask]
            .into_iter()
            .any(|source| matches!(source, Some(Source::Image(_) | Source::Address(_))))
    }

    /// Forgets the pictures that were sent along: their digests are in the recipe by then.
    pub fn drop_files(&mut self) {
        for source in [&mut self.init_image, &mut self.mask] {
            *source = source.take().filter(|source| source.file().is_none());
        }
    }

    fn read(fields: &mut Fields, reach: &Reach) -> Self {
        let prompt = fields.text("prompt", LIMITS.prompt);
        match &prompt {
            None if !fields.has_error("prompt") => fields.error("prompt", "is needed"),
            Some(prompt) if prompt.chars().all(|c| c.is_whitespace() || is_invisible(c)) => {
                fields.error("prompt", "must not be blank");
            }
            _ => {}
        }
        let request = Self {
            prompt: prompt.unwrap_or_default(),
            negative_prompt: fields.text("negative_prompt", LIMITS.negative_prompt),
            task_id: fields.text("task_id", LIMITS.task_id),
            width: fields.side("width", LIMITS.width),
            height: fields.side("height", LIMITS.height),
            steps: fields
                .whole("steps", LIMITS.steps)
                .map(|steps| steps as u32),
            guidance_scale: fields.number("guidance_scale", LIMITS.guidance_scale),
            seed: fields.whole("seed", LIMITS.seed),
            n: fields.whole("n", LIMITS.n).map_or(1, |n| n as u32),
            scheduler: fields.text("scheduler", NAME),
            model: fields.text("model", NAME),
            format: fields.choice("format", Format::ALL, Format::as_str),
            jpeg_quality: fields
                .whole("jpeg_quality", LIMITS.jpeg_quality)
                .map(|quality| quality as u32),
            visibility: fields.choice("visibility", Visibility::ALL, Visibility::as_str),
            previews: fields
                .whole("previews", LIMITS.previews)
                .map_or(0, |previews| previews as u32),
            init_image: fields.read("init_image", |text| Source::parse(text, reach)),
            mask: fields.read("mask", |text| Source::parse(text, reach)),
            mask_channel: fields.choice(
                "mask_channel",
                &[MaskChannel::Luminance, MaskChannel::Alpha],
                MaskChannel::as_str,
            ),
            strength: fields.number("strength", LIMITS.strength),
            webhook_url: fields.read("webhook_url", |text| {
                reach.check(text).map(|()| text.to_owned())
            }),
        };
        request.check_inputs(fields);
        if request.jpeg_quality.is_some() && request.format != Format::Jpeg {
            fields.error("jpeg_quality", "needs the format jpeg");
        }
        if request
            .task_id
            .as_deref()
            .is_some_and(|id| !id.chars().all(is_printable))
        {
            fields.error("task_id", "must be printable");
        }
        if request
            .seed
            .is_some_and(|seed| seed + u64::from(request.n) - 1 > MAX_SEED)
        {
            fields.error("seed", format!("plus n - 1 must be at most {MAX_SEED}"));
        }
        request
    }

    fn check_inputs(&self, fields: &mut Fields) {
        if self.strength == Some(0.0) {
            fields.error("strength", "must be above 0");
        }
        if self.init_image.is_some() || fields.has_error("init_image") {
            return;
        }
        for (field, is_given) in [
            ("mask", self.mask.is_some()),
            ("strength", self.strength.is_some()),
        ] {
            if is_given {
                fields.error(field, "needs an init_image");
            }
        }
    }
}

/// The body of a checked request without a seed, with one in it: whoever works on it later draws none.
/// Not read and written again: large bodies would take several times their size.
#[must_use]
pub fn with_seed(mut body: Vec<u8>, seed: u64) -> Vec<u8> {
    let Some(end) = body.iter().rposition(|byte| *byte == b'}') else {
        return body;
    };
    // Last, so that it counts where an explicit null stands before it.
    let rest = format!(r#","seed":{seed}}}"#);
    body.truncate(end);
    body.reserve_exact(rest.len());
    body.extend_from_slice(rest.as_bytes());
    body
}

/// Whether a character can be seen, or shapes one that can: no control character, and none that
/// hides or turns around the text beside it (Unicode's line separators and format characters).
pub(crate) fn is_printable(c: char) -> bool {
    // The two joiners make ligatures and families of emoji.
    matches!(c, '\u{200c}' | '\u{200d}') || !(c.is_control() || is_invisible(c))
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::problem::Code;

    fn errors(json: &str) -> Vec<String> {
        let problem = GenerateRequest::from_json(json.as_bytes()).expect_err("refused");
        assert_eq!(problem.code, Code::Invalid, "{problem:?}");
        problem
            .errors
            .into_iter()
            .map(|error| error.field)
            .collect()
    }

    #[test]
    fn a_prompt_is_enough() {
        let request = GenerateRequest::from_json(br#"{"prompt":"a fox"}"#).expect("valid");
        assert_eq!(request.prompt, "a fox");
        assert_eq!((request.n, request.format), (1, Format::Png));
        assert_eq!(request.negative_prompt, None);
    }

    #[test]
    fn a_seed_is_put_in_and_changes_nothing_else() {
        for json in [
            r#"{"prompt":"a } fox"}"#,
            " { \"seed\" : null, \"prompt\" : \"a } fox\" } \n",
        ] {
            let body = with_seed(json.as_bytes().to_vec(), MAX_SEED);
            let request = GenerateRequest::from_json(&body).expect("valid");
            let without = GenerateRequest::from_json(json.as_bytes()).expect("valid");
            let seed = Some(MAX_SEED);
            assert_eq!(request, GenerateRequest { seed, ..without });
        }
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let json = r#"{"prompt":" ","width":100,"height":63,"steps":0,"guidance_scale":31,
            "seed":-1,"n":11,"format":"gif","visibility":"x","task_id":"","previews":4,
            "colour":"red"}"#;
        let expected = [
            "prompt",
            "task_id",
            "width",
            "height",
            "steps",
            "guidance_scale",
            "seed",
            "n",
            "format",
            "visibility",
            "previews",
            "colour",
        ];
        let mut found = errors(json);
        found.sort();
        let mut sorted = expected.to_vec();
        sorted.sort_unstable();
        assert_eq!(found, sorted);
    }

    #[test]
    fn types_are_not_guessed() {
        for json in [
            r#"{"prompt":"p","steps":"20"}"#,
            r#"{"prompt":"p","steps":20.5}"#,
            r#"{"prompt":"p","steps":20.0}"#,
            r#"{"prompt":"p","steps":true}"#,
        ] {
            assert_eq!(errors(json), ["steps"], "{json}");
        }
        assert_eq!(errors(r#"{"prompt":5}"#), ["prompt"]);
        assert_eq!(errors("{}"), ["prompt"]);
    }

    #[test]
    fn limits_hold_together() {
        assert_eq!(
            errors(r#"{"prompt":"p","seed":9007199254740992}"#),
            ["seed"]
        );
        assert_eq!(
            errors(r#"{"prompt":"p","seed":9007199254740991,"n":2}"#),
            ["seed"]
        );
        let largest = br#"{"prompt":"p","seed":9007199254740991,"width":2048,"height":2048}"#;
        assert!(GenerateRequest::from_json(largest).is_ok());
        assert_eq!(
            errors(&format!(r#"{{"prompt":"{}"}}"#, "x".repeat(10_001))),
            ["prompt"]
        );
        assert_eq!(errors("{\"prompt\":\"a\\u0000b\"}"), ["prompt"]);
        assert!(GenerateRequest::from_json("{\"prompt\":\"a\\n\\tb\"}".as_bytes()).is_ok());
    }

    #[test]
    fn what_cannot_be_seen_is_no_label_and_no_prompt() {
        for label in ["a\u{202e}b", "a\tb", "\u{feff}", "a\u{2028}b"] {
            let body = json!({ "prompt": "p", "task_id": label }).to_string();
            assert_eq!(errors(&body), ["task_id"], "{label:?}");
        }
        let family = json!({ "prompt": "p", "task_id": "Füchse 👨\u{200d}👩\u{200d}👧" });
        assert!(GenerateRequest::from_json(family.to_string().as_bytes()).is_ok());
        for prompt in ["\u{200b}", " \u{2060}\n"] {
            assert_eq!(errors(&json!({ "prompt": prompt }).to_string()), ["prompt"]);
        }
    }

    #[test]
    fn of_many_errors_the_first_are_told_and_the_rest_counted() {
        let many: Map<String, Value> = (0..1000).map(|i| (format!("f{i}"), json!(1))).collect();
        let body = Value::Object(many).to_string();
        let problem = GenerateRequest::from_json(body.as_bytes()).expect_err("refused");
        assert_eq!(problem.errors.len(), 20);
        assert_eq!(problem.errors[0].field, "prompt");
        assert!(problem.detail.ends_with("; and 981 more"), "{problem:?}");
    }

    #[test]
    fn what_is_not_offered_is_refused_not_ignored() {
        assert_eq!(errors(r#"{"prompt":"p","loras":[]}"#), ["loras"]);
    }

    #[test]
    fn a_picture_to_begin_with_and_what_belongs_to_it() {
        let id = "01234567-89ab-cdef-0123-456789abcdef";
        let whole = json!({
            "prompt": "p", "init_image": id, "mask": id, "mask_channel": "alpha", "strength": 1,
        });
        let request = GenerateRequest::from_json(whole.to_string().as_bytes()).expect("valid");
        assert!(request.names_images());
        assert_eq!(request.strength, Some(1.0));
        assert_eq!(request.mask_channel, MaskChannel::Alpha);

        let alone = json!({ "prompt": "p", "mask": id, "strength": 0.5 });
        assert_eq!(errors(&alone.to_string()), ["mask", "strength"]);
        // Not what follows from it.
        let wrong = json!({ "prompt": "p", "init_image": 5, "mask": id, "strength": 0.5 });
        assert_eq!(errors(&wrong.to_string()), ["init_image"]);
        for strength in [json!(0), json!(-0.0), json!(1.01), json!("1")] {
            let body = json!({ "prompt": "p", "init_image": id, "strength": strength });
            assert_eq!(errors(&body.to_string()), ["strength"]);
        }
    }

    #[test]
    fn addresses_are_public_unless_others_are_allowed() {
        let inner = json!({
            "prompt": "p", "webhook_url": "http://127.0.0.1/", "init_image": "https://10.0.0.1/",
        });
        assert_eq!(errors(&inner.to_string()), ["init_image", "webhook_url"]);
        let reach = Reach::parse("127.0.0.1,10.0.0.0/8").expect("networks");
        let taken = GenerateRequest::within(&reach, inner.to_string().as_bytes()).expect("valid");
        assert_eq!(taken.webhook_url.as_deref(), Some("http://127.0.0.1/"));
        assert!(taken.names_images());
        let public = json!({ "prompt": "p", "webhook_url": "https://example.com/hook?a=b" });
        assert!(GenerateRequest::from_json(public.to_string().as_bytes()).is_ok());
        assert_eq!(errors(r#"{"prompt":"p","webhook_url":5}"#), ["webhook_url"]);
    }

    #[test]
    fn only_a_jpeg_has_a_quality() {
        let jpeg = br#"{"prompt":"p","format":"jpeg","jpeg_quality":80}"#;
        let request = GenerateRequest::from_json(jpeg).expect("valid");
        assert_eq!(request.jpeg_quality, Some(80));
        for body in [
            r#"{"prompt":"p","jpeg_quality":80}"#,
            r#"{"prompt":"p","format":"jpeg","jpeg_quality":0}"#,
        ] {
            assert_eq!(errors(body), ["jpeg_quality"]);
        }
    }

    #[test]
    fn a_body_that_is_no_object_is_malformed() {
        for body in [&b"{"[..], b"[]", b"null", b"\xff", b""] {
            let problem = GenerateRequest::from_json(body).expect_err("refused");
            assert_eq!(problem.code, Code::Malformed);
        }
    }

    const FIELDS: [&str; 20] = [
        "prompt",
        "negative_prompt",
        "task_id",
        "width",
        "height",
        "steps",
        "guidance_scale",
        "seed",
        "n",
        "scheduler",
        "model",
        "format",
        "visibility",
        "jpeg_quality",
        "previews",
        "init_image",
        "mask",
        "mask_channel",
        "strength",
        "webhook_url",
    ];

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (0_u64..200).prop_map(|n| json!(8 * n)),
            Just(json!(MAX_SEED)),
            any::<f64>().prop_map(Value::from),
            ".{0,20}".prop_map(Value::from),
            Just(json!(["png"])),
        ]
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = GenerateRequest::from_json(&body).is_ok();
        }

        #[test]
        fn what_is_taken_is_within_the_limits_and_what_is_not_is_named(
            body in proptest::collection::btree_map(
                proptest::sample::select(&FIELDS[..]), any_value(), 0..FIELDS.len(),
            ),
        ) {
            match GenerateRequest::from_json(json!(body).to_string().as_bytes()) {
                Ok(request) => {
                    prop_assert!(!request.prompt.trim().is_empty());
                    for side in [request.width, request.height].into_iter().flatten() {
                        prop_assert!((64..=2048).contains(&side) && side % 8 == 0);
                    }
                    let last = request.seed.unwrap_or(0) + u64::from(request.n) - 1;
                    prop_assert!(last <= MAX_SEED && (1..=10).contains(&request.n));
                    prop_assert!(request.steps.is_none_or(|steps| (1..=150).contains(&steps)));
                }
                Err(problem) => {
                    prop_assert_eq!(problem.code, Code::Invalid);
                    prop_assert!(!problem.errors.is_empty());
                    for error in problem.errors {
                        let known = body.contains_key(&*error.field) || error.field == "prompt";
                        prop_assert!(known, "{}", error.field);
                    }
                }
            }
        }
    }
}
