//! `darkroom images`: what an account does with its images, from a terminal.

mod change;
mod table;

use clap::{Args, Subcommand};
use darkroom_shared::job::{Generated, Image, ListedImage};
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Failure;
use super::edge::{Edge, EdgeArgs, Subject, read};

const API_KEY: &str = "DARKROOM_API_KEY";

const IMAGES: Subject = Subject {
    key_variable: API_KEY,
    scope: "generate",
    forbidden: "do this with images",
    missing: "image: `darkroom images list` shows which there are, `--deleted` those that can be restored",
};

/// What `darkroom images` takes.
#[derive(Debug, Args)]
pub struct ImagesArgs {
    #[command(flatten)]
    edge: EdgeArgs,
    /// A key with the scopes `generate` and, to list images, `read`; better in the environment, where others do not see it
    #[arg(long, global = true, value_name = "KEY", env = API_KEY, hide_env_values = true)]
    api_key: Option<SecretString>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List images, newest first
    List {
        /// Deleted ones that can be restored
        #[arg(long)]
        deleted: bool,
    },
    /// Show what is known of an image
    Show {
        /// The image's id
        id: Uuid,
    },
    /// List what an image was made anew of, and what was made anew of it
    Versions {
        /// The image's id
        id: Uuid,
    },
    /// Make an image anew, with another seed unless told
    Regenerate(change::RegenerateArgs),
    /// Delete an image; it can be restored for a while
    Delete {
        /// The image's id
        id: Uuid,
    },
    /// Take a deletion back
    Restore {
        /// The image's id
        id: Uuid,
    },
}

/// Asks the edge, and prints what it answers.
pub fn run(args: &ImagesArgs) -> Result<(), Failure> {
    let answer = async |edge: &Edge| answer(edge, &args.command).await;
    args.edge.ask(args.api_key.as_ref(), &IMAGES, answer)
}

/// The answer, for programs and for people.
async fn answer(edge: &Edge, command: &Command) -> Result<(Value, String), Failure> {
    let image = match command {
        Command::List { deleted } => return list(edge, "/api/images", *deleted).await,
        Command::Versions { id } => {
            return list(edge, &format!("/api/images/{id}/versions"), false).await;
        }
        Command::Regenerate(args) => {
            let path = format!("/api/images/{}/regenerate", args.id);
            let made = edge.post(&path, &args.body()).await?;
            let text = table::generated(&read::<Generated>(&made)?);
            return Ok((made, text));
        }
        Command::Delete { id } => {
            edge.delete(&format!("/api/images/{id}")).await?;
            let text = format!(
                "the image {id} is deleted; `darkroom images restore {id}` takes that back, for as \
                 long as the origin keeps it\n"
            );
            return Ok((json!({ "id": id.to_string(), "deleted": true }), text));
        }
        Command::Show { id } => edge.get(&format!("/api/images/{id}")).await?,
        Command::Restore { id } => {
            let path = format!("/api/images/{id}/restore");
            edge.post(&path, &json!({})).await?
        }
    };
    let text = table::image(&read::<Image>(&image)?);
    Ok((image, text))
}

async fn list(edge: &Edge, path: &str, deleted: bool) -> Result<(Value, String), Failure> {
    let given = [("deleted", deleted.then_some("true"))];
    let items = Value::Array(edge.list(path, &given).await?);
    let images: Vec<ListedImage> = read(&items)?;
    Ok((json!({ "items": items }), table::list(&images)))
}
