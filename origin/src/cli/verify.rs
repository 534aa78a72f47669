//! `darkroom verify`

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::Args;
use darkroom_origin::config::settings;
use darkroom_origin::encode::encode;
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
    /// What computes: auto, cpu or gpu
    #[arg(long, env = settings::DEVICE.name, default_value = settings::DEVICE.default)]
    device: DeviceKind,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Says what a file says of itself; fails where it does not say that a model made it, or where it is
/// to be made again and comes out otherwise.
pub fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let name = args.file.display();
    let file = fs::read(&args.file)
        .with_context(|| format!("`{name}` cannot be read"))
        .map_err(Failure::Input)?;
    let found = provenance::read(&file).with_context(|| format!("`{name}` cannot be checked"))?;
    let hash = found.recipe.as_ref().map(Recipe::hash).transpose();
    let hash = hash.context("the recipe cannot be written")?;
    let again = args.rerun.then(|| is_made_again(args, &found, &file));
    let same = again.transpose()?;
    if args.json {
        print::json(&json!({
            "file": args.file,
            "marked": found.is_marked,
            "recipe": found.recipe,
            "recipe_sha256": hash,
            "same": same,
        }))?;
    } else {
        print::text(&text(&found, hash.as_deref(), same)?)?;
    }
    if !found.is_marked {
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

fn text(found: &Provenance, hash: Option<&str>, same: Option<bool>) -> Result<String, Failure> {
    let yes = |yes| if yes { "yes" } else { "no" };
    let recipe = found.recipe.as_ref().map(serde_json::to_string).transpose();
    let recipe = recipe.context("the recipe cannot be written")?;
    let mut rows = vec![
        ["made by a model", yes(found.is_marked)],
        ["recipe", recipe.as_deref().unwrap_or("not in the file")],
    ];
    rows.extend(hash.map(|hash| ["recipe's SHA-256", hash]));
    rows.extend(same.map(|same| ["made again the same", yes(same)]));
    let rows: Vec<_> = rows.iter().map(|row| row.map(str::to_owned)).collect();
    Ok(print::table(&rows))
}

/// Whether the recipe makes this very file.
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
    if (&model.revision, &model.engine) != (&recipe.revision, &recipe.engine) {
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
    Ok(again == file)
}
