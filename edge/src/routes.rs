//! What is served: one table of paths and methods.

use darkroom_shared::key::parse_file_name;
use darkroom_shared::problem::{Code, Problem};
use darkroom_shared::scope::Scope;

use crate::auth::Caller;
use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::{auth, generate, health, keys, openai, passing, pictures, respond};

/// The longest query, in bytes: nothing that callers are given to send back comes near.
const MAX_QUERY: usize = 4096;

/// Who answers.
#[derive(Clone, Copy)]
enum Action {
    /// Anybody may ask.
    Open(Open),
    /// Only a caller who has one of these scopes.
    For(&'static [Scope], Keyed),
}

#[derive(Clone, Copy)]
enum Open {
    Picture,
    Health,
    Ready,
}

#[derive(Clone, Copy)]
enum Keyed {
    Generate,
    OpenAi(openai::Route),
    Pass,
    PassEvents,
    CreateKey,
    ListKeys,
    RotateKey,
    RevokeKey,
}

/// To make pictures, and to stop making them.
const MAKER: &[Scope] = &[Scope::Generate];
/// To list what an account has.
const READER: &[Scope] = &[Scope::Read];
/// To see one thing whose id is known: who may make pictures may see what comes of it.
const EITHER: &[Scope] = &[Scope::Read, Scope::Generate];
/// To manage keys.
const ADMIN: &[Scope] = &[Scope::Admin];

/// A path, and who answers which method on it. `{id}` stands for one segment of letters,
/// digits, `-` and `_`; `{file}` for a picture's file name.
struct Row(&'static str, &'static [(&'static str, Action)]);

const TABLE: &[Row] = &[
    Row(
        "/api/media/generate-image",
        &[("POST", Action::For(MAKER, Keyed::Generate))],
    ),
    Row("/api/jobs", &[("GET", Action::For(READER, Keyed::Pass))]),
    Row(
        "/api/jobs/{id}",
        &[
            ("GET", Action::For(EITHER, Keyed::Pass)),
            ("DELETE", Action::For(MAKER, Keyed::Pass)),
        ],
    ),
    Row(
        "/api/jobs/{id}/events",
        &[("GET", Action::For(EITHER, Keyed::PassEvents))],
    ),
    Row(
        "/api/images/{id}",
        &[("GET", Action::For(EITHER, Keyed::Pass))],
    ),
    Row("/api/models", &[("GET", Action::For(EITHER, Keyed::Pass))]),
    Row(
        "/v1/images/generations",
        &[(
            "POST",
            Action::For(MAKER, Keyed::OpenAi(openai::Route::Generations)),
        )],
    ),
    Row(
        "/v1/images/edits",
        &[(
            "POST",
            Action::For(MAKER, Keyed::OpenAi(openai::Route::Edits)),
        )],
    ),
    Row(
        "/v1/models",
        &[(
            "GET",
            Action::For(EITHER, Keyed::OpenAi(openai::Route::Models)),
        )],
    ),
    Row(
        "/api/keys",
        &[
            ("GET", Action::For(ADMIN, Keyed::ListKeys)),
            ("POST", Action::For(ADMIN, Keyed::CreateKey)),
        ],
    ),
    Row(
        "/api/keys/{id}",
        &[("DELETE", Action::For(ADMIN, Keyed::RevokeKey))],
    ),
    Row(
        "/api/keys/{id}/rotate",
        &[("POST", Action::For(ADMIN, Keyed::RotateKey))],
    ),
    Row(
        "/generated/{file}",
        &[
            ("GET", Action::Open(Open::Picture)),
            ("HEAD", Action::Open(Open::Picture)),
        ],
    ),
    Row(
        "/healthz",
        &[
            ("GET", Action::Open(Open::Health)),
            ("HEAD", Action::Open(Open::Health)),
        ],
    ),
    Row(
        "/readyz",
        &[
            ("GET", Action::Open(Open::Ready)),
            ("HEAD", Action::Open(Open::Ready)),
        ],
    ),
];

/// Finds the call's row, and has it answered.
pub async fn dispatch(call: Call) -> Answer {
    let Some(Row(_, methods)) = TABLE.iter().find(|row| matches(row.0, &call.path)) else {
        return Err(not_found());
    };
    if call.query.len() > MAX_QUERY {
        let detail = format!("the query may have at most {MAX_QUERY} bytes");
        return Err(Failure::new(Code::Malformed, detail));
    }
    let action = methods.iter().find(|(method, _)| *method == call.method);
    match action.map(|(_, action)| *action) {
        Some(Action::Open(Open::Picture)) => pictures::serve(&call).await,
        Some(Action::Open(Open::Health)) => health::healthz(),
        Some(Action::Open(Open::Ready)) => health::readyz(&call).await,
        Some(Action::For(scopes, action)) => {
            let caller = auth::caller(&call, scopes).await?;
            keyed(action, call, &caller).await
        }
        None => wrong_method(&call, methods),
    }
}

async fn keyed(action: Keyed, call: Call, caller: &Caller) -> Answer {
    match action {
        Keyed::Generate => generate::generate(call, caller).await,
        Keyed::OpenAi(route) => openai::answer(route, call, caller).await,
        Keyed::Pass => passing::pass(&call, caller).await,
        Keyed::PassEvents => passing::pass_events(&call, caller).await,
        Keyed::CreateKey => keys::create(call).await,
        Keyed::ListKeys => keys::list(&call).await,
        Keyed::RotateKey => keys::rotate(call).await,
        Keyed::RevokeKey => keys::revoke(&call).await,
    }
}

/// What is said of things that are not there, whatever the reason.
pub fn not_found() -> Failure {
    Failure::new(Code::NotFound, "no such path, or nothing under it")
}

fn matches(pattern: &str, path: &str) -> bool {
    let mut found = path.split('/');
    let all_fit = pattern.split('/').all(|wanted| {
        found.next().is_some_and(|segment| match wanted {
            "{id}" => is_plain(segment),
            "{file}" => parse_file_name(segment).is_some(),
            literal => segment == literal,
        })
    });
    all_fit && found.next().is_none()
}

/// Nothing that a path could be played tricks with goes further than this.
fn is_plain(segment: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&segment.len()) && segment.bytes().all(is_plain)
}

fn wrong_method(call: &Call, methods: &[(&str, Action)]) -> Answer {
    let allowed: Vec<_> = methods.iter().map(|(method, _)| *method).collect();
    let allowed = allowed.join(", ");
    let problem = Problem::new(Code::MethodNotAllowed, format!("this path takes {allowed}"));
    let response = respond::problem(problem, &call.request_id)?;
    response.headers().set("allow", &allowed)?;
    Ok(response)
}
