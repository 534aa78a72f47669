//! Jobs for people to read. Lists hold no words of callers: they are read over shoulders.

use anyhow::Context as _;
use darkroom_origin::database::AccountJob;
use darkroom_shared::job::Page;
use darkroom_shared::timestamp::to_rfc3339;

use super::Failure;
use crate::cli::print;

const HEAD: [&str; 6] = ["id", "status", "steps", "created", "account", "cause"];

/// A line each, and how to see more.
pub fn list(page: &Page<AccountJob>) -> String {
    if page.items.is_empty() {
        return "There are no such jobs.\n".to_owned();
    }
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(page.items.iter().map(cells));
    let table = print::table(&rows);
    match &page.next_cursor {
        Some(cursor) => format!("{table}\nmore: --before {cursor}\n"),
        None => table,
    }
}

fn cells(AccountJob { account, job, .. }: &AccountJob) -> [String; HEAD.len()] {
    let error = job.error.as_ref();
    [
        job.id.clone(),
        job.status.as_str().to_owned(),
        format!("{}/{}", job.progress.step, job.progress.steps),
        to_rfc3339(job.created_at),
        account.clone(),
        error.map_or("-", |error| error.code.as_str()).to_owned(),
    ]
}

/// One job, a line for each thing that is known of it.
pub fn show(shown: &AccountJob) -> Result<String, Failure> {
    let job = &shown.job;
    let recipe = serde_json::to_string(&job.recipe).context("the recipe cannot be written")?;
    let mut rows = vec![
        ("id", job.id.clone()),
        ("status", job.status.as_str().to_owned()),
        ("account", shown.account.clone()),
        (
            "steps",
            format!("{}/{}", job.progress.step, job.progress.steps),
        ),
        ("attempts", shown.attempts.to_string()),
        ("created", to_rfc3339(job.created_at)),
    ];
    let optional = [
        ("task", job.task_id.clone()),
        ("machine", shown.machine.clone()),
        ("started", job.started_at.map(to_rfc3339)),
        ("finished", job.finished_at.map(to_rfc3339)),
        (
            "cause",
            job.error
                .as_ref()
                .map(|error| format!("{}: {}", error.code.as_str(), error.message)),
        ),
    ];
    rows.extend(
        optional
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    rows.push(("recipe", recipe));
    rows.extend(job.images.iter().map(|image| ("image", image.key.clone())));
    let rows: Vec<_> = rows
        .into_iter()
        .map(|(name, value)| [name.to_owned(), value])
        .collect();
    Ok(print::table(&rows))
}
