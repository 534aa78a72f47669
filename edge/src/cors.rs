//! Pages of other sites (CORS): which of them may call the API, and what they may see.

use crate::border::Lines;
use crate::call::Call;
use crate::failure::Answer;
use crate::reply::{Headers, Reply};
use crate::settings;

const ALLOW_ORIGIN: &str = "access-control-allow-origin";
/// What a page may send: anything, since no browser adds a secret of its own, and OpenAI's client
/// has a dozen headers that only it knows. The star does not take in `authorization` (Fetch, "CORS
/// non-wildcard request-header name").
const ALLOWED_HEADERS: &str = "authorization, *";
/// What a page may read: all that anybody may.
const EXPOSED_HEADERS: &str = "*";
/// Two hours: browsers do not remember it for longer.
const MAX_AGE_SECONDS: &str = "7200";

/// What a call's answer says of it.
pub struct Cors {
    /// Whether any page may call.
    is_on: bool,
    /// Who this one's page may be, where there is one that may.
    allowed: Option<String>,
}

impl Cors {
    /// Looks where the call comes from. Where the setting is wrong, and its log says so, no page
    /// may call.
    pub fn of(call: &Call) -> Self {
        let setting = settings::allowed_origins(&call.env).ok().flatten();
        let origin = call.header("origin");
        let allowed = setting.as_ref().zip(origin.as_deref());
        Self {
            is_on: setting.is_some(),
            allowed: allowed
                .and_then(|(setting, origin)| setting.allow(origin))
                .map(str::to_owned),
        }
    }

    /// Says in an answer who may read it. A picture says that everybody may.
    pub fn allow(&self, headers: &Headers, added: &Lines) {
        if !self.is_on || added.has(ALLOW_ORIGIN) || headers.has(ALLOW_ORIGIN) {
            return;
        }
        headers.append("vary", "Origin");
        if let Some(allowed) = &self.allowed {
            added.set(ALLOW_ORIGIN, allowed);
            added.set("access-control-expose-headers", EXPOSED_HEADERS);
        }
    }
}

/// Answers a browser that asks whether a page may make a call, on a path that takes `methods`;
/// none where it may not, or where that is not what is asked. No key comes with the question.
pub fn preflight(call: &Call, methods: &str) -> Option<Answer> {
    let asks = call.method == "OPTIONS" && call.header("access-control-request-method").is_some();
    let may = asks && Cors::of(call).allowed.is_some();
    may.then(|| {
        Ok(Reply::new(204)
            .with("access-control-allow-methods", methods)
            .with("access-control-allow-headers", ALLOWED_HEADERS)
            .with("access-control-max-age", MAX_AGE_SECONDS))
    })
}
