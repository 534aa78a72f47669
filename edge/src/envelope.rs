//! What every answer has, whatever it says: the headers that keep browsers from misusing it,
//! those for pages of other sites, and what it took to make it.

use std::rc::Rc;

use worker::Env;

use crate::border::Lines;
use crate::call::{Call, REQUEST_ID_HEADER};
use crate::cors::Cors;
use crate::observed::Observed;
use crate::reply::Reply;

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
    added: Rc<Lines>,
}

impl Envelope {
    /// Takes what is needed before the call is used up.
    pub fn of(call: &Call) -> Self {
        Self {
            env: call.env.clone(),
            is_https: call.site.starts_with("https://"),
            cors: Cors::of(call),
            observed: Rc::clone(&call.observed),
            added: Rc::clone(&call.added),
        }
    }

    /// Finishes the answer: it names the request.
    pub fn close(&self, reply: Reply, request_id: &str) -> worker::Result<web_sys::Response> {
        let added = &self.added;
        added.set(REQUEST_ID_HEADER, request_id);
        added.set("x-content-type-options", "nosniff");
        // A page of ours says itself what it needs.
        added.set_unless_there("content-security-policy", CONTENT_SECURITY_POLICY);
        added.set_unless_there("referrer-policy", "no-referrer");
        if self.is_https {
            added.set("strict-transport-security", TRANSPORT_SECURITY);
        }
        self.cors.allow(&reply.headers, added);
        self.observed.answered(&reply, added, &self.env);
        reply.leave(added)
    }
}
