//! `darkroom jobs`: the operator's view of all accounts' jobs, straight from the database, whether
//! a service runs or not.

mod table;

use anyhow::{Error, anyhow};
use clap::{Args, Subcommand, value_parser};
use darkroom_origin::addresses::Addresses;
use darkroom_origin::clock;
use darkroom_origin::config::settings::PUBLIC_URL;
use darkroom_origin::database::{Changed, Database, JobFilter};
use darkroom_shared::job::Status;
use serde_json::json;

use super::database::SourceArgs;
use super::runtime::block_on;
use super::{Failure, print};

/// What `darkroom jobs` takes.
#[derive(Debug, Args)]
pub struct JobsArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Print the answer as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List jobs, newest first
    List {
        /// Only those of one status: queued, running, succeeded, failed, canceled
        #[arg(long, value_parser = status)]
        status: Option<Status>,
        /// Only those of one account
        #[arg(long)]
        account: Option<String>,
        /// Only those handed in before this one
        #[arg(long, value_name = "ID")]
        before: Option<String>,
        /// How many
        #[arg(long, value_name = "NUMBER", default_value = "20", value_parser = value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Show one job, its recipe and its images
    Show {
        /// The job's id
        id: String,
    },
    /// Cancel a job, for all who share it
    Cancel {
        /// The job's id
        id: String,
    },
    /// Queue a job again that has failed or was canceled
    Retry {
        /// The job's id
        id: String,
    },
}

fn status(name: &str) -> Result<Status, String> {
    let wrong = || "write queued, running, succeeded, failed or canceled".to_owned();
    Status::parse(name).ok_or_else(wrong)
}

/// Looks, or acts, and prints.
pub fn run(args: &JobsArgs) -> Result<(), Failure> {
    block_on(async {
        let database = args.source.open().await?;
        let done = answer(args, &database).await;
        database.close().await;
        done
    })
}

async fn answer(args: &JobsArgs, database: &Database) -> Result<(), Failure> {
    match &args.command {
        Command::List {
            status,
            account,
            before,
            limit,
        } => {
            let filter = JobFilter {
                status: *status,
                account: account.clone(),
                before: before.clone(),
            };
            let page = database.all_jobs(&filter, *limit).await;
            let page = page.map_err(Error::new)?;
            if args.json {
                print::json(&page)
            } else {
                print::text(&table::list(&page))
            }
        }
        Command::Show { id } => {
            // Where the edge is does not matter here: each image has its key, too.
            let addresses = Addresses::edge(PUBLIC_URL.default);
            let job = database.any_job(id, &addresses).await.map_err(Error::new)?;
            let job = job.ok_or_else(|| unknown(id))?;
            if args.json {
                print::json(&job)
            } else {
                print::text(&table::show(&job)?)
            }
        }
        Command::Cancel { id } => {
            let changed = database.cancel_any(id, clock::now()).await;
            changed_to(args, id, changed.map_err(Error::new)?, Status::Canceled)
        }
        Command::Retry { id } => {
            let changed = database.retry_any(id, clock::now()).await;
            changed_to(args, id, changed.map_err(Error::new)?, Status::Queued)
        }
    }
}

fn changed_to(args: &JobsArgs, id: &str, changed: Changed, status: Status) -> Result<(), Failure> {
    let status = status.as_str();
    match changed {
        Changed::Done if args.json => print::json(&json!({ "id": id, "status": status })),
        Changed::Done => print::text(&format!("the job {id} is {status}\n")),
        Changed::Unknown => Err(unknown(id)),
        Changed::Status(found) => Err(Failure::Run(anyhow!(
            "the job {id} is {}, and cannot become {status}",
            found.as_str()
        ))),
        Changed::StartGone => Err(Failure::Run(anyhow!(
            "the job {id} begins with a picture, which is kept only until a job ends: its caller \
             has to ask again"
        ))),
    }
}

fn unknown(id: &str) -> Failure {
    Failure::Run(anyhow!(
        "there is no job `{id}`: `darkroom jobs list` shows them"
    ))
}
