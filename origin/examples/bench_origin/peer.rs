//! Beside the stack that Darkroom replaces: `FastAPI`, uvicorn and boto3 (`scripts/peers`), generating
//! inside the request. The same stub, the same store, the same load.

use std::cell::Cell;
use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::{join, join_all};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::door::{Door, Prefer};
use crate::figures::{Times, line, median, millis, range, title};
use crate::load::load;
use crate::process::Process;
use crate::scale::Scale;
use crate::store::{Store, environment};
use crate::world::{Books, Kind, Setup, World, count};

const CALLERS: usize = 8;
const STEPS: usize = 20;
/// What a step takes: pictures of 100 ms, and none but what the service itself takes.
const WORK: [Duration; 2] = [Duration::from_millis(5), Duration::ZERO];
/// Pictures asked for where the process is killed, and those it may store before.
const KILLED: [usize; 2] = [20, 5];
const PROGRAM: &str = "scripts/peers/fastapi_origin.py";

/// Who makes pictures.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stack {
    Peer,
    Darkroom(Kind),
}

impl Stack {
    fn name(self) -> String {
        match self {
            Self::Peer => "FastAPI".to_owned(),
            Self::Darkroom(kind) => format!("Darkroom, {kind}"),
        }
    }
}

/// What a round found.
struct Round {
    rate: f64,
    waited: Times,
    /// Until a caller is promised a picture, where that is before it is made.
    accepted: Option<Times>,
}

/// What became of the pictures asked for of a process that was killed.
struct Killed {
    answered: usize,
    stored: usize,
}

pub async fn measure(world: &World, scale: &Scale) -> Result<()> {
    let Some(python) = env::var_os("PEER_PYTHON") else {
        title("Beside FastAPI: not run (PEER_PYTHON names no Python that has it)");
        return Ok(());
    };
    let python = python.to_str().context("PEER_PYTHON is no text")?;
    let mut stacks = vec![Stack::Peer];
    stacks.extend(world.kinds().iter().map(|&kind| Stack::Darkroom(kind)));
    for step in WORK {
        title(format_args!(
            "Beside FastAPI, uvicorn and boto3: {} pictures, {CALLERS} callers waiting, {:.0} ms of engine \
             each, one S3; median of {}, ratios to FastAPI (range)",
            scale.pictures,
            STEPS as f64 * millis(step),
            scale.rounds
        ));
        let mut rounds = Vec::new();
        for _ in 0..scale.rounds {
            let mut found = Vec::new();
            for &stack in &stacks {
                found.push(round(world, python, scale, stack, step).await?);
            }
            rounds.push(found);
        }
        for (number, stack) in stacks.iter().enumerate() {
            print(*stack, number, &rounds);
        }
    }
    title(format_args!(
        "kill -9 when {} of {} pictures are stored, then started again; each has its caller waiting",
        KILLED[1], KILLED[0]
    ));
    for stack in stacks {
        let found = killed(world, python, stack).await?;
        line(
            stack.name(),
            format_args!(
                "{} of {} pictures in the end, {} lost; {} callers had their answer before",
                found.stored,
                KILLED[0],
                KILLED[0] - found.stored,
                found.answered
            ),
        );
    }
    Ok(())
}

fn print(stack: Stack, number: usize, rounds: &[Vec<Round>]) {
    let name = stack.name();
    let row = |what: &str, unit: &str, figure: &dyn Fn(&Round) -> f64| {
        let ours: Vec<f64> = rounds.iter().map(|round| figure(&round[number])).collect();
        let ratios: Vec<f64> = rounds
            .iter()
            .zip(&ours)
            .map(|(round, ours)| ours / figure(&round[0]))
            .collect();
        let ratio = match stack {
            Stack::Peer => String::new(),
            Stack::Darkroom(_) => format!("; ratio {}", range(&ratios)),
        };
        line(
            format_args!("{name}: {what}"),
            format_args!("{:.1} {unit}{ratio}", median(&ours)),
        );
    };
    row("pictures", "a second", &|round| round.rate);
    row("a waiting call, median", "ms", &|round| {
        millis(round.waited.percentile(50))
    });
    row("a waiting call, 99 in 100", "ms", &|round| {
        millis(round.waited.percentile(99))
    });
    // The peer promises nothing before the picture is there.
    let promised = |round: &Round, percent| {
        let times = round.accepted.as_ref().unwrap_or(&round.waited);
        millis(times.percentile(percent))
    };
    row("until a picture is promised, median", "ms", &|round| {
        promised(round, 50)
    });
    row("until a picture is promised, 99 in 100", "ms", &|round| {
        promised(round, 99)
    });
}

/// A server that makes pictures, and whoever asks it for them.
struct Server {
    process: Process,
    caller: Caller,
}

enum Caller {
    Peer { http: Client, url: String },
    Darkroom(Door),
}

impl Caller {
    /// Asks for a picture and waits for it.
    async fn picture(&self, seed: usize) -> Result<()> {
        match self {
            Self::Peer { http, url } => {
                let body = json!({ "prompt": "a fox in the snow", "seed": seed, "steps": STEPS });
                let answer = http.post(url).json(&body).send().await?;
                let answer: Value = answer.error_for_status()?.json().await?;
                ensure!(answer["image_url"].is_string(), "{answer}");
            }
            Self::Darkroom(door) => {
                let job = door.generate("alice", seed, STEPS, Prefer::Wait).await?;
                ensure!(job["status"] == "succeeded", "{job}");
            }
        }
        Ok(())
    }
}

/// A stack with a store of its own, and what it keeps between two processes.
struct Bench<'a> {
    world: &'a World,
    python: &'a str,
    step: Duration,
    store: Store,
    data: PathBuf,
    /// What the peer has none of.
    books: Option<Books>,
}

impl<'a> Bench<'a> {
    async fn new(world: &'a World, python: &'a str, stack: Stack, step: Duration) -> Result<Self> {
        Ok(Self {
            world,
            python,
            step,
            store: Store::start(world).await?,
            data: world.folder()?,
            books: match stack {
                Stack::Peer => None,
                Stack::Darkroom(kind) => Some(world.books(kind).await?),
            },
        })
    }

    async fn start(&self) -> Result<Server> {
        let store = self.store.process.address.as_str();
        let Some(books) = &self.books else {
            let mut command = Command::new(self.python);
            command
                .arg(PROGRAM)
                .env("STUB_STEP_MS", self.step.as_millis().to_string())
                .envs(environment(store));
            let log = self.world.folder()?.join("peer.log");
            let process = Process::start(command, &log, peer_address).await?;
            let url = format!("http://{}/api/media/generate-image", process.address);
            let http = Client::new();
            let caller = Caller::Peer { http, url };
            return Ok(Server { process, caller });
        };
        let setup = Setup {
            step: self.step,
            store: Some(store),
            data: Some(&self.data),
        };
        let (process, door) = self.world.origin(books, setup).await?;
        let caller = Caller::Darkroom(door);
        Ok(Server { process, caller })
    }
}

/// Where uvicorn says that it listens.
fn peer_address(line: &str) -> Option<String> {
    let (_, address) = line.split_once("running on http://")?;
    address.split(' ').next().map(ToOwned::to_owned)
}

async fn round(
    world: &World,
    python: &str,
    scale: &Scale,
    stack: Stack,
    step: Duration,
) -> Result<Round> {
    let bench = Bench::new(world, python, stack, step).await?;
    let server = bench.start().await?;
    // Clients are made on first use, on both sides.
    server.caller.picture(0).await?;
    let waited = load(CALLERS, scale.pictures, async |number| {
        server.caller.picture(number + 1).await
    })
    .await?;
    let stored = bench.store.pictures()?;
    ensure!(stored == scale.pictures + 1, "{stored} pictures are stored");
    let accepted = match &server.caller {
        Caller::Peer { .. } => None,
        Caller::Darkroom(door) => {
            let accepted = load(CALLERS, scale.pictures, async |number| {
                // Other pictures than those that are there.
                let seed = scale.pictures + 1 + number;
                door.generate("alice", seed, STEPS, Prefer::Async).await
            });
            Some(accepted.await?.times)
        }
    };
    Ok(Round {
        rate: waited.rate(),
        waited: waited.times,
        accepted,
    })
}

async fn killed(world: &World, python: &str, stack: Stack) -> Result<Killed> {
    let bench = Bench::new(world, python, stack, WORK[0]).await?;
    let Server {
        mut process,
        caller,
    } = bench.start().await?;
    let answered = Cell::new(0);
    let calls = join_all((0..KILLED[0]).map(async |seed| {
        // One whose process is killed has none.
        if caller.picture(seed).await.is_ok() {
            answered.set(answered.get() + 1);
        }
    }));
    let killing = async {
        while bench.store.pictures()? < KILLED[1] {
            sleep(Duration::from_millis(5)).await;
        }
        process.kill()
    };
    let (_, killed) = join(calls, killing).await;
    killed?;
    let _again = bench.start().await?;
    if let Some(books) = &bench.books {
        let mut connection = books.connection().await?;
        while count(&mut connection, "queued").await? + count(&mut connection, "running").await? > 0
        {
            sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(Killed {
        answered: answered.get(),
        stored: bench.store.pictures()?,
    })
}
