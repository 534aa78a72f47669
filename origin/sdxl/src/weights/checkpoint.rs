//! Where each of a part's tensors lies.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::DType;
use safetensors::Dtype;
use serde::Deserialize;

use super::file::{Region, SafetensorsFile};
use super::json::read_json;
use crate::LoadError;

/// The tensors of one part of a model (UNet, VAE, a text encoder), by diffusers' names.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    /// The file, or the index of the shards: what errors name.
    path: PathBuf,
    files: Arc<[SafetensorsFile]>,
    places: BTreeMap<String, Place>,
}

/// Where a tensor lies.
#[derive(Debug)]
pub(super) struct Place {
    /// Among the files.
    pub file: usize,
    /// What the file calls it.
    pub name: String,
    pub cut: Cut,
}

/// Which part of a stored tensor is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// All of it.
    Whole,
    /// One third of its rows: queries, keys and values stored as one matrix.
    Third(usize),
    /// All of it, rows and columns exchanged.
    Transposed,
}

/// A tensor as it lies in its file.
pub(super) struct Stored {
    pub path: PathBuf,
    pub name: String,
    pub dtype: Dtype,
    /// After the cut.
    pub shape: Vec<usize>,
    pub region: Region,
    pub is_transposed: bool,
}

/// `*.safetensors.index.json`.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// What a part's weights are called, without what tells f16 variants and shards apart.
const STEMS: [&str; 2] = ["diffusion_pytorch_model", "model"];

impl Checkpoint {
    /// Opens the weights in a part's folder (`unet/`, `vae/`, …), as diffusers or transformers
    /// name them: one file or shards with an index. Where there are two variants, the one whose
    /// type is `wanted` is taken.
    ///
    /// # Errors
    /// [`LoadError::NoWeights`], [`LoadError::Read`], [`LoadError::Config`],
    /// [`LoadError::Safetensors`], [`LoadError::MissingTensor`] for a name of the index that its
    /// shard lacks.
    pub fn open_folder(folder: &Path, wanted: DType) -> Result<Self, LoadError> {
        let names = names(wanted == DType::F16);
        let found = names
            .iter()
            .map(|name| folder.join(name))
            .find(|path| path.is_file());
        match found {
            Some(path) if path.extension().is_some_and(|e| e == "json") => Self::open_shards(&path),
            Some(path) => Self::open(&path),
            None => Err(LoadError::NoWeights {
                folder: folder.to_owned(),
                looked_for: names.join(", "),
            }),
        }
    }

    /// Opens one file with diffusers' names.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        let file = SafetensorsFile::open(path)?;
        let places = file.names().map(|name| (name.to_owned(), whole(0, name)));
        let places = places.collect();
        Ok(Self::new(path.to_owned(), Arc::new([file]), places))
    }

    fn open_shards(index: &Path) -> Result<Self, LoadError> {
        let Index { weight_map } = read_json(index)?;
        let folder = index.parent().unwrap_or(Path::new("."));
        let names: BTreeSet<&String> = weight_map.values().collect();
        let mut files = Vec::new();
        for name in &names {
            // A shard lies beside its index: no checkpoint has a say in what else is opened.
            if Path::new(name).file_name() != Some(name.as_ref()) {
                return Err(LoadError::Unsupported {
                    path: index.to_owned(),
                    what: format!("the shard `{name}`, which is no plain file name,"),
                });
            }
            files.push(SafetensorsFile::open(&folder.join(name))?);
        }
        let mut places = BTreeMap::new();
        for (i, (file, name)) in files.iter().zip(&names).enumerate() {
            for tensor in file.names() {
                // What the index does not list is kept, to be reported as nobody's.
                if weight_map.get(tensor).is_none_or(|shard| shard == *name) {
                    places.insert(tensor.to_owned(), whole(i, tensor));
                }
            }
        }
        if let Some((name, shard)) = weight_map
            .iter()
            .find(|(name, _)| !places.contains_key(*name))
        {
            return Err(LoadError::MissingTensor {
                path: folder.join(shard),
                name: name.clone(),
                expected: Vec::new(),
            });
        }
        Ok(Self::new(index.to_owned(), files.into(), places))
    }

    pub(super) fn new(
        path: PathBuf,
        files: Arc<[SafetensorsFile]>,
        places: BTreeMap<String, Place>,
    ) -> Self {
        Self {
            path,
            files,
            places,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes its tensors have, as they are stored.
    pub fn bytes(&self) -> u64 {
        self.places
            .keys()
            .filter(|name| !is_buffer(name))
            .filter_map(|name| self.find(name))
            .map(|stored| stored.region.len() as u64)
            .sum()
    }

    /// Every tensor's name and shape.
    pub fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let shape = |name: &String| Some((name.clone(), self.find(name)?.shape));
        self.places.keys().filter_map(shape).collect()
    }

    pub fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    pub(super) fn find(&self, name: &str) -> Option<Stored> {
        let place = self.places.get(name)?;
        let file = self.files.get(place.file)?;
        let entry = file.entry(&place.name)?;
        let stored = |shape, region| Stored {
            path: file.path().to_owned(),
            name: place.name.clone(),
            dtype: entry.dtype,
            shape,
            region,
            is_transposed: place.cut == Cut::Transposed,
        };
        let (mut shape, mut region) = (entry.shape.clone(), file.region(entry));
        match place.cut {
            Cut::Whole => {}
            Cut::Third(third) => {
                if !shape.first().is_some_and(|rows| rows.is_multiple_of(3)) {
                    // Whole, which is no shape that anybody asks for.
                    return Some(stored(shape, region));
                }
                shape[0] /= 3;
                let length = region.len() / 3;
                region = region.slice(third * length..(third + 1) * length);
            }
            Cut::Transposed => shape.reverse(),
        }
        Some(stored(shape, region))
    }

    /// Whether every tensor was asked for.
    ///
    /// # Errors
    /// [`LoadError::ExtraTensors`] for those that `taken` lacks.
    pub(super) fn none_left<T>(&self, taken: &BTreeMap<String, T>) -> Result<(), LoadError> {
        let mut left = self
            .places
            .iter()
            .filter(|(name, _)| !is_buffer(name))
            .filter(|(name, _)| !taken.contains_key(*name))
            .map(|(_, place)| place)
            .peekable();
        let Some(file) = left.peek().and_then(|place| self.files.get(place.file)) else {
            return Ok(());
        };
        Err(LoadError::ExtraTensors {
            path: file.path().to_owned(),
            names: left.map(|place| place.name.clone()).collect(),
        })
    }
}

/// A buffer that older transformers saved: 0, 1, 2, …
fn is_buffer(name: &str) -> bool {
    name.ends_with("embeddings.position_ids")
}

pub(super) fn whole(file: usize, name: &str) -> Place {
    Place {
        file,
        name: name.to_owned(),
        cut: Cut::Whole,
    }
}

/// File names in the order of preference.
fn names(half_first: bool) -> Vec<String> {
    let named = |ending: [&str; 2]| {
        let name = move |stem: &str| ending.map(|ending| format!("{stem}{ending}"));
        STEMS.into_iter().flat_map(name).collect::<Vec<_>>()
    };
    let plain = named([".safetensors", ".safetensors.index.json"]);
    let half = named([".fp16.safetensors", ".safetensors.index.fp16.json"]);
    if half_first {
        [half, plain].concat()
    } else {
        [plain, half].concat()
    }
}
