//! Pictures that a request names by their addresses: fetched before the job is accepted, so that
//! its recipe has their digests.

use std::time::Duration;

use darkroom_shared::input::{File, Source};
use darkroom_shared::limits::LIMITS;
use darkroom_shared::problem::FieldError;
use darkroom_shared::request::GenerateRequest;
use tokio::sync::Semaphore;

use crate::cause::chain;
use crate::outbound::{Fetched, Outbound, OutboundError};
use crate::per_account::PerAccount;

/// For the whole of a picture.
const LIMIT: Duration = Duration::from_secs(20);
/// Pictures that are fetched at once: each may take 10 MiB.
static FETCHING: Semaphore = Semaphore::const_new(8);
/// Those of one account, whose servers may take their time.
static OF_ACCOUNT: PerAccount = PerAccount::new(2);

/// Puts files in the places of addresses.
///
/// # Errors
/// The field whose picture is not to be had, and why.
pub(super) async fn fetch(
    outbound: &Outbound,
    account: &str,
    request: &mut GenerateRequest,
) -> Result<(), Vec<FieldError>> {
    for (field, source) in [
        ("init_image", &mut request.init_image),
        ("mask", &mut request.mask),
    ] {
        let Some(Source::Address(url)) = source else {
            continue;
        };
        let file = file(outbound, account, url).await.map_err(|message| {
            let field = field.to_owned();
            vec![FieldError { field, message }]
        })?;
        *source = Some(Source::File(file));
    }
    Ok(())
}

async fn file(outbound: &Outbound, account: &str, url: &str) -> Result<File, String> {
    // Never closed, so that there is always a permit to come.
    let own = OF_ACCOUNT.of(account);
    let own = own.acquire().await.ok();
    let permit = FETCHING.acquire().await.ok();
    let most = LIMITS.input_bytes.max as usize;
    let fetched = outbound.get(url, most, LIMIT).await;
    drop((permit, own));
    match fetched {
        Ok(Fetched {
            status: 200..=299,
            body,
        }) => File::new(body),
        Ok(Fetched {
            status: 300..=399, ..
        }) => Err("cannot be fetched: its address leads to another, which is not followed".into()),
        Ok(Fetched { status, .. }) => {
            Err(format!("cannot be fetched: its server answers {status}"))
        }
        Err(error @ OutboundError::TooLarge { .. }) => Err(format!("cannot be fetched: {error}")),
        Err(error) => {
            tracing::info!(error = chain(&error), "a picture cannot be fetched");
            Err(format!("cannot be fetched: {error}"))
        }
    }
}
