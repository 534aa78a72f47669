//! Many who watch jobs, over Server-Sent Events.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Response;
use tokio::time::sleep;

use crate::door::{Door, Prefer, id};
use crate::figures::{Times, line, mebibytes, millis, title};
use crate::scale::Scale;
use crate::world::{Books, Kind, Setup, World};

const STEP: Duration = Duration::from_millis(250);
/// Steps of a job that all watch, and of one of many.
const STEPS: [usize; 2] = [12, 1];
/// Of a job that keeps the others waiting until all who watch are there.
const LONG: usize = 150;
const ACCOUNT: &str = "alice";
/// Connections that are opened at one moment.
const AT_ONCE: usize = 16;

/// A reader of a job's events.
struct Watcher {
    job: String,
    /// Number and moment of each event that came, and whether it was the last.
    seen: Vec<(i64, Duration)>,
    ended: bool,
}

/// What came of it.
struct Fanout {
    /// From an event to each of its watchers.
    each: Times,
    /// From an event to the last of its watchers.
    last: Times,
    lost: usize,
    /// Resident memory before the watchers came, with all of them, and at the end.
    memory: [u64; 3],
    /// CPU time for one event told to one watcher.
    cpu: Duration,
}

pub async fn measure(world: &World, scale: &Scale) -> Result<()> {
    let watchers = scale.watchers;
    title(format_args!(
        "{watchers} watchers (GET /api/jobs/{{id}}/events), an event every {} ms",
        STEP.as_millis()
    ));
    for &kind in world.kinds() {
        for (jobs, steps) in [1, scale.watched].into_iter().zip(STEPS) {
            let found = round(world, kind, jobs, steps, watchers).await?;
            let of = if jobs == 1 {
                "one job".to_owned()
            } else {
                format!("{jobs} jobs")
            };
            line(
                format_args!("{kind}, of {of}: from an event to its last watcher"),
                format_args!("{}, at most {:.0} ms", found.last, millis(found.longest())),
            );
            line("  to any watcher", &found.each);
            line(
                "  CPU time of an event told to one",
                format_args!("{:.2} ms", millis(found.cpu)),
            );
            let [before, with, after] = found.memory.map(mebibytes);
            line(
                "  memory before, with all connected, at the end",
                format_args!(
                    "{before:.0}, {with:.0}, {after:.0} MiB; {} events lost",
                    found.lost
                ),
            );
        }
    }
    Ok(())
}

impl Fanout {
    fn longest(&self) -> Duration {
        self.last.longest()
    }
}

async fn round(
    world: &World,
    kind: Kind,
    jobs: usize,
    steps: usize,
    watchers: usize,
) -> Result<Fanout> {
    let books = world.books(kind).await?;
    let (origin, door) = world.origin(&books, Setup::of(STEP)).await?;
    let usage = origin.usage();
    let long = id(&door.generate(ACCOUNT, 0, LONG, Prefer::Async).await?)?;
    let mut ids = Vec::new();
    for seed in 1..=jobs {
        ids.push(id(&door
            .generate(ACCOUNT, seed, steps, Prefer::Async)
            .await?)?);
    }
    let before = usage.resident()?;
    let connected: Vec<(String, Response)> = stream::iter(0..watchers)
        .map(async |number| {
            let job = ids[number % jobs].clone();
            let events = door.events(ACCOUNT, &job).await?;
            anyhow::Ok((job, events))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    ensure!(waits(&door, &ids).await?, "a job began before all had come");
    let begun = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let (with, cpu) = (usage.resident()?, usage.cpu()?);
    let watching: Vec<_> = connected
        .into_iter()
        .map(|(job, events)| tokio::spawn(watch(job, events)))
        .collect();
    // What was told before is not to be in the times.
    sleep(STEP).await;
    door.cancel(ACCOUNT, &long).await?;
    let mut watchers = Vec::new();
    for watching in watching {
        watchers.push(watching.await??);
    }
    let cpu = usage.cpu()? - cpu;
    let memory = [before, with, usage.resident()?];
    let events = events(&books).await?;
    Ok(evaluate(&watchers, &events, begun, memory, cpu))
}

/// Whether the first of them has not begun.
async fn waits(door: &Door, ids: &[String]) -> Result<bool> {
    let first = ids.first().context("a job")?;
    Ok(door.job(ACCOUNT, first).await?["status"] == "queued")
}

/// Reads a stream to its end.
async fn watch(job: String, mut events: Response) -> Result<Watcher> {
    let (mut text, mut seen, mut ended) = (String::new(), Vec::new(), false);
    while let Some(piece) = events.chunk().await? {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        text.push_str(std::str::from_utf8(&piece)?);
        while let Some(end) = text.find("\n\n") {
            let event: String = text.drain(..end + 2).collect();
            let field = |name| event.lines().find_map(|line| line.strip_prefix(name));
            // A heartbeat has none.
            if let Some(number) = field("id: ") {
                seen.push((number.parse()?, now));
            }
            ended |= field("event: ") == Some("succeeded");
        }
    }
    Ok(Watcher { job, seen, ended })
}

/// When each event of each job was written down, by the job and the event's number.
type Events = BTreeMap<String, BTreeMap<i64, Duration>>;

async fn events(books: &Books) -> Result<Events> {
    let rows: Vec<(String, i64, i64)> = sqlx::query_as("SELECT job_id, number, at FROM job_events")
        .fetch_all(&mut books.connection().await?)
        .await?;
    let mut events = Events::new();
    for (job, number, at) in rows {
        let at = Duration::from_millis(u64::try_from(at)?);
        events.entry(job).or_default().insert(number, at);
    }
    Ok(events)
}

fn evaluate(
    watchers: &[Watcher],
    events: &Events,
    begun: Duration,
    memory: [u64; 3],
    cpu: f64,
) -> Fanout {
    let (mut each, mut last, mut lost) = (Vec::new(), BTreeMap::new(), 0);
    for watcher in watchers {
        let told = events.get(&watcher.job).into_iter().flatten();
        let mut came = watcher.seen.iter();
        for (&number, &at) in told {
            // In their order, each once.
            let Some(&(_, seen)) = came.next().filter(|(seen, _)| *seen == number) else {
                lost += 1;
                continue;
            };
            if at >= begun {
                let delay = seen.saturating_sub(at);
                each.push(delay);
                let latest = last.entry((&watcher.job, number)).or_insert(delay);
                *latest = delay.max(*latest);
            }
        }
        lost += usize::from(!watcher.ended);
    }
    let cpu = Duration::from_secs_f64(cpu / each.len().max(1) as f64);
    Fanout {
        each: Times::new(each),
        last: Times::new(last.into_values().collect()),
        lost,
        memory,
        cpu,
    }
}
