//! What the disk alone takes: each job that is accepted, claimed or ended waits for it.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use crate::figures::Times;

const WRITES: usize = 300;

/// How long it takes to append 4 KiB to a file in `folder` and have them on the disk.
pub fn synced(folder: &Path) -> Result<Times> {
    let mut file = File::create(folder.join("disk"))?;
    let mut times = Vec::new();
    for _ in 0..WRITES {
        let begun = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    Ok(Times::new(times))
}
