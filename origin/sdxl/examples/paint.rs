//! `paint MODEL "a prompt" FILE.ppm [COUNT]`: as many pictures, of seeds 1, 2, …; the last one is
//! kept. Says how long each took.

#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use darkroom_sdxl::{LoadOptions, Pipeline};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, prompt, file, rest @ ..] = &arguments[..] else {
        return Err("wanted: MODEL PROMPT FILE.ppm [COUNT]".into());
    };
    let count: u64 = rest.first().map_or(Ok(1), |count| count.parse())?;
    let begun = Instant::now();
    let pipeline = Pipeline::load(Path::new(model), LoadOptions::default())?;
    println!("loaded in {:.2?} on {}", begun.elapsed(), pipeline.device());
    let mut run = pipeline.defaults().run(prompt);
    let mut last = None;
    for seed in 1..=count {
        run.seed = seed;
        let begun = Instant::now();
        last = pipeline
            .run(&run, &mut |_| ControlFlow::Continue(()))?
            .pop();
        println!("picture {seed} in {:.2?}", begun.elapsed());
    }
    let picture = last.ok_or("COUNT must be at least 1")?;
    let mut out = std::fs::File::create(file)?;
    write!(out, "P6\n{} {}\n255\n", picture.width, picture.height)?;
    out.write_all(&picture.rgb)?;
    Ok(())
}
