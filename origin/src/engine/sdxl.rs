//! The real engine: a Stable Diffusion XL pipeline loaded from a folder.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use darkroom_sdxl::scheduler::Steps;
use darkroom_sdxl::{
    DeviceKind, LoadError, LoadOptions, Mask, NUMERICS, Pipeline, Run, RunError, RunState, StepDone,
};
use darkroom_shared::limits::LIMITS;
use darkroom_shared::model::{Defaults, Model};
use darkroom_shared::recipe::Recipe;
use darkroom_shared::request::{Format, MaskChannel};
use sha2::{Digest as _, Sha256};

use super::texts::Texts;
use super::{Engine, EngineError, Picture, RevisionError, Start, Step, revision};
use crate::encode::{FILES, FILES_WITHOUT_RECIPE, FORMATS, SIGNED};

/// Says what a model is called where its folder's name is not it: `{"name": "…"}`.
const NAME_FILE: &str = "darkroom.json";

/// A loaded model on a device.
#[derive(Debug)]
pub struct SdxlEngine {
    pipeline: Pipeline,
    model: Model,
    texts: Texts,
    /// A digest of what the first step of the warm-up came to, to the last bit.
    probe: OnceLock<String>,
}

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The weights or the configuration.
    #[error("the model in `{}` cannot be loaded", folder.display())]
    Load {
        /// The model's folder.
        folder: PathBuf,
        /// What the engine says.
        source: LoadError,
    },
    /// The digest of its files.
    #[error(transparent)]
    Revision(#[from] RevisionError),
    /// Its name.
    #[error("`{}` must be a JSON object with a text `name`", path.display())]
    Name {
        /// The file.
        path: PathBuf,
        /// What was wrong, where the parser can say it.
        source: Option<serde_json::Error>,
    },
    /// The folder.
    #[error("the model folder `{}` cannot be read", folder.display())]
    Folder {
        /// The model's folder.
        folder: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
}

impl SdxlEngine {
    /// Loads the model in `folder` (diffusers layout).
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(folder: &Path, device: DeviceKind) -> Result<Self, OpenError> {
        let name = model_name(folder)?;
        // Both read every weight; side by side they read it from the disk once.
        let (pipeline, revision) = std::thread::scope(|scope| {
            let digest = scope.spawn(|| revision(folder));
            let options = LoadOptions {
                device,
                ..LoadOptions::default()
            };
            let pipeline = Pipeline::load(folder, options);
            let digest = digest
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (pipeline, digest)
        });
        let pipeline = pipeline.map_err(|source| OpenError::Load {
            folder: folder.to_owned(),
            source,
        })?;
        let defaults = pipeline.defaults();
        let model = Model {
            name,
            revision: revision?,
            engine: format!("{NUMERICS}{FILES}"),
            default: true,
            defaults: Defaults {
                width: defaults.width,
                height: defaults.height,
                steps: defaults.steps,
                guidance_scale: defaults.guidance_scale,
                scheduler: defaults.scheduler,
            },
            schedulers: Pipeline::SCHEDULERS
                .iter()
                .map(ToString::to_string)
                .collect(),
            formats: FORMATS.to_vec(),
            loras: Vec::new(),
            limits: LIMITS,
        };
        Ok(Self {
            pipeline,
            model,
            texts: Texts::default(),
            probe: OnceLock::new(),
        })
    }

    /// The same engine, whose recipes keep themselves out of the files.
    #[must_use]
    pub fn without_recipes_in_files(mut self) -> Self {
        self.model.engine = format!("{NUMERICS}{FILES_WITHOUT_RECIPE}");
        self
    }

    /// The same engine, whose files are signed.
    #[must_use]
    pub fn with_signed_files(mut self) -> Self {
        self.model.engine.push_str(SIGNED);
        self
    }

    /// The device, in words.
    #[must_use]
    pub fn device(&self) -> String {
        self.pipeline.device()
    }

    /// Makes a picture out of words, and says how long each stage took. It waits for the device
    /// after each, as [`Engine::generate`] does not.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn time(&self, recipe: &Recipe) -> Result<(Picture, StageTimes), EngineError> {
        let begun = Instant::now();
        let mut times = StageTimes::default();
        let mut last = begun;
        // Its words too are encoded anew each time.
        let run = self.run_without_start(recipe);
        let pictures = self.pipeline.run(&run, &mut |done| {
            if times.steps.is_empty() {
                times.text = done.prepared.duration_since(begun);
                last = done.prepared;
            }
            // What fails here fails again, and is told, when the picture is read.
            drop(done.sync());
            times.steps.push(last.elapsed());
            last = Instant::now();
            ControlFlow::Continue(())
        });
        times.decode = last.elapsed();
        Ok((only(pictures)?, times))
    }
}

/// How long each stage of a picture took.
#[derive(Clone, Debug, Default)]
pub struct StageTimes {
    /// Everything before the first step: the prompt above all.
    pub text: Duration,
    /// Each step.
    pub steps: Vec<Duration>,
    /// From the last step to pixels.
    pub decode: Duration,
}

impl Engine for SdxlEngine {
    fn model(&self) -> Model {
        self.model.clone()
    }

    fn generate(
        &self,
        recipe: &Recipe,
        start: Option<&Start>,
        on_step: &mut dyn FnMut(&Step<'_>) -> ControlFlow<()>,
    ) -> Result<Picture, EngineError> {
        let run = self.run(recipe, start)?;
        let pictures = self.pipeline.run(&run, &mut |done| told(done, on_step));
        only(pictures)
    }

    fn prepare(&self, recipe: &Recipe) -> Result<(), EngineError> {
        let run = self.run_without_start(recipe);
        self.texts.of(&self.pipeline, &run).map_err(failure)?;
        Ok(())
    }

    /// Its probe tells apart what a device's name does not: processors, drivers, kernels that were
    /// picked by their speed.
    fn numbers(&self) -> Option<String> {
        let probe = self.probe.get()?;
        let (revision, device) = (&self.model.revision, self.device());
        Some(format!("{NUMERICS} {revision} {device} {probe}"))
    }

    fn resume(
        &self,
        recipe: &Recipe,
        start: Option<&Start>,
        state: &[u8],
        on_step: &mut dyn FnMut(&Step<'_>) -> ControlFlow<()>,
    ) -> Result<Picture, EngineError> {
        let state = RunState::from_bytes(state).map_err(failure)?;
        let run = self.run(recipe, start)?;
        let pictures = self
            .pipeline
            .resume(&run, &state, &mut |done| told(done, on_step));
        only(pictures)
    }

    fn warm_up(&self) -> Result<(), EngineError> {
        let defaults = &self.model.defaults;
        let recipe = Recipe {
            prompt: "a warm-up".to_owned(),
            negative_prompt: None,
            width: defaults.width,
            height: defaults.height,
            steps: 1,
            guidance_scale: defaults.guidance_scale,
            scheduler: defaults.scheduler.clone(),
            seed: 0,
            model: self.model.name.clone(),
            revision: self.model.revision.clone(),
            engine: self.model.engine.clone(),
            format: Format::Png,
            jpeg_quality: None,
            init_image: None,
            mask: None,
            mask_channel: MaskChannel::default(),
            strength: None,
        };
        let mut probe = None;
        self.generate(&recipe, None, &mut |step| {
            probe = Some((step.state)());
            ControlFlow::Continue(())
        })?;
        if let Some(state) = probe {
            let digest = hex::encode(Sha256::digest(state?));
            self.probe.get_or_init(|| digest);
        }
        Ok(())
    }
}

impl SdxlEngine {
    /// A recipe in the engine's own terms, with its texts.
    fn run(&self, recipe: &Recipe, start: Option<&Start>) -> Result<Run, EngineError> {
        let mut run = self.run_without_start(recipe);
        run.start = begin(recipe, start)?;
        run.text = Some(self.texts.of(&self.pipeline, &run).map_err(failure)?);
        Ok(run)
    }

    fn run_without_start(&self, recipe: &Recipe) -> Run {
        let mut run = Run {
            negative_prompt: recipe.negative_prompt.clone(),
            width: recipe.width,
            height: recipe.height,
            steps: Steps::Count(recipe.steps as usize),
            scheduler: recipe.scheduler.clone(),
            seed: recipe.seed,
            ..self.pipeline.defaults().run(&recipe.prompt)
        };
        run.guidance.scale = recipe.guidance_scale;
        run
    }
}

/// Tells of a step in the service's terms.
fn told(
    done: &StepDone<'_>,
    on_step: &mut dyn FnMut(&Step<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    on_step(&Step {
        done: done.step,
        steps: done.steps,
        prepared: done.prepared,
        preview: &|| done.preview().map(picture_of).map_err(failure),
        state: &|| {
            let state = done.state().map_err(failure)?;
            state.to_bytes().map_err(failure)
        },
    })
}

/// The picture of a run of one.
fn only(pictures: Result<Vec<darkroom_sdxl::Picture>, RunError>) -> Result<Picture, EngineError> {
    let picture = pictures.map_err(failure)?.into_iter().next();
    let picture = picture.ok_or_else(|| EngineError::Failed("no picture was made".into()))?;
    Ok(picture_of(picture))
}

fn picture_of(picture: darkroom_sdxl::Picture) -> Picture {
    Picture {
        width: picture.width,
        height: picture.height,
        rgb: picture.rgb,
    }
}

fn failure(error: RunError) -> EngineError {
    match error {
        RunError::Canceled => EngineError::Canceled,
        RunError::Invalid { field, message } => EngineError::Invalid {
            field: field.to_owned(),
            message,
        },
        RunError::State(why) => EngineError::State(why),
        other => EngineError::Failed(Box::new(other)),
    }
}

/// What a run begins with, in the engine's own terms.
fn begin(recipe: &Recipe, start: Option<&Start>) -> Result<darkroom_sdxl::Start, EngineError> {
    match (start, recipe.strength) {
        (None, None) => Ok(darkroom_sdxl::Start::Noise),
        (Some(Start { image, mask }), Some(strength)) => {
            let image = darkroom_sdxl::Picture {
                width: image.width,
                height: image.height,
                rgb: image.rgb.clone(),
            };
            Ok(match mask.clone() {
                None => darkroom_sdxl::Start::Image { image, strength },
                Some(values) => darkroom_sdxl::Start::Inpaint {
                    mask: Mask {
                        width: image.width,
                        height: image.height,
                        values,
                    },
                    image,
                    strength,
                },
            })
        }
        _ => Err(EngineError::Failed(
            "the picture that the run begins with is not there".into(),
        )),
    }
}

/// The name in [`NAME_FILE`], or else the folder's own.
fn model_name(folder: &Path) -> Result<String, OpenError> {
    let path = folder.join(NAME_FILE);
    match fs::read(&path) {
        Ok(bytes) => {
            let value: serde_json::Value =
                serde_json::from_slice(&bytes).map_err(|source| OpenError::Name {
                    path: path.clone(),
                    source: Some(source),
                })?;
            let name = value["name"].as_str().filter(|name| !name.is_empty());
            name.map(ToOwned::to_owned)
                .ok_or(OpenError::Name { path, source: None })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // `.` and `..` have no name of their own: ask the file system what they are.
            let whole = fs::canonicalize(folder).map_err(|source| OpenError::Folder {
                folder: folder.to_owned(),
                source,
            })?;
            Ok(whole.file_name().map_or_else(
                || "model".to_owned(),
                |name| name.to_string_lossy().into_owned(),
            ))
        }
        Err(source) => Err(OpenError::Folder {
            folder: folder.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_called_by_its_file_or_its_folder() {
        let folder = tempfile::tempdir().expect("folder");
        let model = folder.path().join("tiny");
        fs::create_dir(&model).expect("folder");
        assert_eq!(model_name(&model).expect("name"), "tiny");
        fs::write(model.join(NAME_FILE), r#"{"name":"sdxl-base"}"#).expect("written");
        assert_eq!(model_name(&model).expect("name"), "sdxl-base");
        fs::write(model.join(NAME_FILE), r#"{"name":5}"#).expect("written");
        assert!(matches!(model_name(&model), Err(OpenError::Name { .. })));
    }
}
