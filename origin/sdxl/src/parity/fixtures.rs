//! `cases.json` and `reference.safetensors`.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Tensor, TensorData};
use safetensors::Dtype;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::CaseError;
use crate::weights::{SafetensorsFile, read_json, to_f32};
use crate::{LoadError, Picture};

/// One entry of `cases.json`.
#[derive(Deserialize)]
pub(super) struct Case {
    pub kind: String,
    pub name: String,
    /// Names of its tensors, without the case's own.
    #[serde(default)]
    pub tensors: Vec<String>,
    #[serde(flatten)]
    arguments: Map<String, Value>,
}

impl Case {
    /// An argument, or the type's default where there is none.
    pub(super) fn argument<T: DeserializeOwned + Default>(
        &self,
        name: &str,
    ) -> Result<T, CaseError> {
        match self.arguments.get(name) {
            None | Some(Value::Null) => Ok(T::default()),
            Some(value) => serde_json::from_value(value.clone())
                .map_err(|error| CaseError::Form(format!("{name}: {error}"))),
        }
    }

    pub(super) fn has(&self, part: &str) -> bool {
        self.tensors.iter().any(|name| name == part)
    }
}

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

/// An open folder.
pub(super) struct Fixtures {
    folder: PathBuf,
    cases: Vec<Case>,
    reference: SafetensorsFile,
}

impl Fixtures {
    pub(super) fn open(folder: &Path) -> Result<Self, LoadError> {
        let Cases { cases } = read_json(&folder.join("cases.json"))?;
        Ok(Self {
            folder: folder.to_owned(),
            cases,
            reference: SafetensorsFile::open(&folder.join("reference.safetensors"))?,
        })
    }

    pub(super) fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// The case of that name.
    pub(super) fn case(&self, name: &str) -> Result<&Case, CaseError> {
        let found = self.cases.iter().find(|case| case.name == name);
        found.ok_or_else(|| CaseError::Form(format!("case `{name}` is missing")))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Values and shape of a part, whatever type it is stored in.
    pub(super) fn values(
        &self,
        case: &Case,
        part: &str,
    ) -> Result<(Vec<f32>, Vec<usize>), CaseError> {
        let missing = || CaseError::Form(format!("tensor `{}.{part}` is missing", case.name));
        let entry = self.reference.entry(&format!("{}.{part}", case.name));
        let entry = entry.ok_or_else(missing)?;
        let bytes = self.reference.bytes(entry);
        let values = match entry.dtype {
            Dtype::I64 => {
                let (chunks, _) = bytes.as_chunks::<8>();
                chunks
                    .iter()
                    .map(|chunk| i64::from_le_bytes(*chunk) as f32)
                    .collect()
            }
            Dtype::U8 => bytes.iter().map(|byte| f32::from(*byte)).collect(),
            dtype => to_f32(dtype, &bytes).ok_or_else(missing)?,
        };
        Ok((values, entry.shape.clone()))
    }

    /// A part as a tensor on the device.
    pub(super) fn tensor<const D: usize>(
        &self,
        case: &Case,
        part: &str,
        device: &Device,
    ) -> Result<Tensor<D>, CaseError> {
        let (values, shape) = self.values(case, part)?;
        let shape: [usize; D] = shape.try_into().map_err(|shape| {
            CaseError::Form(format!("`{}.{part}` has shape {shape:?}", case.name))
        })?;
        let data = TensorData::new(values, shape);
        Ok(Tensor::from_data(data, (device, DType::F32)))
    }

    /// A part of bytes, with its shape.
    pub(super) fn bytes(
        &self,
        case: &Case,
        part: &str,
    ) -> Result<(Vec<u8>, Vec<usize>), CaseError> {
        let (values, shape) = self.values(case, part)?;
        Ok((values.iter().map(|value| *value as u8).collect(), shape))
    }

    /// A part of bytes `[height, width, 3]`.
    pub(super) fn picture(&self, case: &Case, part: &str) -> Result<Picture, CaseError> {
        let (rgb, shape) = self.bytes(case, part)?;
        let [height, width, 3] = shape[..] else {
            let message = format!("`{}.{part}` has shape {shape:?}", case.name);
            return Err(CaseError::Form(message));
        };
        Ok(Picture {
            width: width as u32,
            height: height as u32,
            rgb,
        })
    }

    /// A part of token ids, row by row.
    pub(super) fn ids(&self, case: &Case, part: &str) -> Result<Vec<Vec<u32>>, CaseError> {
        let (values, shape) = self.values(case, part)?;
        let width = shape.last().copied().unwrap_or(1).max(1);
        Ok(values
            .chunks(width)
            .map(|row| row.iter().map(|id| *id as u32).collect())
            .collect())
    }
}
