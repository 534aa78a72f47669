//! A LoRA's file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::adapters::LowRank;
use super::metadata::Metadata;
use super::names::{self, Network, Role, aliases};
use crate::LoadError;
use crate::weights::{SafetensorsFile, to_f32};

/// Additions to the layers of one model, on its device.
#[derive(Clone, Debug)]
pub struct Lora {
    path: PathBuf,
    networks: BTreeMap<Network, BTreeMap<String, LowRank>>,
}

/// The layers that additions may be for, and where they go.
pub(crate) struct LoraTarget<'a> {
    pub unet: TargetLayers<'a>,
    /// Layers of each of the UNet's levels.
    pub unet_layers: Vec<usize>,
    pub text_encoder: Option<TargetLayers<'a>>,
    pub text_encoder_2: Option<TargetLayers<'a>>,
}

/// One network's tensors.
pub(crate) struct TargetLayers<'a> {
    pub shapes: Vec<(String, Vec<usize>)>,
    pub device: &'a Device,
    pub dtype: DType,
}

/// The tensors of one layer, as the file has them.
#[derive(Default)]
struct Found {
    down: Option<String>,
    up: Option<String>,
    alpha: Option<String>,
}

impl Lora {
    /// Reads a file and matches it with a model's layers.
    ///
    /// # Errors
    /// [`LoadError::ExtraTensors`] for layers that the model does not have,
    /// [`LoadError::Shape`] and [`LoadError::MissingTensor`] for additions that do not fit,
    /// [`LoadError::Unsupported`] for other kinds of additions.
    pub(crate) fn open(path: &Path, target: &LoraTarget<'_>) -> Result<Self, LoadError> {
        let file = SafetensorsFile::open(path)?;
        let metadata = Metadata::read(&file)?;
        let mut layers: BTreeMap<(Network, String), Found> = BTreeMap::new();
        let mut strangers = Vec::new();
        let tables = Tables::new(target);
        for name in file.names() {
            let Some((layer, role)) = names::split(name) else {
                return Err(LoadError::Unsupported {
                    path: path.to_owned(),
                    what: format!("`{name}`, which is none of LoRA's down, up and alpha,"),
                });
            };
            let (network, layer) = names::network(&layer);
            let Some(layer) = tables.find(network, layer) else {
                strangers.push(name.to_owned());
                continue;
            };
            let found = layers.entry((network, layer.to_owned())).or_default();
            let slot = match role {
                Role::Down => &mut found.down,
                Role::Up => &mut found.up,
                Role::Alpha => &mut found.alpha,
            };
            *slot = Some(name.to_owned());
        }
        if !strangers.is_empty() {
            return Err(LoadError::ExtraTensors {
                path: path.to_owned(),
                names: strangers,
            });
        }
        let mut networks: BTreeMap<Network, BTreeMap<String, LowRank>> = BTreeMap::new();
        for ((network, layer), found) in layers {
            let addition = Reader {
                file: &file,
                target: target.of(network),
                scale: metadata.scale(network),
            }
            .addition(&layer, &found)?;
            networks.entry(network).or_default().insert(layer, addition);
        }
        Ok(Self {
            path: path.to_owned(),
            networks,
        })
    }

    /// The file it came from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn unet(&self) -> &BTreeMap<String, LowRank> {
        self.network(Network::Unet)
    }

    /// `second` is the second text encoder.
    pub(crate) fn text_encoder(&self, second: bool) -> &BTreeMap<String, LowRank> {
        self.network(if second {
            Network::TextEncoder2
        } else {
            Network::TextEncoder
        })
    }

    fn network(&self, network: Network) -> &BTreeMap<String, LowRank> {
        static NONE: BTreeMap<String, LowRank> = BTreeMap::new();
        self.networks.get(&network).unwrap_or(&NONE)
    }
}

impl<'a> LoraTarget<'a> {
    fn of(&self, network: Network) -> Option<&TargetLayers<'a>> {
        match network {
            Network::Unet => Some(&self.unet),
            Network::TextEncoder => self.text_encoder.as_ref(),
            Network::TextEncoder2 => self.text_encoder_2.as_ref(),
        }
    }
}

/// Names by network.
struct Tables<'a>(BTreeMap<Network, std::collections::HashMap<String, &'a str>>);

impl<'a> Tables<'a> {
    fn new(target: &'a LoraTarget<'_>) -> Self {
        let all = [Network::Unet, Network::TextEncoder, Network::TextEncoder2];
        let table = |network| {
            let layers = target.of(network)?.shapes.iter();
            let layers = layers.filter_map(|(name, _)| name.strip_suffix(".weight"));
            Some((network, aliases(network, layers, &target.unet_layers)))
        };
        Self(all.into_iter().filter_map(table).collect())
    }

    fn find(&self, network: Network, layer: &str) -> Option<&'a str> {
        self.0.get(&network)?.get(layer).copied()
    }
}

struct Reader<'a> {
    file: &'a SafetensorsFile,
    target: Option<&'a TargetLayers<'a>>,
    /// alpha ÷ rank where a layer's tensors do not say it.
    scale: f64,
}

impl Reader<'_> {
    fn addition(&self, layer: &str, found: &Found) -> Result<LowRank, LoadError> {
        let weight = self.layer_shape(layer);
        let [output, input, kernel @ ..] = &weight[..] else {
            return Err(self.missing(layer, "a matrix to add to"));
        };
        let kernel = kernel.first().copied().unwrap_or(1);
        let (Some(down), Some(up)) = (&found.down, &found.up) else {
            return Err(self.missing(layer, "its other half"));
        };
        let rank = self
            .file
            .entry(down)
            .and_then(|entry| entry.shape.first().copied());
        let rank = rank.unwrap_or(0).max(1);
        let scale = match &found.alpha {
            None => self.scale,
            Some(alpha) => {
                let values = self.values(alpha)?;
                let alpha = values.first().copied().unwrap_or(rank as f32);
                f64::from(alpha) / rank as f64
            }
        };
        Ok(LowRank {
            down: self.tensor(down, [rank, *input, kernel, kernel])?,
            up: self.tensor(up, [*output, rank, 1, 1])?,
            scale,
        })
    }

    fn layer_shape(&self, layer: &str) -> Vec<usize> {
        let name = format!("{layer}.weight");
        let shapes = self
            .target
            .map(|target| &target.shapes[..])
            .unwrap_or_default();
        let found = shapes.iter().find(|(found, _)| *found == name);
        found.map(|(_, shape)| shape.clone()).unwrap_or_default()
    }

    fn missing(&self, layer: &str, what: &str) -> LoadError {
        LoadError::Unsupported {
            path: self.file.path().to_owned(),
            what: format!("an addition to `{layer}` without {what}"),
        }
    }

    fn values(&self, name: &str) -> Result<Vec<f32>, LoadError> {
        let entry = self.file.entry(name);
        let values = entry.and_then(|entry| to_f32(entry.dtype, &self.file.bytes(entry)));
        let values = values.ok_or_else(|| LoadError::Type {
            path: self.file.path().to_owned(),
            name: name.to_owned(),
            found: format!("{:?}", entry.map(|entry| entry.dtype)),
        })?;
        if values.iter().all(|value| value.is_finite()) {
            return Ok(values);
        }
        Err(LoadError::NotFinite {
            path: self.file.path().to_owned(),
            name: name.to_owned(),
            dtype: "F32".to_owned(),
        })
    }

    /// A factor as four dimensions, whether the file has it as two or as four.
    fn tensor(&self, name: &str, shape: [usize; 4]) -> Result<Tensor<4>, LoadError> {
        let found = self
            .file
            .entry(name)
            .map(|entry| entry.shape.clone())
            .unwrap_or_default();
        let fits = found == shape || (shape[2..] == [1, 1] && found == shape[..2]);
        let Some(target) = self.target.filter(|_| fits) else {
            return Err(LoadError::Shape {
                path: self.file.path().to_owned(),
                name: name.to_owned(),
                expected: shape.to_vec(),
                found,
            });
        };
        let data = TensorData::new(self.values(name)?, shape);
        Ok(Tensor::<4>::from_data(data, (target.device, DType::F32)).cast(target.dtype))
    }
}
