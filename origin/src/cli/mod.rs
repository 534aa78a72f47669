//! The commands. Each is a file; this one says which there are and how they end.

mod bench;
mod completions;
mod database;
mod doctor;
mod edge;
mod flags;
mod generate;
mod images;
mod jobs;
mod keys;
mod lock;
mod migrate;
mod models;
mod openapi;
mod parity;
mod posts;
mod print;
mod reconcile;
mod runtime;
mod serve;
mod settings;
mod verify;
mod webhooks;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use darkroom_origin::config::settings::CONFIG;

/// Makes pictures from words.
#[derive(Debug, Parser)]
#[command(name = "darkroom", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service behind the edge
    Serve {
        /// Configuration file (TOML)
        #[arg(long, value_name = "FILE", env = CONFIG.name)]
        config: Option<OsString>,
        #[command(flatten)]
        settings: flags::SettingFlags,
    },
    /// Make one picture, with no service and no database
    Generate(generate::GenerateArgs),
    /// Measure how long each stage of a picture takes on this machine
    Bench(bench::BenchArgs),
    /// Create, list, rotate and revoke the edge's keys
    Keys(keys::KeysArgs),
    /// Compare the store with the database: pictures that no image has, images without a picture
    Reconcile {
        /// Configuration file (TOML)
        #[arg(long, value_name = "FILE", env = CONFIG.name)]
        config: Option<OsString>,
        #[command(flatten)]
        what: reconcile::ReconcileArgs,
        #[command(flatten)]
        settings: flags::SettingFlags,
    },
    /// List, show, make anew, delete and restore images
    Images(images::ImagesArgs),
    /// List, show, create, publish, delete and restore posts
    Posts(posts::PostsArgs),
    /// List, show, cancel and retry all accounts' jobs
    Jobs(jobs::JobsArgs),
    /// Bring the database's tables up to date
    Migrate(migrate::MigrateArgs),
    /// List, verify and fetch models
    Models(models::ModelsArgs),
    /// Check whether a service would work here, and say what to do where not
    Doctor(doctor::DoctorArgs),
    /// Say what a picture says of itself, and whether its recipe makes it
    Verify(verify::VerifyArgs),
    /// Compare the engine with reference tensors
    Parity(parity::ParityArgs),
    /// Print what makes a shell complete this command's words
    Completions {
        /// bash, elvish, fish, powershell or zsh
        shell: clap_complete::Shell,
    },
    /// Print what describes the edge's API to programs (`OpenAPI`)
    Openapi,
    /// Print every setting as a Markdown table
    Settings(settings::SettingsArgs),
    /// Show what webhooks are signed with and were told, and tell them again
    Webhooks(webhooks::WebhooksArgs),
}

/// How a command failed: by what it was given, or by what happened.
#[derive(Debug)]
enum Failure {
    /// Exit code 2, like a flag that does not exist.
    Input(anyhow::Error),
    /// Exit code 1.
    Run(anyhow::Error),
}

impl Failure {
    /// Wrong input.
    fn input(error: impl Into<anyhow::Error>) -> Self {
        Self::Input(error.into())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Run(error)
    }
}

/// Runs the command that this process was called with.
pub fn run() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve { config, settings } => {
            // An empty value is none, as everywhere.
            let config = config.filter(|path| !path.is_empty());
            serve::run(config.as_deref().map(Path::new), settings)
        }
        Command::Generate(args) => generate::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Reconcile {
            config,
            what,
            settings,
        } => {
            let config = config.filter(|path| !path.is_empty());
            reconcile::run(config.as_deref().map(Path::new), &what, settings)
        }
        Command::Keys(args) => keys::run(&args),
        Command::Images(args) => images::run(&args),
        Command::Posts(args) => posts::run(&args),
        Command::Parity(args) => parity::run(&args),
        Command::Jobs(args) => jobs::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Models(args) => models::run(&args),
        Command::Migrate(args) => migrate::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Completions { shell } => completions::run(shell),
        Command::Openapi => openapi::run(),
        Command::Settings(args) => settings::run(&args),
        Command::Webhooks(args) => webhooks::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Input(error)) => report(&error, 2),
        Err(Failure::Run(error)) => report(&error, 1),
    }
}

/// Says what went wrong, with its causes.
fn report(error: &anyhow::Error, code: u8) -> ExitCode {
    // With standard error gone there is nobody left to tell; the exit code still does.
    drop(writeln!(io::stderr(), "error: {error:#}"));
    ExitCode::from(code)
}
