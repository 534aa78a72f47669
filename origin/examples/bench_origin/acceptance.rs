//! Handing jobs in and asking after them, while the engine is at work.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::door::{Prefer, id};
use crate::figures::{line, median, millis, title};
use crate::load::{Load, load};
use crate::process::Usage;
use crate::scale::Scale;
use crate::world::{Kind, Setup, World};

const CALLERS: usize = 16;
const STEP: Duration = Duration::from_millis(20);
const STEPS: usize = 20;
/// As many accounts hand in.
const ACCOUNTS: usize = 50;

/// What a round found.
struct Round {
    accepted: Figures,
    asked: Figures,
    /// Requests a second that are answered with nothing to do.
    alive: f64,
    /// This process's share of a processor while it handed in.
    share: f64,
}

struct Figures {
    rate: f64,
    half: f64,
    most: f64,
}

impl Figures {
    fn of<T>(load: &Load<T>) -> Self {
        let [half, most] = [50, 99].map(|percent| millis(load.times.percentile(percent)));
        let rate = load.rate();
        Self { rate, half, most }
    }
}

pub async fn measure(world: &World, scale: &Scale) -> Result<()> {
    title(format_args!(
        "Handing in and asking, {CALLERS} requests at once ({} of each, median of {}), jobs of 0.4 s being made",
        scale.requests, scale.rounds
    ));
    for &kind in world.kinds() {
        let mut rounds = Vec::new();
        for _ in 0..scale.rounds {
            rounds.push(round(world, scale, kind).await?);
        }
        let middle = |what: fn(&Round) -> f64| median(&rounds.iter().map(what).collect::<Vec<_>>());
        let row = |name: &str, [rate, half, most]: [fn(&Round) -> f64; 3]| {
            let [rate, half, most] = [rate, half, most].map(middle);
            line(
                format_args!("{kind}: {name}"),
                format_args!("{rate:.0} a second; {half:.1}, {most:.1} ms"),
            );
        };
        row(
            "accepted (Prefer: respond-async)",
            [
                |it| it.accepted.rate,
                |it| it.accepted.half,
                |it| it.accepted.most,
            ],
        );
        row(
            "asked after (GET /api/jobs/{id})",
            [|it| it.asked.rate, |it| it.asked.half, |it| it.asked.most],
        );
        line(
            "  the asking side, where nothing is to be done",
            format_args!(
                "{:.0} a second; while handing in it took {:.0} % of one thread",
                middle(|it| it.alive),
                100.0 * middle(|it| it.share)
            ),
        );
    }
    Ok(())
}

async fn round(world: &World, scale: &Scale, kind: Kind) -> Result<Round> {
    let books = world.books(kind).await?;
    let (_origin, door) = world.origin(&books, Setup::of(STEP)).await?;
    let account = |number: usize| format!("account-{}", number % ACCOUNTS);
    let alive = load(CALLERS, scale.requests, async |_| door.alive().await).await?;
    let before = Usage::own().cpu()?;
    let accepted = load(CALLERS, scale.requests, async |number| {
        let account = account(number);
        let job = door
            .generate(&account, number, STEPS, Prefer::Async)
            .await?;
        Ok((account, id(&job)?))
    })
    .await?;
    let share = (Usage::own().cpu()? - before) / accepted.span.as_secs_f64();
    let asked = load(CALLERS, scale.requests, async |number| {
        let (account, id) = &accepted.answers[number];
        let job = door.job(account, id).await?;
        ensure!(job["id"] == id.as_str(), "another job");
        Ok(())
    })
    .await?;
    Ok(Round {
        accepted: Figures::of(&accepted),
        asked: Figures::of(&asked),
        alive: alive.rate(),
        share,
    })
}
