//! Stored numbers as a device's numbers.

use burn::tensor::{AllocationProperty, Bytes, DType};
use half::slice::HalfFloatSliceExt as _;
use half::{bf16, f16};
use safetensors::Dtype;

/// Values that are converted at a time: enough for the processor's vectors, few enough for its
/// nearest cache.
const BLOCK: usize = 4096;

/// The same values in another type, or the very bytes where it is the same type. `None` where
/// the stored type is not read, or the other is none of f32, f16 and bf16.
pub(super) fn convert(bytes: bytes::Bytes, from: Dtype, to: DType) -> Option<Bytes> {
    if same(from, to) && is_aligned(&bytes, to.size()) {
        return Some(Bytes::from_shared(bytes, AllocationProperty::File));
    }
    match to {
        DType::F32 => to_f32(from, &bytes).map(Bytes::from_elems),
        DType::F16 => halves::<f16>(from, &bytes).map(Bytes::from_elems),
        DType::BF16 => halves::<bf16>(from, &bytes).map(Bytes::from_elems),
        _ => None,
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

/// Little-endian bytes as f32, or `None` for a type that is not read.
pub(crate) fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    match dtype {
        Dtype::F32 => Some(each(bytes, f32::from_le_bytes).collect()),
        Dtype::F16 => Some(widen::<f16>(bytes)),
        Dtype::BF16 => Some(widen::<bf16>(bytes)),
        _ => None,
    }
}

fn each<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> impl Iterator<Item = T> {
    bytes
        .as_chunks::<N>()
        .0
        .iter()
        .map(move |chunk| read(*chunk))
}

/// A type of 16 bits.
trait Half: Copy + Default {
    fn from_le_bytes(bytes: [u8; 2]) -> Self;
    fn widen(from: &[Self], to: &mut [f32]);
    fn narrow(from: &[f32], to: &mut [Self]);
}

impl Half for f16 {
    fn from_le_bytes(bytes: [u8; 2]) -> Self {
        Self::from_le_bytes(bytes)
    }
    fn widen(from: &[Self], to: &mut [f32]) {
        from.convert_to_f32_slice(to);
    }
    fn narrow(from: &[f32], to: &mut [Self]) {
        to.convert_from_f32_slice(from);
    }
}

impl Half for bf16 {
    fn from_le_bytes(bytes: [u8; 2]) -> Self {
        Self::from_le_bytes(bytes)
    }
    fn widen(from: &[Self], to: &mut [f32]) {
        from.convert_to_f32_slice(to);
    }
    fn narrow(from: &[f32], to: &mut [Self]) {
        to.convert_from_f32_slice(from);
    }
}

fn widen<H: Half>(bytes: &[u8]) -> Vec<f32> {
    let mut wide = vec![0.0; bytes.len() / size_of::<H>()];
    let mut block = [H::default(); BLOCK];
    for (bytes, wide) in bytes
        .chunks(BLOCK * size_of::<H>())
        .zip(wide.chunks_mut(BLOCK))
    {
        for (half, value) in block.iter_mut().zip(each(bytes, H::from_le_bytes)) {
            *half = value;
        }
        H::widen(&block[..wide.len()], wide);
    }
    wide
}

fn halves<H: Half>(from: Dtype, bytes: &[u8]) -> Option<Vec<H>> {
    let size = from.bitsize() / 8;
    let mut narrow = vec![H::default(); bytes.len() / size];
    for (bytes, narrow) in bytes.chunks(BLOCK * size).zip(narrow.chunks_mut(BLOCK)) {
        H::narrow(&to_f32(from, bytes)?, narrow);
    }
    Some(narrow)
}

/// Whether no value is infinite or no number.
pub(super) fn all_finite(bytes: &[u8], dtype: DType) -> bool {
    // Such a value has every bit of its exponent set. Without an early end this is vectorised.
    fn none_full<const N: usize>(bytes: &[u8], is_full: impl Fn([u8; N]) -> bool) -> bool {
        bytes.chunks(BLOCK).all(|block| {
            let (values, _) = block.as_chunks::<N>();
            !values
                .iter()
                .fold(false, |any, value| any | is_full(*value))
        })
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
    use super::*;

    fn bytes(values: &[f32], dtype: Dtype) -> bytes::Bytes {
        let bytes: Vec<u8> = match dtype {
            Dtype::F16 => values
                .iter()
                .flat_map(|v| f16::from_f32(*v).to_le_bytes())
                .collect(),
            Dtype::BF16 => values
                .iter()
                .flat_map(|v| bf16::from_f32(*v).to_le_bytes())
                .collect(),
            _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        };
        bytes.into()
    }

    #[test]
    fn every_type_becomes_every_other() {
        // More than a block, all exact in the narrowest of the three.
        let values: Vec<f32> = (0..5000).map(|i| (i % 128 - 64) as f32 / 8.0).collect();
        let pairs = [
            (Dtype::F32, DType::F32),
            (Dtype::F16, DType::F16),
            (Dtype::BF16, DType::BF16),
        ];
        for (from, _) in pairs {
            for (back, to) in pairs {
                let converted = convert(bytes(&values, from), from, to).expect("a known type");
                assert_eq!(
                    to_f32(back, &converted).as_deref(),
                    Some(&values[..]),
                    "{from:?} {to:?}"
                );
            }
        }
        assert!(convert(bytes(&values, Dtype::F32), Dtype::I32, DType::F32).is_none());
    }

    #[test]
    fn bytes_that_no_vector_can_be_read_from_are_copied() {
        let values = [1.5_f32, -2.0, 3.25];
        let mut shifted = vec![0_u8];
        shifted.extend_from_slice(&bytes(&values, Dtype::F32));
        let shifted = bytes::Bytes::from(shifted).slice(1..);
        let converted = convert(shifted, Dtype::F32, DType::F32).expect("a known type");
        assert!(is_aligned(&converted, 4));
        assert_eq!(to_f32(Dtype::F32, &converted).as_deref(), Some(&values[..]));
    }

    #[test]
    fn what_is_not_finite_is_found_anywhere() {
        for (stored, dtype) in [
            (Dtype::F32, DType::F32),
            (Dtype::F16, DType::F16),
            (Dtype::BF16, DType::BF16),
        ] {
            let mut values = vec![1.0_f32; 9000];
            assert!(all_finite(&bytes(&values, stored), dtype));
            for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                values[8999] = wrong;
                assert!(
                    !all_finite(&bytes(&values, stored), dtype),
                    "{wrong} {dtype:?}"
                );
            }
        }
    }
}
