//! Fetching an issuer's keys, with an end to time and size.

use std::pin::pin;
use std::time::Duration;

use darkroom_shared::jwt::{KeySet, MAX_KEY_SET};
use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use worker::{AbortController, AbortSignal, Delay, Fetch, Request, RequestInit, RequestRedirect};

const LIMIT: Duration = Duration::from_secs(5);

/// An issuer's keys, or for the log why there are none.
pub(super) async fn key_set(url: &str) -> Result<KeySet, String> {
    let controller = AbortController::default();
    let work = pin!(read(url, controller.signal()));
    match select(work, Delay::from(LIMIT)).await {
        Either::Left((result, _)) => {
            let body = result.map_err(|error| error.to_string())??;
            KeySet::parse(&body).map_err(|_| "it answers no JWK set".to_owned())
        }
        Either::Right(_) => {
            controller.abort();
            Err("it took too long".to_owned())
        }
    }
}

async fn read(url: &str, signal: AbortSignal) -> worker::Result<Result<Vec<u8>, String>> {
    let mut init = RequestInit::new();
    init.with_redirect(RequestRedirect::Manual);
    let request = Request::new_with_init(url, &init)?;
    let mut response = Fetch::Request(request).send_with_signal(&signal).await?;
    if response.status_code() != 200 {
        return Ok(Err(format!("it answers {}", response.status_code())));
    }
    let mut body = Vec::new();
    let mut chunks = response.stream()?;
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk?);
        if body.len() > MAX_KEY_SET {
            return Ok(Err(format!("its set has more than {MAX_KEY_SET} bytes")));
        }
    }
    Ok(Ok(body))
}
