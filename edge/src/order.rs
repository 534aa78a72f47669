//! Handing a job in to the origin.

use std::time::Duration;

use darkroom_shared::deadline;
use darkroom_shared::trace::TraceParent;

use crate::auth::Caller;
use crate::failure::Failure;
use crate::origin::{self, Ask};
use crate::sending::Whole;
use crate::settings::Origin;

/// Where requests are handed in.
pub const GENERATE: &str = "/api/media/generate-image";

/// A job that is about to be handed in. Sent twice, it is still one job.
pub struct Order<'a> {
    /// The id that the job shall have.
    pub job: &'a str,
    /// Where it is handed in.
    pub path: &'a str,
    /// Whose it is.
    pub caller: &'a Caller,
    /// The caller's own label for it, which is in the body too.
    pub task_id: Option<&'a str>,
    /// The checked request, its seed in it.
    pub body: &'a [u8],
    /// The `Prefer` header, where there is one.
    pub prefer: Option<String>,
    /// The seconds that it comes to.
    pub wait: u32,
    /// Seconds within which the pictures are needed.
    pub deadline: Option<u32>,
    /// Passed on, so that both logs speak of one request.
    pub request_id: &'a str,
    /// Passed on, so that what the origin does is seen as a part of it.
    pub trace: TraceParent,
}

impl Order<'_> {
    /// Hands the job in. The origin waits for its pictures, and then answers "accepted".
    pub async fn hand_in(&self, origin: &Origin) -> Result<Whole, Failure> {
        let mut headers = Vec::new();
        if !self.body.is_empty() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        headers.extend(self.prefer.clone().map(|prefer| ("prefer", prefer)));
        let deadline = self.deadline.map(|seconds| seconds.to_string());
        headers.extend(deadline.map(|seconds| (deadline::HEADER, seconds)));
        let ask = Ask {
            method: "POST",
            path: self.path,
            // Signed with the rest.
            query: &self.caller.query_with_priority(format!("job={}", self.job)),
            caller: self.caller,
            request_id: self.request_id,
            headers,
            body: self.body,
            limit: self.limit(origin),
            // Under its own id, a job is one job however often it is handed in.
            may_repeat: true,
            trace: self.trace,
            observed: None,
        };
        origin::ask(origin, ask).await
    }

    /// How long the answer may take.
    pub fn limit(&self, origin: &Origin) -> Duration {
        Duration::from_secs(self.wait.into()).saturating_add(origin.timeout)
    }
}
