//! One network of a model.

use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::{DType, Device};

use super::config::Configuration;
use crate::LoadError;
use crate::lora::Adapters;
use crate::weights::{Checkpoint, Loading, Store, Target, Weights};

/// What is built from a configuration and tensors.
pub(crate) trait Network: Sized {
    /// Its `config.json`.
    type Config: Configuration + Clone + fmt::Debug;

    /// Takes its tensors, by diffusers' names.
    ///
    /// # Errors
    /// What [`Weights::tensor`] says of any of them.
    fn build(weights: &Weights<'_>, config: &Self::Config) -> Result<Self, LoadError>;
}

/// Where a network is: its configuration, already read, and its weights, not yet.
#[derive(Clone)]
pub(crate) struct PartFiles<C> {
    pub config: C,
    open: Opener,
}

type Opener = Arc<dyn Fn(DType) -> Result<Checkpoint, LoadError> + Send + Sync>;

impl<C: fmt::Debug> fmt::Debug for PartFiles<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartFiles")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl<C: Configuration> PartFiles<C> {
    pub fn new(
        config: C,
        open: impl Fn(DType) -> Result<Checkpoint, LoadError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            config,
            open: Arc::new(open),
        }
    }

    /// A part's folder, as diffusers lays it out.
    ///
    /// # Errors
    /// What is wrong with its configuration.
    pub fn folder(folder: &Path) -> Result<Self, LoadError> {
        let config = C::read(&folder.join("config.json"))?;
        Ok(Self::at(folder, config))
    }

    /// The weights in a folder, or of a file with diffusers' names.
    pub fn at(path: &Path, config: C) -> Self {
        let path = path.to_owned();
        Self::new(config, move |dtype| {
            if path.is_dir() {
                Checkpoint::open_folder(&path, dtype)
            } else {
                Checkpoint::open(&path)
            }
        })
    }

    /// A folder, or a file beside its `config.json`.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn beside(path: &Path) -> Result<Self, LoadError> {
        Ok(Self::at(path, C::read(&config_of(path))?))
    }

    /// Opens the weights; of two variants the one of that type.
    ///
    /// # Errors
    /// What is wrong with the files.
    pub fn open(&self, dtype: DType) -> Result<Checkpoint, LoadError> {
        (self.open)(dtype)
    }
}

/// Where the configuration of a folder, or of a file that lies beside it, is looked for.
pub(crate) fn config_of(path: &Path) -> PathBuf {
    let folder = if path.is_dir() {
        Some(path)
    } else {
        path.parent()
    };
    folder.unwrap_or(Path::new(".")).join("config.json")
}

/// A network on a device, or ready to be brought there.
#[derive(Debug)]
pub(crate) struct Part<N: Network> {
    files: PartFiles<N::Config>,
    device: Device,
    dtype: DType,
    resident: Option<Resident<N>>,
}

#[derive(Debug)]
struct Resident<N> {
    network: N,
    store: Store,
}

/// A network that is on the device: for good, or as long as this lives.
pub(crate) enum Held<'a, N> {
    Resident(&'a N),
    Brought(N),
}

impl<N> Deref for Held<'_, N> {
    type Target = N;

    fn deref(&self) -> &N {
        match self {
            Self::Resident(network) => network,
            Self::Brought(network) => network,
        }
    }
}

impl<N: Network> Part<N> {
    /// Loads a network, and keeps it on the device where `keeps` says so. It is loaded in any
    /// case: what is wrong with its files is found now.
    ///
    /// # Errors
    /// What is wrong with its files.
    pub fn load(
        files: PartFiles<N::Config>,
        target: Target<'_>,
        keeps: bool,
    ) -> Result<Self, LoadError> {
        let (network, store) = bring::<N>(&files, target)?;
        Ok(Self {
            files,
            device: target.device.clone(),
            dtype: target.dtype,
            resident: keeps.then_some(Resident { network, store }),
        })
    }

    pub fn config(&self) -> &N::Config {
        &self.files.config
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The network.
    ///
    /// # Errors
    /// What has become wrong with its files, where it must be brought to the device.
    pub fn network(&self) -> Result<Held<'_, N>, LoadError> {
        match &self.resident {
            Some(resident) => Ok(Held::Resident(&resident.network)),
            None => self.bring().map(|(network, _)| Held::Brought(network)),
        }
    }

    /// The network with adapters on its layers, which shares everything else with the one
    /// without.
    ///
    /// # Errors
    /// As [`Part::network`].
    pub fn adapted(&self, adapters: &Adapters) -> Result<Held<'_, N>, LoadError> {
        if adapters.is_empty() {
            return self.network();
        }
        let build = |store: &Store| N::build(&Weights::again(store, adapters), self.config());
        let network = match &self.resident {
            Some(resident) => build(&resident.store)?,
            None => build(&self.bring()?.1)?,
        };
        Ok(Held::Brought(network))
    }

    /// Names and shapes of its tensors.
    ///
    /// # Errors
    /// As [`Part::network`].
    pub fn shapes(&self) -> Result<Vec<(String, Vec<usize>)>, LoadError> {
        Ok(self.files.open(self.dtype)?.shapes())
    }

    fn bring(&self) -> Result<(N, Store), LoadError> {
        bring(&self.files, Target::quiet(&self.device, self.dtype))
    }
}

fn bring<N: Network>(
    files: &PartFiles<N::Config>,
    target: Target<'_>,
) -> Result<(N, Store), LoadError> {
    let loading = Loading::new(files.open(target.dtype)?, target);
    let network = N::build(&loading.weights(), &files.config)?;
    Ok((network, loading.finish()?))
}
