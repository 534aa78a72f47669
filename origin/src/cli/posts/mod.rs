//! `darkroom posts`: what an account does with its posts, from a terminal.

mod create;
mod table;

use clap::{Args, Subcommand};
use darkroom_shared::posts::slug::is_slug;
use darkroom_shared::posts::{Post, PostStatus};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::Failure;
use super::edge::{Edge, EdgeArgs, Subject, read};

const API_KEY: &str = "DARKROOM_API_KEY";

const POSTS: Subject = Subject {
    key_variable: API_KEY,
    scope: "posts:write",
    forbidden: "write posts",
    missing: "post: `darkroom posts list` shows which there are",
};

/// What `darkroom posts` takes.
#[derive(Debug, Args)]
pub struct PostsArgs {
    #[command(flatten)]
    edge: EdgeArgs,
    /// A key with the scope `posts:write`; better in the environment, where others do not see it
    #[arg(long, global = true, value_name = "KEY", env = API_KEY, hide_env_values = true)]
    api_key: Option<SecretString>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List posts, newest first
    List(ListArgs),
    /// Show a post
    Show {
        /// The post's slug
        slug: String,
    },
    /// Make a post
    Create(create::CreateArgs),
    /// Show a post to everybody
    Publish {
        /// The post's slug
        slug: String,
    },
    /// Delete a post; it can be restored
    Delete {
        /// The post's slug
        slug: String,
    },
    /// Take a deletion back
    Restore {
        /// The post's slug
        slug: String,
    },
}

/// Which posts.
#[derive(Debug, Args)]
struct ListArgs {
    /// draft, published or archived
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Option<PostStatus>,
    /// With this tag
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// With all of these words
    #[arg(long, value_name = "WORDS")]
    search: Option<String>,
    /// Your deleted ones
    #[arg(long)]
    deleted: bool,
}

/// Asks the edge, and prints what it answers.
pub fn run(args: &PostsArgs) -> Result<(), Failure> {
    let answer = async |edge: &Edge| answer(edge, &args.command).await;
    args.edge.ask(args.api_key.as_ref(), &POSTS, answer)
}

/// The answer, for programs and for people.
async fn answer(edge: &Edge, command: &Command) -> Result<(Value, String), Failure> {
    let post = match command {
        Command::List(args) => return list(edge, args).await,
        Command::Delete { slug } => {
            edge.delete(&path_of(slug)?).await?;
            let text = format!(
                "the post {slug} is deleted; `darkroom posts restore {slug}` takes that back\n"
            );
            return Ok((json!({ "slug": slug, "deleted": true }), text));
        }
        Command::Show { slug } => edge.get(&path_of(slug)?).await?,
        Command::Create(args) => edge.post("/api/posts", &args.body()?).await?,
        Command::Publish { slug } => {
            let body = json!({ "status": PostStatus::Published });
            edge.patch(&path_of(slug)?, &body).await?
        }
        Command::Restore { slug } => {
            let path = format!("{}/restore", path_of(slug)?);
            edge.post(&path, &json!({})).await?
        }
    };
    let text = table::post(&read(&post)?);
    Ok((post, text))
}

async fn list(edge: &Edge, args: &ListArgs) -> Result<(Value, String), Failure> {
    let given = [
        ("status", args.status.map(PostStatus::as_str)),
        ("tag", args.tag.as_deref()),
        ("q", args.search.as_deref()),
        ("deleted", args.deleted.then_some("true")),
    ];
    let items = Value::Array(edge.list("/api/posts", &given).await?);
    let posts: Vec<Post> = read(&items)?;
    Ok((json!({ "items": items }), table::list(&posts)))
}

fn path_of(slug: &str) -> Result<String, Failure> {
    if is_slug(slug) {
        return Ok(format!("/api/posts/{slug}"));
    }
    Err(Failure::Input(anyhow::anyhow!(
        "`{slug}` is no post's slug: `darkroom posts list` shows them"
    )))
}

fn status(text: &str) -> Result<PostStatus, String> {
    PostStatus::parse(text.trim()).ok_or_else(|| {
        let names: Vec<_> = PostStatus::ALL.iter().map(|one| one.as_str()).collect();
        format!("there are {}", names.join(", "))
    })
}
