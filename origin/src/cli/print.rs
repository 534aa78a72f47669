//! Answers on standard output: text for people, JSON for programs.

use std::io::{self, Write as _};

use anyhow::Context as _;
use serde::Serialize;

use super::Failure;

/// Prints text as it is.
pub fn text(text: &str) -> Result<(), Failure> {
    let printed = io::stdout().write_all(text.as_bytes());
    Ok(printed.context("the answer cannot be printed")?)
}

/// Prints a value as indented JSON.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    let json =
        serde_json::to_string_pretty(value).context("the answer cannot be written as JSON")?;
    text(&format!("{json}\n"))
}

/// Rows in columns as wide as their widest cells, two spaces between them.
pub fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or_default()
    });
    let line = |row: &[String; N]| {
        let cells: Vec<_> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}
