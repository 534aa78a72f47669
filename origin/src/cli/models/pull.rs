//! Fetching a model, file by file.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use darkroom_origin::cause::chain;
use darkroom_origin::write_atomically;
use indicatif::ProgressBar;
use reqwest::{Client, StatusCode, header};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::sums::{self, Sum};
use crate::cli::Failure;

/// Without a byte for so long, a connection is as good as broken.
const SILENCE: Duration = Duration::from_mins(1);

/// Fetches what is missing or wrong. `SHA256SUMS` comes last: a folder that has it was whole.
pub(super) async fn pull(url: &str, folder: &Path, sha256: Option<&str>) -> Result<(), Failure> {
    let base = base(url)?;
    // As for the edge: TLS by the same library; an error says that it was chosen before.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = Client::builder().read_timeout(SILENCE).build();
    let client = client.context("no HTTP here")?;

    let list = join(&base, sums::NAME)?;
    let answer = client.get(list.clone()).send().await;
    let answer = answer.and_then(reqwest::Response::error_for_status);
    let text = match answer {
        Ok(answer) => answer.text().await,
        Err(error) => Err(error),
    };
    let text = text.with_context(|| format!("`{list}` cannot be fetched"))?;
    let found = hex::encode(Sha256::digest(text.as_bytes()));
    if sha256.is_some_and(|wanted| !wanted.eq_ignore_ascii_case(&found)) {
        return Err(Failure::Run(anyhow!(
            "`{list}` has the SHA-256 {found}, not the one that --sha256 says"
        )));
    }
    for sum in sums::parse(&text)? {
        let path = folder.join(&sum.path);
        if sums::digest(&path).is_ok_and(|found| found == sum.sha256) {
            continue;
        }
        let url = join(&base, &sum.path)?;
        fetch(&client, url, &path, &sum).await?;
    }
    let path = folder.join(sums::NAME);
    write_atomically(&path, text.as_bytes())
        .with_context(|| format!("`{}` cannot be written", path.display()))?;
    Ok(())
}

/// The address of the folder, whether it was given with its list or not.
fn base(url: &str) -> Result<Url, Failure> {
    let folder = url.strip_suffix(sums::NAME).unwrap_or(url);
    let folder = format!("{}/", folder.trim_end_matches('/'));
    let base: Option<Url> = folder.parse().ok();
    base.filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| Failure::Input(anyhow!("`{url}` is no http or https address")))
}

fn join(base: &Url, path: &str) -> Result<Url, Failure> {
    let mut url = base.clone();
    url.path_segments_mut()
        .map_err(|()| Failure::Input(anyhow!("`{base}` has no path")))?
        .pop_if_empty()
        .extend(path.split('/'));
    Ok(url)
}

/// Goes on where a part lies, and keeps it where the connection breaks. What comes out otherwise than
/// it should is thrown away: going on with it would never end well.
async fn fetch(client: &Client, url: Url, path: &Path, sum: &Sum) -> Result<(), Failure> {
    let part = part(path);
    let cannot = || format!("`{}` cannot be written", part.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(cannot)?;
    }
    let file = OpenOptions::new().create(true).append(true).open(&part);
    let mut file = file.with_context(cannot)?;
    let have = file.metadata().with_context(cannot)?.len();
    let range = format!("bytes={have}-");
    let request = client.get(url.clone()).header(header::RANGE, range);
    let broke = |error: reqwest::Error| {
        let error = chain(&error);
        anyhow!("`{url}` broke off ({error}): the same command goes on from there")
    };
    let mut answer = request.send().await.map_err(broke)?;
    match answer.status() {
        // Of the second kind: all of it is there, or more than there is.
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {}
        // The server does not know parts.
        StatusCode::OK => file.set_len(0).with_context(cannot)?,
        status => return Err(Failure::Run(anyhow!("`{url}` is answered {status}"))),
    }
    let bar = ProgressBar::new(answer.content_length().unwrap_or_default());
    if answer.status() != StatusCode::RANGE_NOT_SATISFIABLE {
        while let Some(piece) = answer.chunk().await.map_err(broke)? {
            file.write_all(&piece).with_context(cannot)?;
            bar.inc(piece.len() as u64);
        }
    }
    bar.finish_and_clear();
    file.sync_all().with_context(cannot)?;
    if sums::digest(&part).with_context(cannot)? != sum.sha256 {
        fs::remove_file(&part).with_context(cannot)?;
        return Err(Failure::Run(anyhow!(
            "`{url}` is not what its {} says: nothing of it was kept",
            sums::NAME
        )));
    }
    fs::rename(&part, path).with_context(cannot)?;
    // A rename outlives a power failure only once its folder is on the disk.
    let folder = path.parent().unwrap_or(path);
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(synced.with_context(cannot)?)
}

fn part(path: &Path) -> PathBuf {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    part.into()
}
