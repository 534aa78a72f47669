//! What can go wrong while loading a model and while running it.

use std::path::PathBuf;

/// A checkpoint that cannot be used. Every variant names the file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file is missing or cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// None of the names under which a part's weights are published is there.
    #[error("no weights in {}: looked for {looked_for}", folder.display())]
    NoWeights {
        /// The part's folder.
        folder: PathBuf,
        /// File names.
        looked_for: String,
    },
    /// A configuration is no JSON, or lacks a field that is needed.
    #[error("{} is no usable configuration", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: json5::Error,
    },
    /// A configuration asks for something this engine does not do.
    #[error("{}: {what} is not supported", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// Field and value.
        what: String,
    },
    /// A file of weights is broken.
    #[error("{} is no whole safetensors file", path.display())]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: safetensors::SafeTensorError,
    },
    /// The model needs a tensor that the file lacks.
    #[error("{}: tensor `{name}` {expected:?} is missing", path.display())]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The shape the configuration asks for.
        expected: Vec<usize>,
    },
    /// A tensor has another shape than the configuration says.
    #[error(
        "{}: tensor `{name}` has shape {found:?}, the configuration asks for {expected:?}",
        path.display()
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// By the configuration.
        expected: Vec<usize>,
        /// In the file.
        found: Vec<usize>,
    },
    /// A tensor holds infinity or no number, perhaps only in the type it was to be kept in.
    #[error("{}: tensor `{name}` holds values that are not finite in {dtype}", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The type.
        dtype: String,
    },
    /// A tensor is stored in a type that is not read.
    #[error("{}: tensor `{name}` has type {found}; F32, F16 and BF16 are read", path.display())]
    Type {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type.
        found: String,
    },
    /// The file holds tensors that the configured model has no place for.
    #[error("{}: {} tensors belong to no layer of the configured model: {}", path.display(), names.len(), names.join(", "))]
    ExtraTensors {
        /// The file.
        path: PathBuf,
        /// The tensors.
        names: Vec<String>,
    },
    /// Something that goes with a model was made for another one.
    #[error("{} is for another model: it has {what}", path.display())]
    OtherModel {
        /// The file or folder.
        path: PathBuf,
        /// What differs.
        what: String,
    },
    /// A tokenizer's files are broken.
    #[error("{}: {message}", path.display())]
    Tokenizer {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The device that was asked for is not there.
    #[error("{0}")]
    Device(String),
}

/// A run that made no picture. Other runs and the model go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The callback broke it off.
    #[error("the run was canceled")]
    Canceled,
    /// A value that the model does not take: the request's fault.
    #[error("{field}: {message}")]
    Invalid {
        /// The field's name in [`Run`](crate::Run).
        field: &'static str,
        /// What would be right.
        message: String,
    },
    /// NaN or infinity: never shown as a black picture.
    #[error("the {stage} produced a value that is not finite")]
    NotFinite {
        /// Where it was noticed.
        stage: &'static str,
    },
    /// A saved run that cannot be gone on with.
    #[error("the saved run cannot be used: {0}")]
    State(String),
    /// A part that is brought to the device for each use could not be.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A tensor could not be brought back from the device.
    #[error("cannot read a result from the device: {0}")]
    Device(String),
}
