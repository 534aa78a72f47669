//! The flags of `darkroom images regenerate`.

use clap::Args;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// What `darkroom images regenerate` takes. The flags have the names of a request's fields; what is
/// not said is as it was.
#[derive(Debug, Args)]
pub struct RegenerateArgs {
    /// The image's id
    pub id: Uuid,
    /// What to show
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// What not to show
    #[arg(long, value_name = "TEXT")]
    negative_prompt: Option<String>,
    /// Decides the noise; a new one unless told
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Denoising steps
    #[arg(long, value_name = "NUMBER")]
    steps: Option<u32>,
    /// How closely to follow the prompt
    #[arg(long, value_name = "NUMBER")]
    guidance_scale: Option<f64>,
    /// The sampler
    #[arg(long, value_name = "NAME")]
    scheduler: Option<String>,
    /// How many
    #[arg(short, value_name = "IMAGES")]
    n: Option<u32>,
}

impl RegenerateArgs {
    /// The request's body.
    pub fn body(&self) -> Value {
        let fields = [
            ("prompt", self.prompt.as_ref().map(|text| json!(text))),
            (
                "negative_prompt",
                self.negative_prompt.as_ref().map(|text| json!(text)),
            ),
            ("seed", self.seed.map(|seed| json!(seed))),
            ("steps", self.steps.map(|steps| json!(steps))),
            (
                "guidance_scale",
                self.guidance_scale.map(|scale| json!(scale)),
            ),
            ("scheduler", self.scheduler.as_ref().map(|name| json!(name))),
            ("n", self.n.map(|n| json!(n))),
        ];
        let body: Map<String, Value> = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect();
        body.into()
    }
}
