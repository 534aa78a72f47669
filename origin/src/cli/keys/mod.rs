//! `darkroom keys`: what an admin does with the edge's keys, from a terminal.

mod create;
mod table;

use clap::{Args, Subcommand};
use darkroom_shared::keys::Key;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::Failure;
use super::edge::{Edge, EdgeArgs, Subject, read};

const ADMIN_KEY: &str = "DARKROOM_ADMIN_KEY";

const KEYS: Subject = Subject {
    key_variable: ADMIN_KEY,
    scope: "admin",
    forbidden: "manage keys",
    missing: "key: `darkroom keys list` shows which there are",
};

/// What `darkroom keys` takes.
#[derive(Debug, Args)]
pub struct KeysArgs {
    #[command(flatten)]
    edge: EdgeArgs,
    /// A key with the scope `admin`; better in the environment, where others do not see it
    #[arg(long, global = true, value_name = "KEY", env = ADMIN_KEY, hide_env_values = true)]
    admin_key: Option<SecretString>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key; its text is shown this one time
    Create(create::CreateArgs),
    /// List all keys, oldest first
    List,
    /// Give a key a new text, shown this one time
    Rotate {
        /// The key's id
        id: String,
        /// How long the text before goes on working, as 90, 15m, 12h or 7d
        #[arg(long, value_name = "TIME", value_parser = create::seconds)]
        grace: Option<u64>,
    },
    /// End a key for good
    Revoke {
        /// The key's id
        id: String,
    },
}

/// Asks the edge, and prints what it answers.
pub fn run(args: &KeysArgs) -> Result<(), Failure> {
    let answer = async |edge: &Edge| answer(edge, &args.command).await;
    args.edge.ask(args.admin_key.as_ref(), &KEYS, answer)
}

/// The answer, for programs and for people.
async fn answer(edge: &Edge, command: &Command) -> Result<(Value, String), Failure> {
    match command {
        Command::Create(args) => {
            let issued = edge.post("/api/keys", &args.body()).await?;
            let text = table::issued(&issued)?;
            Ok((issued, text))
        }
        Command::List => {
            let items = Value::Array(edge.list("/api/keys", &[]).await?);
            let keys: Vec<Key> = read(&items)?;
            Ok((json!({ "items": items }), table::list(&keys)))
        }
        Command::Rotate { id, grace } => {
            let body = grace.map_or_else(|| json!({}), |grace| json!({ "grace_seconds": grace }));
            let path = format!("{}/rotate", path_of(id)?);
            let issued = edge.post(&path, &body).await?;
            let text = table::issued(&issued)?;
            Ok((issued, text))
        }
        Command::Revoke { id } => {
            edge.delete(&path_of(id)?).await?;
            let text = format!("the key {id} is revoked\n");
            Ok((json!({ "id": id, "revoked": true }), text))
        }
    }
}

fn path_of(id: &str) -> Result<String, Failure> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if id.is_empty() || !id.bytes().all(is_plain) {
        return Err(Failure::Input(anyhow::anyhow!(
            "`{id}` is no key's id: `darkroom keys list` shows them"
        )));
    }
    Ok(format!("/api/keys/{id}"))
}
