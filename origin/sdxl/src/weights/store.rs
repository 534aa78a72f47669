//! The tensors that a model was built from.

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Tensor};

use crate::LoadError;

/// Tensors on a device, by diffusers' names, each as one row. Layers built from them share them.
#[derive(Debug)]
pub(crate) struct Store {
    device: Device,
    dtype: DType,
    tensors: BTreeMap<String, Tensor<1>>,
}

impl Store {
    pub(super) fn new(device: Device, dtype: DType, tensors: BTreeMap<String, Tensor<1>>) -> Self {
        Self {
            device,
            dtype,
            tensors,
        }
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    pub fn dtype(&self) -> DType {
        self.dtype
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    pub(super) fn tensor<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
    ) -> Result<Tensor<D>, LoadError> {
        let row = self
            .tensors
            .get(name)
            .ok_or_else(|| LoadError::MissingTensor {
                path: "memory".into(),
                name: name.to_owned(),
                expected: shape.to_vec(),
            })?;
        Ok(row.clone().reshape(shape))
    }
}
