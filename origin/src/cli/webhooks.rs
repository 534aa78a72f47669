//! `darkroom webhooks`: what an account's webhooks are signed with and were told.

use std::fmt::Write as _;

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use darkroom_shared::job::Page;
use darkroom_shared::timestamp::to_rfc3339;
use darkroom_shared::webhook::{Attempt, AttemptError, Delivery};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::Failure;
use super::edge::{Edge, EdgeArgs, Subject, read};

const API_KEY: &str = "DARKROOM_API_KEY";

const WEBHOOKS: Subject = Subject {
    key_variable: API_KEY,
    scope: "generate",
    forbidden: "do that",
    missing: "delivery: `darkroom webhooks list` shows which there are",
};

/// What `darkroom webhooks` takes.
#[derive(Debug, Args)]
pub struct WebhooksArgs {
    #[command(flatten)]
    edge: EdgeArgs,
    /// A key of the account; better in the environment, where others do not see it
    #[arg(long, global = true, value_name = "KEY", env = API_KEY, hide_env_values = true)]
    api_key: Option<SecretString>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the secret that webhooks are signed with
    Secret {
        /// Make a new one; the one before signs as well for a day
        #[arg(long)]
        rotate: bool,
    },
    /// List what was told, newest first
    List {
        /// How many, 1 to 100
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: u32,
    },
    /// Tell an event again
    Resend {
        /// The delivery's id, as `list` shows it
        id: String,
    },
}

/// Asks the edge, and prints what it answers.
pub fn run(args: &WebhooksArgs) -> Result<(), Failure> {
    let answer = async |edge: &Edge| answer(edge, &args.command).await;
    args.edge.ask(args.api_key.as_ref(), &WEBHOOKS, answer)
}

/// The answer, for programs and for people.
async fn answer(edge: &Edge, command: &Command) -> Result<(Value, String), Failure> {
    match command {
        Command::Secret { rotate } => {
            let path = "/api/webhooks/secret";
            let answer = if *rotate {
                edge.post(path, &json!({})).await?
            } else {
                edge.get(path).await?
            };
            let secret = answer.get("secret").and_then(Value::as_str);
            let text = format!("{}\n", secret.context("the edge's answer holds no secret")?);
            Ok((answer, text))
        }
        Command::List { limit } => {
            let path = format!("/api/webhooks/deliveries?limit={limit}");
            let answer = edge.get(&path).await?;
            let page: Page<Delivery> = read(&answer)?;
            Ok((answer, table(&page.items)))
        }
        Command::Resend { id } => {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if id.is_empty() || !id.bytes().all(is_plain) {
                return Err(Failure::Input(anyhow!(
                    "`{id}` is no delivery's id: `darkroom webhooks list` shows them"
                )));
            }
            let path = format!("/api/webhooks/deliveries/{id}/resend");
            edge.post(&path, &json!({})).await?;
            let text = format!("{id} is sent again\n");
            Ok((json!({ "id": id, "resent": true }), text))
        }
    }
}

/// A line for each delivery, and one for each attempt below it.
fn table(deliveries: &[Delivery]) -> String {
    if deliveries.is_empty() {
        return "Nothing was told: no job with a `webhook_url` has ended yet.\n".to_owned();
    }
    let mut text = String::new();
    for delivery in deliveries {
        let (at, id) = (to_rfc3339(delivery.created_at), &delivery.id);
        let (state, job, url) = (delivery.state.as_str(), &delivery.job_id, &delivery.url);
        writeln!(text, "{at}  {id}  {state:9}  job {job}  {url}").expect("a String takes any text");
        for Attempt { at, status, error } in &delivery.attempts {
            let status = status.map(|status| status.to_string());
            let outcome = status.as_deref().or(error.map(AttemptError::as_str));
            let (at, outcome) = (to_rfc3339(*at), outcome.unwrap_or("no answer"));
            writeln!(text, "  {at}  {outcome}").expect("a String takes any text");
        }
    }
    text
}
