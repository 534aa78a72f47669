//! What was measured, for people and for programs.

use std::time::Duration;

use darkroom_shared::recipe::Recipe;
use serde_json::{Map, Value, json};

use super::super::print;
use super::Run;
use super::machine::processor;
use super::spread::Spread;

/// What came out of the runs that count.
#[derive(Debug)]
pub struct Report {
    /// What was made.
    pub recipe: Recipe,
    /// By what.
    pub device: String,
    /// Pictures before these.
    pub warm_up: u32,
    /// How long the model took to load.
    pub load: Duration,
    /// The pictures.
    pub runs: Vec<Run>,
}

impl Report {
    /// A table.
    pub fn text(&self) -> String {
        let recipe = &self.recipe;
        let head = [
            ("model", format!("{} {}", recipe.model, recipe.revision)),
            ("device", self.device.clone()),
            ("processor", processor()),
            (
                "picture",
                format!(
                    "{}×{}, {} steps of {}, guidance {}",
                    recipe.width,
                    recipe.height,
                    recipe.steps,
                    recipe.scheduler,
                    recipe.guidance_scale
                ),
            ),
            (
                "runs",
                format!("{} after {} to warm up", self.runs.len(), self.warm_up),
            ),
            ("load", seconds(self.load)),
        ];
        let head = head.map(|(name, value)| [name.to_owned(), value]);
        let mut rows = vec![["stage", "median", "min", "max"].map(str::to_owned)];
        rows.extend(self.stages().map(|(name, spread)| {
            let Spread { median, min, max } = spread;
            [name.to_owned(), seconds(median), seconds(min), seconds(max)]
        }));
        format!(
            "{}\n{}\n{:.2} pictures a minute, one after the other\npeer: none beside it here\n",
            print::table(&head),
            print::table(&rows),
            self.pictures_per_minute()
        )
    }

    /// The same. There is nothing beside it to compare it with, which `peer` says.
    pub fn json(&self) -> Value {
        let stages = self
            .stages()
            .map(|(name, spread)| (name.to_owned(), spread.json()));
        json!({
            "model": self.recipe.model,
            "revision": self.recipe.revision,
            "engine": self.recipe.engine,
            "device": self.device,
            "processor": processor(),
            "width": self.recipe.width,
            "height": self.recipe.height,
            "steps": self.recipe.steps,
            "scheduler": self.recipe.scheduler,
            "guidance_scale": self.recipe.guidance_scale,
            "warm_up": self.warm_up,
            "runs": self.runs.len(),
            "load_seconds": self.load.as_secs_f64(),
            "stages": Value::Object(stages.into_iter().collect::<Map<_, _>>()),
            "pictures_per_minute": self.pictures_per_minute(),
            "peer": Value::Null,
        })
    }

    fn stages(&self) -> [(&'static str, Spread); 5] {
        let of = |time: fn(&Run) -> Duration| Spread::of(self.runs.iter().map(time));
        let steps = self.runs.iter().flat_map(|run| run.stages.steps.clone());
        [
            ("text", of(|run| run.stages.text)),
            ("step", Spread::of(steps)),
            ("decode", of(|run| run.stages.decode)),
            ("encode", of(|run| run.encode)),
            ("picture", self.whole()),
        ]
    }

    fn whole(&self) -> Spread {
        Spread::of(self.runs.iter().map(|run| run.whole))
    }

    fn pictures_per_minute(&self) -> f64 {
        60.0 / self.whole().median.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.4} s", time.as_secs_f64())
}
