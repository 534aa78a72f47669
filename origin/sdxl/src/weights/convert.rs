//! Stored numbers as a device's numbers.

use std::io;

use burn::tensor::{AllocationProperty, Bytes, DType, Element};
use half::slice::HalfFloatSliceExt as _;
use half::{bf16, f16};
use rayon::prelude::*;
use safetensors::Dtype;

use super::file::Region;

/// Values that are converted at a time: enough to be worth another thread, few enough to stay in
/// a processor's cache.
const BLOCK: usize = 1 << 16;

/// A tensor's values as a device wants them.
pub(super) struct Converted {
    pub bytes: Bytes,
    /// Whether none of them is infinite or no number.
    pub is_finite: bool,
}

/// A tensor in another type, or the very bytes of the file where it is the same type. `None` where
/// the stored type is not read, or the other is none of f32, f16 and bf16.
///
/// # Errors
/// The file cannot be read.
pub(super) fn convert(region: &Region, from: Dtype, to: DType) -> io::Result<Option<Converted>> {
    if !matches!(from, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
        return Ok(None);
    }
    let mapped = region.mapped();
    if same(from, to) && is_aligned(mapped, to.size()) {
        return Ok(Some(Converted {
            is_finite: is_finite(region, to)?,
            bytes: Bytes::from_shared(mapped.clone(), AllocationProperty::File),
        }));
    }
    match to {
        DType::F32 => copied::<f32>(region, from).map(Some),
        DType::F16 => copied::<f16>(region, from).map(Some),
        DType::BF16 => copied::<bf16>(region, from).map(Some),
        _ => Ok(None),
    }
}

fn same(from: Dtype, to: DType) -> bool {
    matches!(
        (from, to),
        (Dtype::F32, DType::F32) | (Dtype::F16, DType::F16) | (Dtype::BF16, DType::BF16)
    )
}

/// Some writers do not pad their header.
fn is_aligned(bytes: &[u8], size: usize) -> bool {
    bytes.as_ptr().align_offset(size) == 0
}

/// Whether no stored value is infinite or no number. Read beside the mapping, whose pages then stay
/// untouched until the tensor is used: mapping them costs more than reading them.
fn is_finite(region: &Region, dtype: DType) -> io::Result<bool> {
    const BYTES: usize = 4 * BLOCK;
    let blocks = (0..region.len()).into_par_iter().step_by(BYTES);
    let checked = blocks.map_init(
        || vec![0; BYTES],
        |buffer, at| {
            let bytes = &mut buffer[..BYTES.min(region.len() - at)];
            region.read(at, bytes)?;
            Ok(all_finite(bytes, dtype))
        },
    );
    checked.try_reduce(|| true, |a, b| Ok(a && b))
}

/// Reads and converts block by block, on all threads.
fn copied<T: Number>(region: &Region, from: Dtype) -> io::Result<Converted> {
    let size = from.bitsize() / 8;
    let mut values = vec![T::default(); region.len() / size];
    let blocks = values.par_chunks_mut(BLOCK).enumerate();
    let is_finite = blocks
        .map(|(i, values)| {
            let mut bytes = vec![0; values.len() * size];
            region.read(i * BLOCK * size, &mut bytes)?;
            // The type was looked at before.
            let wide = to_f32(from, &bytes).unwrap_or_default();
            T::narrow(&wide, values);
            Ok(values.iter().all(|value| value.is_finite()))
        })
        .try_reduce(|| true, |a, b| Ok(a && b));
    is_finite.map(|is_finite| Converted {
        bytes: Bytes::from_elems(values),
        is_finite,
    })
}

/// Little-endian bytes as f32, or `None` for a type that is not read.
pub(crate) fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    match dtype {
        Dtype::F32 => Some(each(bytes, f32::from_le_bytes).collect()),
        Dtype::F16 => {
            let halves: Vec<f16> = each(bytes, f16::from_le_bytes).collect();
            Some(halves.to_f32_vec())
        }
        Dtype::BF16 => Some(each(bytes, |b| bf16::from_le_bytes(b).to_f32()).collect()),
        _ => None,
    }
}

fn each<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> impl Iterator<Item = T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(move |chunk| read(*chunk))
}

/// A type that a device computes in.
trait Number: Element + Default {
    fn narrow(from: &[f32], to: &mut [Self]);
    fn is_finite(self) -> bool;
}

impl Number for f32 {
    fn narrow(from: &[f32], to: &mut [Self]) {
        to.copy_from_slice(from);
    }
    fn is_finite(self) -> bool {
        self.is_finite()
    }
}

impl Number for f16 {
    fn narrow(from: &[f32], to: &mut [Self]) {
        to.convert_from_f32_slice(from);
    }
    fn is_finite(self) -> bool {
        self.is_finite()
    }
}

impl Number for bf16 {
    fn narrow(from: &[f32], to: &mut [Self]) {
        to.convert_from_f32_slice(from);
    }
    fn is_finite(self) -> bool {
        self.is_finite()
    }
}

/// Whether no value is infinite or no number.
fn all_finite(bytes: &[u8], dtype: DType) -> bool {
    // Such a value has every bit of its exponent set. Without an early end this is vectorised.
    fn none_full<const N: usize>(bytes: &[u8], is_full: impl Fn([u8; N]) -> bool) -> bool {
        let (values, _) = bytes.as_chunks::<N>();
        !values
            .iter()
            .fold(false, |any, value| any | is_full(*value))
    }
    match dtype {
        DType::F32 => none_full(bytes, |v| {
            u32::from_ne_bytes(v) & 0x7F80_0000 == 0x7F80_0000
        }),
        DType::F16 => none_full(bytes, |v| u16::from_ne_bytes(v) & 0x7C00 == 0x7C00),
        DType::BF16 => none_full(bytes, |v| u16::from_ne_bytes(v) & 0x7F80 == 0x7F80),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::TensorView;

    use super::super::file::SafetensorsFile;
    use super::*;

    fn bytes(values: &[f32], dtype: Dtype) -> Vec<u8> {
        let half = |v: &f32| f16::from_f32(*v).to_le_bytes();
        let brain = |v: &f32| bf16::from_f32(*v).to_le_bytes();
        match dtype {
            Dtype::F16 => values.iter().flat_map(half).collect(),
            Dtype::BF16 => values.iter().flat_map(brain).collect(),
            _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        }
    }

    /// A file with one tensor, `before` bytes further on than it would be.
    fn converted(values: &[f32], from: Dtype, to: DType, before: usize) -> Option<Converted> {
        let bytes = bytes(values, from);
        let view = TensorView::new(from, vec![values.len()], &bytes).expect("a tensor");
        let mut file = safetensors::serialize([("x", view)], None).expect("a file");
        let header = u64::from_le_bytes(file[..8].try_into().expect("8 bytes"));
        file.splice(8 + header as usize..8 + header as usize, vec![b' '; before]);
        file[..8].copy_from_slice(&(header + before as u64).to_le_bytes());
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.safetensors");
        std::fs::write(&path, file).expect("written");
        let file = SafetensorsFile::open(&path).expect("a file");
        let region = file.region(file.entry("x").expect("a tensor"));
        convert(&region, from, to).expect("readable")
    }

    const PAIRS: [(Dtype, DType); 3] = [
        (Dtype::F32, DType::F32),
        (Dtype::F16, DType::F16),
        (Dtype::BF16, DType::BF16),
    ];

    #[test]
    fn every_type_becomes_every_other_wherever_it_lies() {
        // More than a block, all exact in the narrowest of the three.
        let count = BLOCK as i32 + 5000;
        let values: Vec<f32> = (0..count).map(|i| (i % 128 - 64) as f32 / 8.0).collect();
        for (from, _) in PAIRS {
            for (back, to) in PAIRS {
                // Where no vector can be read from, too.
                for before in [0, 1] {
                    let made = converted(&values, from, to, before).expect("a known type");
                    let made = to_f32(back, &made.bytes);
                    assert_eq!(
                        made.as_deref(),
                        Some(&values[..]),
                        "{from:?} {to:?} {before}"
                    );
                }
            }
        }
        assert!(converted(&values, Dtype::I32, DType::F32, 0).is_none());
    }

    #[test]
    fn what_is_not_finite_is_found_anywhere() {
        for (from, _) in PAIRS {
            for (_, to) in PAIRS {
                let mut values = vec![1.0_f32; BLOCK + 9000];
                let is_finite = |values: &[f32]| {
                    converted(values, from, to, 0).is_some_and(|made| made.is_finite)
                };
                assert!(is_finite(&values), "{from:?} {to:?}");
                for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    values[BLOCK + 8999] = wrong;
                    assert!(!is_finite(&values), "{wrong} {from:?} {to:?}");
                }
            }
        }
    }

    #[test]
    fn what_f16_cannot_hold_is_not_finite_in_it() {
        let large = [70_000.0];
        let made = |to| converted(&large, Dtype::F32, to, 0).expect("a known type");
        assert!(!made(DType::F16).is_finite);
        assert!(made(DType::BF16).is_finite);
    }
}
