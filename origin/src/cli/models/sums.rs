//! `SHA256SUMS`: a line for each file, its digest and its path.

use std::fs::File;
use std::io;
use std::path::{Component, Path};

use anyhow::bail;
use sha2::{Digest as _, Sha256};

/// The file's name. It has no ending that counts for a model's revision.
pub(super) const NAME: &str = "SHA256SUMS";

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sum {
    /// Below the model's folder, with forward slashes.
    pub(super) path: String,
    /// Hex, lower case.
    pub(super) sha256: String,
}

/// Reads the lines, and refuses paths that lead elsewhere.
pub(super) fn parse(text: &str) -> anyhow::Result<Vec<Sum>> {
    let mut sums = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let Some((sha256, path)) = line.split_once(' ') else {
            bail!("{NAME}: `{line}` is no digest and path");
        };
        // A second space, or an asterisk for binary.
        let path = path.strip_prefix([' ', '*']).unwrap_or(path);
        let path = path.strip_prefix("./").unwrap_or(path);
        let is_digest = sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit());
        let mut parts = Path::new(path).components();
        let stays = !path.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)));
        if !is_digest || !stays || path == NAME {
            bail!("{NAME}: `{line}` is no digest and path below the folder");
        }
        sums.push(Sum {
            path: path.to_owned(),
            sha256: sha256.to_ascii_lowercase(),
        });
    }
    if sums.is_empty() {
        bail!("{NAME} names no files");
    }
    Ok(sums)
}

/// A file's SHA-256, hex.
pub(super) fn digest(path: &Path) -> io::Result<String> {
    let mut digest = Sha256::new();
    io::copy(&mut File::open(path)?, &mut DigestWriter(&mut digest))?;
    Ok(hex::encode(digest.finalize()))
}

struct DigestWriter<'a>(&'a mut Sha256);

impl io::Write for DigestWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_sha256sum_writes_them_and_paths_stay_below() {
        let hex = "AB".repeat(32);
        let read = parse(&format!("{hex}  ./unet/a.json\n\n{hex} *b.txt\n")).expect("read");
        let paths: Vec<_> = read.iter().map(|sum| sum.path.as_str()).collect();
        assert_eq!(paths, ["unet/a.json", "b.txt"]);
        assert_eq!(read[0].sha256, "ab".repeat(32));
        for path in ["../a", "/etc/passwd", "a/../../b", "", "SHA256SUMS"] {
            assert!(parse(&format!("{hex}  {path}")).is_err(), "{path}");
        }
        assert!(parse("12  a").is_err() && parse("").is_err());
    }
}
