//! `scripts/bench origin`: what the service around the engine takes, beside the stack that it
//! replaces. Origins, databases, store and peer are real processes on this machine; only the engine
//! is a stub, whose steps sleep.
//!
//! `QUICK=1` does less of everything, and says less; `ONLY` names the parts to run.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

mod acceptance;
mod disk;
mod door;
mod fanout;
mod figures;
mod filling;
mod load;
mod memory;
mod peer;
mod process;
mod scale;
mod scaling;
mod store;
mod waiting;
mod world;

use std::env;
use std::fs;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

use scale::Scale;
use world::World;

const PARTS: [&str; 6] = [
    "acceptance",
    "fanout",
    "waiting",
    "scaling",
    "memory",
    "peer",
];

#[tokio::main]
async fn main() -> Result<()> {
    // The client wants to know it, though nothing here is asked over TLS.
    drop(rustls::crypto::ring::default_provider().install_default());
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {}
        [store::COMMAND, folder] => return store::serve(folder).await,
        _ => bail!("arguments that mean nothing here: {arguments:?}"),
    }
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    // Whichever way it ends, processes and folders go with what is dropped here.
    tokio::select! {
        done = measure() => done,
        _ = interrupt.recv() => bail!("interrupted"),
        _ = terminate.recv() => bail!("told to end"),
    }
}

async fn measure() -> Result<()> {
    let is_quick = env::var_os("QUICK").is_some_and(|value| !value.is_empty());
    let scale = if is_quick { Scale::QUICK } else { Scale::WHOLE };
    let only = env::var("ONLY").unwrap_or_default();
    let only: Vec<&str> = only.split_whitespace().collect();
    if let Some(unknown) = only.iter().find(|part| !PARTS.contains(part)) {
        bail!("unknown part `{unknown}`: there are {}", PARTS.join(" "));
    }
    let world = World::new()?;
    let begun = Instant::now();
    println!("device: {}", device()?);
    println!(
        "its disk, 4 KiB written and synced: {}",
        disk::synced(&world.folder()?)?
    );
    println!("where two times stand side by side: the median, and what 99 in 100 stay within");
    for part in PARTS {
        if !only.is_empty() && !only.contains(&part) {
            continue;
        }
        match part {
            "acceptance" => acceptance::measure(&world, &scale).await,
            "fanout" => fanout::measure(&world, &scale).await,
            "waiting" => waiting::measure(&world, &scale).await,
            "scaling" => scaling::measure(&world, &scale).await,
            "memory" => memory::measure(&world, &scale).await,
            _ => peer::measure(&world, &scale).await,
        }
        .with_context(|| format!("part {part}"))?;
    }
    println!("\nall of it took {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

fn device() -> Result<String> {
    let processors = fs::read_to_string("/proc/cpuinfo").context("Linux is needed")?;
    let named = processors
        .lines()
        .find(|line| line.starts_with("model name"));
    let name = named.and_then(|line| line.split_once(": "));
    let name = name.map_or("unknown processor", |(_, name)| name);
    let threads = std::thread::available_parallelism()?;
    let profile = if cfg!(debug_assertions) {
        "dev"
    } else {
        "release"
    };
    Ok(format!(
        "{name}, {threads} threads, no GPU; built by the profile `{profile}`"
    ))
}
