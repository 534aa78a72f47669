//! `stages MODEL SIZE [f32|f16|bf16 [STEPS]]`: how long each stage of a picture takes, for
//! `scripts/bench`; of the load alone where SIZE is `load`.

#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use darkroom_sdxl::scheduler::Steps;
use darkroom_sdxl::{GuidanceOptions, LoadOptions, Pipeline, Precision, Run};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, size, rest @ ..] = &arguments[..] else {
        return Err("wanted: MODEL SIZE [PRECISION [STEPS]]".into());
    };
    let precision: Precision = rest
        .first()
        .map_or(Ok(Precision::F32), |text| text.parse())?;
    let steps: usize = rest.get(1).map_or(Ok(3), |steps| steps.parse())?;
    let is_load = size == "load";
    let begun = Instant::now();
    let options = LoadOptions {
        precision,
        vae_precision: if is_load { precision } else { Precision::F32 },
        ..LoadOptions::default()
    };
    let pipeline = Pipeline::load(Path::new(model), options)?;
    report("load", begun);
    if is_load {
        return Ok(());
    }
    let side: u32 = size.parse()?;
    // Without guidance: a batch of one at each step.
    let run = Run {
        width: side,
        height: side,
        steps: Steps::Count(steps),
        guidance: GuidanceOptions {
            scale: 1.0,
            ..GuidanceOptions::default()
        },
        ..pipeline
            .defaults()
            .run("a photo of an astronaut riding a horse on mars")
    };
    let begun = Instant::now();
    let mut ends = Vec::new();
    let latents = pipeline.latents(&run, &mut |_| {
        ends.push(begun.elapsed().as_secs_f64());
        ControlFlow::Continue(())
    })?;
    let step = ends
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .reduce(f64::min);
    let step = step.ok_or("STEPS must be at least 2")?;
    println!("text encoders: {:.2} s", ends[0] - step);
    println!("UNet step: {step:.2} s");
    let begun = Instant::now();
    drop(pipeline.decode(&latents)?);
    report("VAE decode", begun);
    Ok(())
}

fn report(stage: &str, begun: Instant) {
    println!("{stage}: {:.2} s", begun.elapsed().as_secs_f64());
}
