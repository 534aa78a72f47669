//! `cargo run -p darkroom-sdxl --example paint -- MODEL "a prompt" FILE.ppm [SEED]`: one picture,
//! and how long each part of it took.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use darkroom_sdxl::{DeviceKind, Pipeline, TextToImage};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, prompt, file, rest @ ..] = &arguments[..] else {
        return Err("wanted: MODEL PROMPT FILE.ppm [SEED]".into());
    };
    let seed = rest.first().map_or(Ok(7), |seed| seed.parse())?;
    let begun = Instant::now();
    let pipeline = Pipeline::load(Path::new(model), DeviceKind::Auto)?;
    println!("loaded in {:.2?} on {}", begun.elapsed(), pipeline.device());
    let defaults = pipeline.defaults();
    let run = TextToImage {
        prompt: prompt.clone(),
        negative_prompt: None,
        width: defaults.width,
        height: defaults.height,
        steps: defaults.steps,
        guidance_scale: defaults.guidance_scale,
        scheduler: defaults.scheduler,
        seed,
    };
    let begun = Instant::now();
    let mut last = begun;
    let picture = pipeline.text_to_image(&run, &mut |done| {
        println!("step {}/{} {:.2?}", done.step, done.steps, last.elapsed());
        last = Instant::now();
        ControlFlow::Continue(())
    })?;
    println!("picture in {:.2?}", begun.elapsed());
    let mut out = std::fs::File::create(file)?;
    write!(out, "P6\n{} {}\n255\n", picture.width, picture.height)?;
    out.write_all(&picture.rgb)?;
    Ok(())
}
