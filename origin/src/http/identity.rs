//! Who asks: the edge's signature is checked, used up, and turned into the caller.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use darkroom_shared::problem::{Code, Problem};
use darkroom_shared::signature::{
    self, CALLER_HEADER, DIGEST_HEADER, INPUT_HEADER, SIGNATURE_HEADER, Signature, WINDOW_SECONDS,
};

use tokio::time::timeout;

use super::envelope::Route;
use super::{ApiError, App};
use crate::clock;

/// For the whole of a body, which the edge has in hand when it begins to send.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The account on whose behalf the edge asks. A handler that takes it runs only behind
/// [`verify`].
#[derive(Clone, Debug)]
pub(super) struct Caller(pub(super) String);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| refused("the request carries no signature"))
    }
}

/// Lets only signed requests through, each once.
pub(super) async fn verify(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response, Infallible> {
    let route = Route::of(&request);
    let mut response = match identify(&app, request).await {
        Ok(request) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    Ok(response)
}

async fn identify(app: &App, request: Request) -> Result<Request, ApiError> {
    let (parts, body) = request.into_parts();
    let signed = Signed::of(&parts.headers)?;
    let covered = signature::Parts {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        content_digest: &signed.digest,
        caller: &signed.caller,
    };
    let now = clock::now().div_euclid(1000);
    let verified = signature::verify(&app.secrets, &covered, &signed.signature, now)
        .map_err(|error| refused(&error.to_string()))?;
    // Past this moment the signature is too old, whatever the nonce.
    let expires_at = verified.created + 2 * WINDOW_SECONDS;
    if !app
        .database
        .remember_nonce(&verified.nonce, expires_at)
        .await?
    {
        return Err(refused("the request was seen before"));
    }
    // Not before: nobody but the edge makes us hold 20 MiB.
    let body = read(&parts, body).await?;
    signature::verify_body(&signed.digest, &body).map_err(|error| refused(&error.to_string()))?;
    let mut request = Request::from_parts(parts, Body::from(body));
    request.extensions_mut().insert(Caller(signed.caller));
    Ok(request)
}

/// What the signature's headers say.
struct Signed {
    signature: Signature,
    digest: String,
    caller: String,
}

impl Signed {
    fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let text = |name| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value
                .map(ToOwned::to_owned)
                .ok_or_else(|| refused("the request carries no signature"))
        };
        Ok(Self {
            signature: Signature {
                input: text(INPUT_HEADER)?,
                signature: text(SIGNATURE_HEADER)?,
            },
            digest: text(DIGEST_HEADER)?,
            caller: text(CALLER_HEADER)?,
        })
    }
}

async fn read(parts: &Parts, body: Body) -> Result<Bytes, ApiError> {
    // The extractor knows the router's limit by the request's extensions.
    let request = Request::from_parts(parts.clone(), body);
    let not_whole = || Problem::new(Code::Malformed, "the body did not arrive whole").into();
    match timeout(BODY_TIMEOUT, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) if rejection.status().as_u16() == Code::TooLarge.status() => {
            Err(Problem::new(Code::TooLarge, "a body may have 20 MiB").into())
        }
        Ok(Err(_)) | Err(_) => Err(not_whole()),
    }
}

fn refused(why: &str) -> ApiError {
    tracing::warn!(why, "a request was refused");
    Problem::new(Code::Unauthorized, why).into()
}
