//! What is served: one table of paths and methods.

use darkroom_shared::key::parse_file_name;
use darkroom_shared::problem::{Code, Problem};

use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::{generate, health, passing, pictures, respond};

/// The longest query, in bytes: nothing that callers are given to send back comes near.
const MAX_QUERY: usize = 4096;

/// Who answers.
#[derive(Clone, Copy)]
enum Action {
    Generate,
    Pass,
    PassEvents,
    Picture,
    Health,
    Ready,
}

/// A path, and who answers which method on it. `{id}` stands for one segment of letters,
/// digits, `-` and `_`; `{file}` for a picture's file name.
struct Row(&'static str, &'static [(&'static str, Action)]);

const TABLE: &[Row] = &[
    Row("/api/media/generate-image", &[("POST", Action::Generate)]),
    Row("/api/jobs", &[("GET", Action::Pass)]),
    Row(
        "/api/jobs/{id}",
        &[("GET", Action::Pass), ("DELETE", Action::Pass)],
    ),
    Row("/api/jobs/{id}/events", &[("GET", Action::PassEvents)]),
    Row("/api/images/{id}", &[("GET", Action::Pass)]),
    Row("/api/models", &[("GET", Action::Pass)]),
    Row(
        "/generated/{file}",
        &[("GET", Action::Picture), ("HEAD", Action::Picture)],
    ),
    Row(
        "/healthz",
        &[("GET", Action::Health), ("HEAD", Action::Health)],
    ),
    Row(
        "/readyz",
        &[("GET", Action::Ready), ("HEAD", Action::Ready)],
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
        Some(Action::Generate) => generate::generate(call).await,
        Some(Action::Pass) => passing::pass(&call).await,
        Some(Action::PassEvents) => passing::pass_events(&call).await,
        Some(Action::Picture) => pictures::serve(&call).await,
        Some(Action::Health) => health::healthz(),
        Some(Action::Ready) => health::readyz(&call).await,
        None => wrong_method(&call, methods),
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
