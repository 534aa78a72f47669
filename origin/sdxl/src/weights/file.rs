//! One safetensors file.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};

use crate::LoadError;

/// A safetensors file, mapped into memory: nothing is read before it is asked for.
#[derive(Debug)]
pub(crate) struct SafetensorsFile {
    path: PathBuf,
    file: Arc<File>,
    bytes: Bytes,
    tensors: BTreeMap<String, Entry>,
    metadata: HashMap<String, String>,
}

/// What the header says of a tensor.
#[derive(Debug)]
pub(crate) struct Entry {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    range: Range<usize>,
}

impl SafetensorsFile {
    /// Maps a file and reads its header.
    ///
    /// # Errors
    /// [`LoadError::Read`], [`LoadError::Safetensors`].
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        let read = |source| LoadError::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(read)?;
        #[expect(
            unsafe_code,
            reason = "a file of weights is replaced, not changed, while it is in use"
        )]
        // SAFETY: undefined only if another process writes into the file or truncates it.
        let map = unsafe { Mmap::map(&file) }.map_err(read)?;
        let bytes = Bytes::from_owner(map);
        let broken = |source| LoadError::Safetensors {
            path: path.to_owned(),
            source,
        };
        let (header, metadata) = SafeTensors::read_metadata(&bytes).map_err(broken)?;
        let begin = size_of::<u64>() + header;
        let tensors = metadata
            .tensors()
            .into_iter()
            .map(|(name, info)| {
                let (from, to) = info.data_offsets;
                let entry = Entry {
                    dtype: info.dtype,
                    shape: info.shape.clone(),
                    range: begin + from..begin + to,
                };
                (name, entry)
            })
            .collect();
        Ok(Self {
            path: path.to_owned(),
            file: Arc::new(file),
            bytes,
            tensors,
            metadata: metadata.metadata().clone().unwrap_or_default(),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the header says under a name, beside its tensors.
    pub fn metadata(&self, name: &str) -> Option<&str> {
        self.metadata.get(name).map(String::as_str)
    }

    /// Every tensor's name, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.tensors.get(name)
    }

    /// A tensor's bytes, little-endian, row by row; a view that keeps the file mapped.
    pub fn bytes(&self, entry: &Entry) -> Bytes {
        self.bytes.slice(entry.range.clone())
    }

    /// The same, to be read rather than looked at.
    pub(super) fn region(&self, entry: &Entry) -> Region {
        Region {
            file: Arc::clone(&self.file),
            bytes: self.bytes(entry),
            offset: entry.range.start as u64,
        }
    }
}

/// A part of a file: mapped, and to be read. What is only read once is better not touched where
/// it is mapped: those pages would count as this process's memory until the system wants them.
#[derive(Clone, Debug)]
pub(super) struct Region {
    file: Arc<File>,
    bytes: Bytes,
    offset: u64,
}

impl Region {
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// A view of the mapped file.
    pub fn mapped(&self) -> &Bytes {
        &self.bytes
    }

    /// The part from `range`.
    pub fn slice(&self, range: Range<usize>) -> Self {
        Self {
            file: Arc::clone(&self.file),
            offset: self.offset + range.start as u64,
            bytes: self.bytes.slice(range),
        }
    }

    /// Reads as many bytes as `into` has, from byte `at` on.
    pub fn read(&self, at: usize, into: &mut [u8]) -> std::io::Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::FileExt as _;
            self.file.read_exact_at(into, self.offset + at as u64)
        }
        #[cfg(not(unix))]
        {
            into.copy_from_slice(&self.bytes[at..at + into.len()]);
            Ok(())
        }
    }
}
