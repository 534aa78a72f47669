//! Many calls, so many at a time.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::figures::Times;

/// What became of a load.
pub struct Load<T> {
    /// What was answered, in no order.
    pub answers: Vec<T>,
    /// How long each call took.
    pub times: Times,
    /// How long all of them took.
    pub span: Duration,
}

impl<T> Load<T> {
    /// Calls a second.
    pub fn rate(&self) -> f64 {
        self.answers.len() as f64 / self.span.as_secs_f64()
    }
}

/// Makes `count` calls, `callers` at a time; the first that fails ends it.
pub async fn load<T>(
    callers: usize,
    count: usize,
    call: impl AsyncFn(usize) -> Result<T>,
) -> Result<Load<T>> {
    let call = &call;
    let begun = Instant::now();
    let done: Vec<(T, Duration)> = stream::iter(0..count)
        .map(|number| async move {
            let begun = Instant::now();
            let answer = call(number).await?;
            anyhow::Ok((answer, begun.elapsed()))
        })
        .buffer_unordered(callers)
        .try_collect()
        .await?;
    let span = begun.elapsed();
    ensure!(done.len() == count, "{} of {count} calls", done.len());
    let (answers, times) = done.into_iter().unzip();
    Ok(Load {
        answers,
        times: Times::new(times),
        span,
    })
}
