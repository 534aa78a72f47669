//! What every answer has, whatever it says: the headers that keep browsers from misusing it,
//! those for pages of other sites, and what it took to make it.

use std::rc::Rc;

use worker::{Env, Headers, Response};

use crate::call::Call;
use crate::cors::Cors;
use crate::observed::Observed;

/// An answer of the API, opened as a page, may load nothing, run nothing and be framed nowhere.
/// The same goes for a picture.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
/// A year, as browsers' own lists ask for.
const TRANSPORT_SECURITY: &str = "max-age=31536000";

/// What has to be known of a request when its answer is there.
pub struct Envelope {
    env: Env,
    is_https: bool,
    cors: Cors,
    observed: Rc<Observed>,
}

impl Envelope {
    /// Takes what is needed before the call is used up.
    pub fn of(call: &Call) -> Self {
        Self {
            env: call.env.clone(),
            is_https: call.site.starts_with("https://"),
            cors: Cors::of(call),
            observed: Rc::clone(&call.observed),
        }
    }

    /// Finishes the answer.
    pub fn close(&self, response: Response) -> worker::Result<Response> {
        let headers = response.headers();
        headers.set("x-content-type-options", "nosniff")?;
        // A page of ours says itself what it needs.
        set_unless_there(headers, "content-security-policy", CONTENT_SECURITY_POLICY)?;
        set_unless_there(headers, "referrer-policy", "no-referrer")?;
        if self.is_https {
            headers.set("strict-transport-security", TRANSPORT_SECURITY)?;
        }
        self.cors.allow(headers)?;
        self.observed.answered(&response, &self.env)?;
        Ok(response)
    }
}

fn set_unless_there(headers: &Headers, name: &str, value: &str) -> worker::Result<()> {
    if headers.has(name)? {
        return Ok(());
    }
    headers.set(name, value)
}
