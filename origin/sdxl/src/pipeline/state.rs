//! Latents and runs outside the device: to be handed to another model, to be gone on with later.

use std::collections::VecDeque;

use burn::tensor::{DType, Device, Tensor, TensorData};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::picture::read;
use crate::RunError;
use crate::scheduler::{History, MEMORY};

/// Latents, scaled as the denoiser has them.
#[derive(Clone, Debug, PartialEq)]
pub struct Latents {
    /// `[batch, channels, height / 8, width / 8]`
    pub shape: [usize; 4],
    /// As many as the shape says.
    pub values: Vec<f32>,
}

impl Latents {
    pub(crate) fn from_tensor(x: Tensor<4>) -> Result<Self, RunError> {
        Ok(Self {
            shape: x.dims(),
            values: read(x)?,
        })
    }

    /// Whether there are as many values as the shape says.
    pub(crate) fn is_whole(&self) -> bool {
        self.values.len() == self.shape.iter().product::<usize>()
    }

    pub(crate) fn to_tensor(&self, device: &Device) -> Tensor<4> {
        let data = TensorData::new(self.values.clone(), self.shape);
        Tensor::from_data(data, (device, DType::F32))
    }
}

/// A run between two steps: all that it takes to go on, to the same bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct RunState {
    /// Which of the run's pictures, from 0.
    pub image: u32,
    /// Evaluations of the UNet that are done.
    pub done: usize,
    latents: Latents,
    memos: Vec<Latents>,
    anchor: Option<Latents>,
    noise: Option<Latents>,
}

/// A state's tensors on the device.
#[derive(Clone, Debug)]
pub(crate) struct Resumed {
    pub latents: Tensor<4>,
    pub history: History,
    /// The last noise that was drawn.
    pub noise: Option<Tensor<4>>,
}

impl Resumed {
    /// A run that has only begun.
    pub fn new(latents: Tensor<4>) -> Self {
        Self {
            latents,
            history: History::default(),
            noise: None,
        }
    }
}

impl RunState {
    pub(super) fn save(image: u32, done: usize, run: &Resumed) -> Result<Self, RunError> {
        let keep = |x: &Option<Tensor<4>>| x.clone().map(Latents::from_tensor).transpose();
        let memos = run.history.memos.iter().cloned();
        Ok(Self {
            image,
            done,
            latents: Latents::from_tensor(run.latents.clone())?,
            memos: memos.map(Latents::from_tensor).collect::<Result<_, _>>()?,
            anchor: keep(&run.history.anchor)?,
            noise: keep(&run.noise)?,
        })
    }

    pub(super) fn resume(&self, device: &Device) -> Resumed {
        let back = |x: &Latents| x.to_tensor(device);
        Resumed {
            latents: back(&self.latents),
            history: History {
                memos: self.memos.iter().map(back).collect::<VecDeque<_>>(),
                anchor: self.anchor.as_ref().map(back),
            },
            noise: self.noise.as_ref().map(back),
        }
    }

    pub(super) fn shape(&self) -> [usize; 4] {
        self.latents.shape
    }

    /// As a safetensors file.
    ///
    /// # Errors
    /// [`RunError::State`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, RunError> {
        let place = format!("{} {}", self.image, self.done);
        let metadata = [("darkroom-run".to_owned(), place)].into();
        let named = self.named();
        let bytes: Vec<(String, [usize; 4], Vec<u8>)> = named
            .into_iter()
            .map(|(name, latents)| {
                let bytes = latents
                    .values
                    .iter()
                    .flat_map(|v| v.to_le_bytes())
                    .collect();
                (name, latents.shape, bytes)
            })
            .collect();
        let views = bytes
            .iter()
            .map(|(name, shape, bytes)| {
                let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes);
                view.map(|view| (name.as_str(), view))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| RunError::State(error.to_string()))?;
        safetensors::serialize(views, Some(metadata))
            .map_err(|error| RunError::State(error.to_string()))
    }

    /// What [`RunState::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`RunError::State`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RunError> {
        let wrong = |what: String| RunError::State(what);
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| wrong(e.to_string()))?;
        let place = header
            .metadata()
            .as_ref()
            .and_then(|all| all.get("darkroom-run"));
        let place = place.and_then(|place| place.split_once(' '));
        let (Some(image), Some(done)) = (
            place.and_then(|(image, _)| image.parse().ok()),
            place.and_then(|(_, done)| done.parse().ok()),
        ) else {
            return Err(wrong(
                "it does not say which picture and step it is of".to_owned(),
            ));
        };
        let file = SafeTensors::deserialize(bytes).map_err(|e| wrong(e.to_string()))?;
        let latents = |name: &str| -> Result<Option<Latents>, RunError> {
            let Ok(view) = file.tensor(name) else {
                return Ok(None);
            };
            let shape = view
                .shape()
                .try_into()
                .ok()
                .filter(|_| view.dtype() == Dtype::F32);
            let shape = shape.ok_or_else(|| wrong(format!("`{name}` is of another form")))?;
            let (values, _) = view.data().as_chunks::<4>();
            Ok(Some(Latents {
                shape,
                values: values.iter().map(|v| f32::from_le_bytes(*v)).collect(),
            }))
        };
        let mut memos = Vec::new();
        for i in 0..MEMORY {
            memos.extend(latents(&format!("memo_{i}"))?);
        }
        let state = Self {
            image,
            done,
            latents: latents("latents")?.ok_or_else(|| wrong("`latents` is missing".to_owned()))?,
            memos,
            anchor: latents("anchor")?,
            noise: latents("noise")?,
        };
        let odd = state
            .named()
            .into_iter()
            .find(|(_, x)| x.shape != state.shape());
        match odd {
            Some((name, _)) => Err(wrong(format!("`{name}` has another shape than `latents`"))),
            None => Ok(state),
        }
    }

    fn named(&self) -> Vec<(String, &Latents)> {
        let mut named = vec![("latents".to_owned(), &self.latents)];
        let memos = self.memos.iter().enumerate();
        named.extend(memos.map(|(i, memo)| (format!("memo_{i}"), memo)));
        named.extend(
            self.anchor
                .iter()
                .map(|anchor| ("anchor".to_owned(), anchor)),
        );
        named.extend(self.noise.iter().map(|noise| ("noise".to_owned(), noise)));
        named
    }
}
