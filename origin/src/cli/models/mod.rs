//! `darkroom models`: the folders that models lie in, checked and fetched.
//!
//! A folder's `SHA256SUMS`, as `sha256sum` writes it, says which files belong to a model: `verify`
//! checks them, and `pull` fetches what it names from beside it.

mod pull;
mod sums;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use darkroom_origin::config::settings::MODEL;
use darkroom_origin::engine::revision;
use serde::Serialize;
use serde_json::json;

use super::runtime::block_on;
use super::{Failure, print};

/// What `darkroom models` takes.
#[derive(Debug, Args)]
pub struct ModelsArgs {
    /// Print the answer as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the models in a folder
    List {
        /// Where they lie, each in a folder of its own
        folder: PathBuf,
    },
    /// Check a model's files against its SHA256SUMS, and tell its revision
    Verify {
        /// The model's folder
        #[arg(env = MODEL.name, default_value = MODEL.default)]
        folder: PathBuf,
    },
    /// Fetch a model; what is there already is kept, what was broken off goes on
    Pull {
        /// Where its SHA256SUMS is, and its files beside it
        url: String,
        /// The folder that it becomes
        folder: PathBuf,
        /// What SHA256SUMS itself must be, where its server is not to be believed
        #[arg(long, value_name = "HEX")]
        sha256: Option<String>,
    },
}

#[derive(Serialize)]
struct Found {
    name: String,
    bytes: u64,
    /// Whether it says what belongs to it.
    sums: bool,
}

/// Does as told, and prints.
pub fn run(args: &ModelsArgs) -> Result<(), Failure> {
    match &args.command {
        Command::List { folder } => {
            let found = list(folder)?;
            if args.json {
                return print::json(&json!({ "items": found }));
            }
            let mut rows = vec![["name", "bytes", "SHA256SUMS"].map(str::to_owned)];
            rows.extend(found.into_iter().map(|model| {
                let sums = if model.sums { "yes" } else { "no" };
                [model.name, model.bytes.to_string(), sums.to_owned()]
            }));
            print::text(&print::table(&rows))
        }
        Command::Verify { folder } => checked(args, folder, verify(folder)?),
        Command::Pull {
            url,
            folder,
            sha256,
        } => {
            block_on(pull::pull(url, folder, sha256.as_deref()))?;
            checked(args, folder, verify(folder)?)
        }
    }
}

fn checked(args: &ModelsArgs, folder: &Path, files: usize) -> Result<(), Failure> {
    let revision = revision(folder).map_err(anyhow::Error::new)?;
    if args.json {
        let answer = json!({ "folder": folder, "files": files, "revision": revision });
        return print::json(&answer);
    }
    print::text(&format!(
        "{files} files are as they should be\nrevision {revision}\n"
    ))
}

fn list(folder: &Path) -> Result<Vec<Found>, Failure> {
    let cannot = || format!("`{}` cannot be listed", folder.display());
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).with_context(cannot);
    for entry in entries.map_err(Failure::Input)? {
        let path = entry.with_context(cannot)?.path();
        if path.join("model_index.json").is_file() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            found.push(Found {
                name: name.into_owned(),
                bytes: size(&path).with_context(cannot)?,
                sums: path.join(sums::NAME).is_file(),
            });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn size(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // Links are followed: caches of models are full of them.
        let metadata = fs::metadata(&path)?;
        bytes += if metadata.is_dir() {
            size(&path)?
        } else {
            metadata.len()
        };
    }
    Ok(bytes)
}

/// Checks every file, and says how many there are.
fn verify(folder: &Path) -> Result<usize, Failure> {
    let path = folder.join(sums::NAME);
    let text = fs::read_to_string(&path)
        .with_context(|| {
            let path = path.display();
            format!("`{path}` cannot be read: `sha256sum` writes one")
        })
        .map_err(Failure::Input)?;
    let sums = sums::parse(&text).map_err(Failure::Input)?;
    let mut wrong = Vec::new();
    for sum in &sums {
        match sums::digest(&folder.join(&sum.path)) {
            Ok(found) if found == sum.sha256 => {}
            Ok(_) => wrong.push(format!("`{}` has other bytes", sum.path)),
            Err(error) => wrong.push(format!("`{}` cannot be read ({error})", sum.path)),
        }
    }
    if wrong.is_empty() {
        return Ok(sums.len());
    }
    Err(Failure::Run(anyhow!(
        "{} of {} files are not as they should be, `darkroom models pull` fetches them:\n  {}",
        wrong.len(),
        sums.len(),
        wrong.join("\n  ")
    )))
}
