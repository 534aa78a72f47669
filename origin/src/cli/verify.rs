//! `darkroom verify`

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;
use darkroom_credentials::{Anchors, Report, Standing};
use darkroom_origin::config::settings;
use darkroom_origin::encode::{encode, is_signed, unsigned};
use darkroom_origin::engine::{Engine as _, SdxlEngine};
use darkroom_origin::provenance::{self, Provenance};
use darkroom_sdxl::DeviceKind;
use darkroom_shared::recipe::Recipe;
use serde_json::json;

use super::{Failure, print};

/// What `darkroom verify` takes.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The picture
    file: PathBuf,
    /// Make the picture again by its recipe, and compare
    #[arg(long)]
    rerun: bool,
    /// Folder of the SDXL model to make it again with
    #[arg(long, value_name = "FOLDER", env = settings::MODEL.name, default_value = settings::MODEL.default)]
    model: PathBuf,
    /// Certificates (PEM) of those whom signers of content credentials must be vouched for by
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// What computes: auto, cpu or gpu
    #[arg(long, env = settings::DEVICE.name, default_value = settings::DEVICE.default)]
    device: DeviceKind,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Says what a file says of itself; fails where it does not say that a model made it, where its
/// content credentials are broken or their signer is not trusted as it must be, and where it is to be
/// made again and comes out otherwise.
pub fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let name = args.file.display();
    let file = fs::read(&args.file)
        .with_context(|| format!("`{name}` cannot be read"))
        .map_err(Failure::Input)?;
    let found = provenance::read(&file).with_context(|| format!("`{name}` cannot be checked"))?;
    let anchors = args.trust.as_deref().map(read_anchors).transpose()?;
    let credentials =
        darkroom_credentials::read(&file, found.format.content_type(), anchors.as_ref())
            .with_context(|| format!("`{name}` cannot be checked"))?;
    // What was changed says nothing any more.
    let is_by_model = |report: &Report| report.is_by_model && report.standing != Standing::Broken;
    let is_marked = found.is_marked || credentials.as_ref().is_some_and(is_by_model);
    let hash = found.recipe.as_ref().map(Recipe::hash).transpose();
    let hash = hash.context("the recipe cannot be written")?;
    let again = args.rerun.then(|| is_made_again(args, &found, &file));
    let same = again.transpose()?;
    if args.json {
        print::json(&json!({
            "file": args.file,
            "marked": is_marked,
            "credentials": credentials,
            "recipe": found.recipe,
            "recipe_sha256": hash,
            "same": same,
        }))?;
    } else {
        let mut rows = vec![("made by a model", yes(is_marked).to_owned())];
        rows.extend(credentials_rows(credentials.as_ref()));
        rows.extend(recipe_rows(&found, hash)?);
        rows.extend(same.map(|same| ("made again the same", yes(same).to_owned())));
        let rows: Vec<_> = rows
            .into_iter()
            .map(|(what, is)| [what.to_owned(), is])
            .collect();
        print::text(&print::table(&rows))?;
    }
    let standing = credentials.as_ref().map(|report| report.standing);
    if standing == Some(Standing::Broken) {
        return Err(Failure::Run(anyhow!(
            "the content credentials of `{name}` are broken: it was changed since it was signed, or \
             never was signed well"
        )));
    }
    if standing == Some(Standing::Expired) {
        return Err(Failure::Run(anyhow!(
            "the content credentials of `{name}` are intact, but their signer's certificate is over, \
             and nobody has certified when they were signed"
        )));
    }
    if args.trust.is_some() && standing != Some(Standing::Trusted) {
        return Err(Failure::Run(anyhow!(
            "`{name}` was signed by nobody whom --trust names"
        )));
    }
    if !is_marked {
        return Err(Failure::Run(anyhow!(
            "`{name}` does not say that a model made it"
        )));
    }
    match same {
        Some(false) => Err(Failure::Run(anyhow!(
            "`{name}` is not what its recipe makes here: it was changed, or made on another device"
        ))),
        _ => Ok(()),
    }
}

/// What a row is about, and what is so.
type Row = (&'static str, String);

fn yes(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

fn read_anchors(path: &Path) -> Result<Anchors, Failure> {
    let wrong = || format!("--trust names `{}`", path.display());
    let pem = fs::read_to_string(path)
        .with_context(|| format!("{}, which cannot be read", wrong()))
        .map_err(Failure::Input)?;
    let anchors = Anchors::from_pem(pem);
    anchors.with_context(wrong).map_err(Failure::Input)
}

fn credentials_rows(report: Option<&Report>) -> Vec<Row> {
    let Some(report) = report else {
        return vec![("content credentials", "none".to_owned())];
    };
    let standing = match report.standing {
        Standing::Trusted => "valid, and their signer is trusted",
        Standing::Valid => "valid; their signer is on no list of trusted ones",
        Standing::Expired => "intact; their signer's certificate is over",
        Standing::Broken => "broken",
    };
    let mut rows = vec![("content credentials", standing.to_owned())];
    for failure in &report.failures {
        let failed = match &failure.explanation {
            Some(words) => format!("{} ({words})", failure.check),
            None => failure.check.clone(),
        };
        rows.push(("failed check", failed));
    }
    rows.extend(report.signer.clone().map(|signer| ("signed by", signer)));
    rows.extend(report.generator.clone().map(|by| ("written by", by)));
    rows
}

fn recipe_rows(found: &Provenance, hash: Option<String>) -> Result<Vec<Row>, Failure> {
    let recipe = found.recipe.as_ref().map(serde_json::to_string).transpose();
    let recipe = recipe.context("the recipe cannot be written")?;
    let recipe = recipe.unwrap_or_else(|| "not in the file".to_owned());
    let mut rows = vec![("recipe", recipe)];
    rows.extend(hash.map(|hash| ("recipe's SHA-256", hash)));
    Ok(rows)
}

/// Whether the recipe makes this very file, or where it is signed, these very pixels.
fn is_made_again(args: &VerifyArgs, found: &Provenance, file: &[u8]) -> Result<bool, Failure> {
    let recipe = found
        .recipe
        .as_ref()
        .ok_or_else(|| Failure::Run(anyhow!("the file holds no recipe to make it again by")))?;
    if recipe.init_image.is_some() {
        return Err(Failure::Run(anyhow!(
            "the recipe begins with a picture, of which it has the digest alone"
        )));
    }
    let engine = SdxlEngine::open(&args.model, args.device).map_err(anyhow::Error::new)?;
    let model = engine.model();
    // Files are signed once they are made.
    let made_by = (recipe.revision.as_str(), unsigned(&recipe.engine));
    if (model.revision.as_str(), model.engine.as_str()) != made_by {
        return Err(Failure::Run(anyhow!(
            "the picture was made with {} of revision {} ({}); --model names one of revision {} ({})",
            recipe.model,
            recipe.revision,
            recipe.engine,
            model.revision,
            model.engine
        )));
    }
    let picture = engine
        .generate(recipe, None, &mut |_| ControlFlow::Continue(()))
        .context("the picture cannot be made again")?;
    let again = encode(&picture, recipe).context("the picture cannot be encoded")?;
    if is_signed(&recipe.engine) {
        return Ok(pixels(&again)? == pixels(file)?);
    }
    Ok(again == file)
}

fn pixels(file: &[u8]) -> Result<image::RgbImage, Failure> {
    let picture = image::load_from_memory(file).context("the picture cannot be decoded")?;
    Ok(picture.into_rgb8())
}
