//! A long queue beside a short one: what a claim and a place take, and what callers see of it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use darkroom_origin::database::{Address, Claim, Database, Place};

use crate::door::Prefer;
use crate::figures::{Times, line, title};
use crate::filling::{Queue, STANDS};
use crate::load::load;
use crate::scale::Scale;
use crate::world::{Books, Kind, Setup, World};

const SHORT: usize = 100;
const STEPS: usize = 20;
/// Jobs that are claimed before as many are put in again.
const TAKEN: usize = 50;

pub async fn measure(world: &World, scale: &Scale) -> Result<()> {
    title(format_args!(
        "Waiting jobs of up to 1000 accounts: {} questions and claims each, one after the other",
        scale.claims
    ));
    for &kind in world.kinds() {
        for waiting in [SHORT, scale.waiting] {
            let found = round(world, scale, kind, waiting).await?;
            let row = |name, times: &Times| {
                line(format_args!("{kind}, {waiting} waiting: {name}"), times);
            };
            row("place", &found.place);
            row("claim", &found.claim);
            row("asked after, at the door", &found.asked);
            row("accepted, at the door", &found.accepted);
        }
    }
    Ok(())
}

struct Waiting {
    place: Times,
    claim: Times,
    asked: Times,
    accepted: Times,
}

async fn round(world: &World, scale: &Scale, kind: Kind, waiting: usize) -> Result<Waiting> {
    let books = world.books(kind).await?;
    let mut queue = Queue::new(world, &books, STEPS).await?;
    queue.fill(waiting).await?;
    queue.settle().await?;
    let database = Database::open(&Address::parse(&books.url)?).await?;
    let place = places(&mut queue, &database, scale, waiting).await?;
    let (asked, accepted) = door(world, &books, scale, waiting).await?;
    let claim = claims(&mut queue, &database, scale).await?;
    database.close().await;
    Ok(Waiting {
        place,
        claim,
        asked,
        accepted,
    })
}

/// Numbers of so many copies, over the whole queue.
fn spread(scale: &Scale, waiting: usize) -> impl Iterator<Item = usize> {
    // A prime, so that they lie all over.
    (0..scale.claims).map(move |number| number * 7919 % waiting)
}

async fn places(
    queue: &mut Queue,
    database: &Database,
    scale: &Scale,
    waiting: usize,
) -> Result<Times> {
    let mut places = Vec::new();
    for number in spread(scale, waiting) {
        let place = sqlx::query_as("SELECT turn, sequence FROM jobs WHERE id = $1")
            .bind(Queue::copy(number).1)
            .fetch_one(&mut queue.connection);
        let (turn, sequence) = place.await?;
        places.push(Place { turn, sequence });
    }
    // Beside requests, and in memory from there on.
    let line = database.line().await?;
    let mut times = Vec::new();
    for place in places {
        let begun = Instant::now();
        let counted = database.waiting_before(place).await?;
        let before = counted.unwrap_or_else(|| line.before(place));
        times.push(begun.elapsed());
        ensure!(before == line.before(place), "{before:?}");
    }
    Ok(Times::new(times))
}

async fn claims(queue: &mut Queue, database: &Database, scale: &Scale) -> Result<Times> {
    let mut times = Vec::new();
    while times.len() < scale.claims {
        for _ in 0..TAKEN {
            times.push(claim(database).await?);
        }
        queue.fill(TAKEN).await?;
    }
    Ok(Times::new(times))
}

/// Claims a job as a worker does.
async fn claim(database: &Database) -> Result<Duration> {
    let begun = Instant::now();
    let now = database.now().await?;
    let claim = database.claim("bench", 0, now).await?;
    let time = begun.elapsed();
    match claim.context("the queue is empty")? {
        Claim::Job(_) => Ok(time),
        other => bail!("{other:?}"),
    }
}

/// Asking after jobs that wait, and handing in more, while an engine is at work.
async fn door(
    world: &World,
    books: &Books,
    scale: &Scale,
    waiting: usize,
) -> Result<(Times, Times)> {
    let (_origin, door) = world.origin(books, Setup::of(STANDS)).await?;
    let copies: Vec<_> = spread(scale, waiting).map(Queue::copy).collect();
    let (account, id) = copies.first().context("a job")?;
    door.job(account, id).await?;
    let asked = load(1, copies.len(), async |number| {
        let (account, id) = &copies[number];
        let job = door.job(account, id).await?;
        ensure!(job["id"] == id.as_str(), "another job");
        Ok(())
    });
    let asked = asked.await?.times;
    let accepted = load(1, scale.claims / 2, async |number| {
        let (account, _) = Queue::copy(number);
        // No two of one recipe, so that none joins another.
        door.generate(&account, number + 1, STEPS, Prefer::Async)
            .await
    });
    Ok((asked, accepted.await?.times))
}
