//! Pictures that a request names by their addresses: fetched before the job is accepted, so that
//! its recipe has their digests.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Duration;

use darkroom_shared::input::{File, Source};
use darkroom_shared::limits::LIMITS;
use darkroom_shared::problem::FieldError;
use darkroom_shared::request::GenerateRequest;
use tokio::sync::Semaphore;

use crate::cause::chain;
use crate::outbound::{Fetched, Outbound, OutboundError};

/// For the whole of a picture.
const LIMIT: Duration = Duration::from_secs(20);
/// Pictures that are fetched at once: each may take 10 MiB.
static FETCHING: Semaphore = Semaphore::const_new(8);
/// Those of one account, whose servers may take their time.
const OF_ACCOUNT: usize = 2;
/// By account, as long as there are any.
static ACCOUNTS: LazyLock<Mutex<HashMap<String, Weak<Semaphore>>>> = LazyLock::new(Mutex::default);

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
    let own = of_account(account);
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

fn of_account(account: &str) -> Arc<Semaphore> {
    let mut accounts = ACCOUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(own) = accounts.get(account).and_then(Weak::upgrade) {
        return own;
    }
    accounts.retain(|_, own| own.strong_count() > 0);
    let own = Arc::new(Semaphore::new(OF_ACCOUNT));
    accounts.insert(account.to_owned(), Arc::downgrade(&own));
    own
}
