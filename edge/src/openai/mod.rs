//! `/v1`: OpenAI's images API, told in our own terms and back by `shared::openai`.
//!
//! What is asked, in JSON or as a [`form`], is handed to [`generate::make`] as a generate request
//! that does not wait; the job is then followed by its events ([`following`]), however long it takes,
//! and its pictures are answered in one document or one by one ([`telling`]). Errors of every layer
//! get their shape on the way out ([`errors`]).

mod errors;
mod following;
mod form;
mod telling;

use darkroom_shared::job::Generated;
use darkroom_shared::openai::{Asked, Kind, answer};
use darkroom_shared::prefer::Prefer;
use darkroom_shared::problem::{Code, Problem};
use darkroom_shared::request::MAX_BODY;
use serde_json::{Map, Value};

use crate::auth::Caller;
use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::sending::unreachable_origin;
use crate::{body, generate, models, respond, settings};
pub use errors::translated;
use following::Following;

/// Everything that is served here begins so.
pub const PREFIX: &str = "/v1/";

/// Bytes of a body beside its texts: names, numbers, and what has to be escaped in two prompts.
const MARKS: usize = 64 * 1024;

/// Waiting is done on the job's events, which no proxy cuts short.
const AT_ONCE: Prefer = Prefer {
    respond_async: true,
    wait: None,
};

/// Which of its routes.
#[derive(Clone, Copy)]
pub enum Route {
    Generations,
    Edits,
    Models,
}

/// Answers one of them.
pub async fn answer(route: Route, call: Call, caller: &Caller) -> Answer {
    match route {
        Route::Generations => images(Kind::Generation, call, caller).await,
        Route::Edits => images(Kind::Edit, call, caller).await,
        Route::Models => list_models(&call).await,
    }
}

async fn images(kind: Kind, mut call: Call, caller: &Caller) -> Answer {
    let origin = settings::origin(&call.env)?;
    let models = models::offered(&call, &origin).await;
    let models = models.as_deref().unwrap_or_default();
    let asked = if kind == Kind::Edit && form::is_one(&call) {
        Asked::from_form(kind, form::read(&mut call).await?, models)
    } else {
        let body = body::read_json(&mut call, MAX_BODY).await?;
        Asked::from_json(kind, &body, models)
    };
    let Asked {
        body,
        look,
        stream,
        by_url,
    } = asked?;
    let body = written(body)?;
    let made = generate::make(&call, caller, body, AT_ONCE).await?;
    let answer = async {
        if !(200..300).contains(&made.answer.status) {
            return respond::relay(&call, &made.answer, &origin).await;
        }
        let generated: Generated = made.answer.json().map_err(|_| unreachable_origin())?;
        let following = Following::new(call, caller.clone(), origin, generated);
        if stream {
            telling::events(following, look)
        } else {
            telling::document(following, look, by_url).await
        }
    };
    made.tell_in(answer.await)
}

async fn list_models(call: &Call) -> Answer {
    let origin = settings::origin(&call.env)?;
    let models = models::offered(call, &origin).await;
    let unknown = || Failure::new(Code::Unavailable, "the origin does not say what it offers");
    let models = models.ok_or_else(unknown)?;
    Ok(respond::json(200, &answer::models(&models)))
}

/// The fields as a body, in no more room than it takes: pictures may be among them.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the fields end here: pictures are not kept twice"
)]
fn written(fields: Map<String, Value>) -> Result<Vec<u8>, Problem> {
    let texts = fields.values().filter_map(Value::as_str).map(str::len);
    let mut body = Vec::with_capacity(texts.sum::<usize>().saturating_add(MARKS));
    let written = serde_json::to_writer(&mut body, &fields);
    written.map_err(|_| Problem::new(Code::Internal, "the request cannot be written"))?;
    Ok(body)
}
