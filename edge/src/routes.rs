//! What is served: one table of paths and methods.

use darkroom_shared::key::parse_file_name;
use darkroom_shared::problem::{Code, Problem};
use darkroom_shared::scope::Scope;

use crate::auth::Caller;
use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::idempotency::{self, Kind};
use crate::{
    allowance, auth, cors, delivery, generate, health, images, keys, openai, passing, posts,
    respond,
};

/// The longest query, in bytes: nothing that callers are given to send back comes near.
const MAX_QUERY: usize = 4096;

/// Who answers.
#[derive(Clone, Copy)]
enum Action {
    /// Anybody may ask.
    Open(Open),
    /// Only a caller who has one of these scopes.
    For(&'static [Scope], Keyed),
    /// Anybody may ask; who comes with a key must have one of these scopes, and may see more.
    Public(&'static [Scope], Keyed),
}

#[derive(Clone, Copy)]
enum Open {
    Picture,
    PrivatePicture,
    Preflight,
    Health,
    Ready,
}

#[derive(Clone, Copy)]
enum Keyed {
    Generate,
    OpenAi(openai::Route),
    Pass,
    PassSecret,
    PassJob,
    PassEvents,
    DeleteImage,
    RestoreImage,
    Regenerate,
    ReadPosts,
    WritePost,
    MarkPost,
    CreateKey,
    ListKeys,
    RotateKey,
    RevokeKey,
    SignedUrl,
    SignedCookies,
}

/// To make pictures, and to stop making them.
const MAKER: &[Scope] = &[Scope::Generate];
/// To list what an account has.
const READER: &[Scope] = &[Scope::Read];
/// To see one thing whose id is known: who may make pictures may see what comes of it.
const EITHER: &[Scope] = &[Scope::Read, Scope::Generate];
/// To write posts.
const WRITER: &[Scope] = &[Scope::PostsWrite];
/// To see the account's posts that are not published.
const POSTS_READER: &[Scope] = &[Scope::Read, Scope::PostsWrite];
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
            ("GET", Action::For(EITHER, Keyed::PassJob)),
            ("DELETE", Action::For(MAKER, Keyed::PassJob)),
        ],
    ),
    Row(
        "/api/jobs/{id}/events",
        &[("GET", Action::For(EITHER, Keyed::PassEvents))],
    ),
    Row("/api/images", &[("GET", Action::For(READER, Keyed::Pass))]),
    Row(
        "/api/images/{id}",
        &[
            ("GET", Action::For(EITHER, Keyed::Pass)),
            ("DELETE", Action::For(MAKER, Keyed::DeleteImage)),
        ],
    ),
    Row(
        "/api/images/{id}/restore",
        &[("POST", Action::For(MAKER, Keyed::RestoreImage))],
    ),
    Row(
        "/api/images/{id}/versions",
        &[("GET", Action::For(EITHER, Keyed::Pass))],
    ),
    Row(
        "/api/images/{id}/regenerate",
        &[("POST", Action::For(MAKER, Keyed::Regenerate))],
    ),
    Row("/api/models", &[("GET", Action::For(EITHER, Keyed::Pass))]),
    Row(
        "/api/posts",
        &[
            ("GET", Action::Public(POSTS_READER, Keyed::ReadPosts)),
            ("POST", Action::For(WRITER, Keyed::WritePost)),
        ],
    ),
    Row(
        "/api/posts/{id}",
        &[
            ("GET", Action::Public(POSTS_READER, Keyed::ReadPosts)),
            ("PATCH", Action::For(WRITER, Keyed::WritePost)),
            ("DELETE", Action::For(WRITER, Keyed::MarkPost)),
        ],
    ),
    Row(
        "/api/posts/{id}/restore",
        &[("POST", Action::For(WRITER, Keyed::MarkPost))],
    ),
    Row(
        "/api/webhooks/deliveries",
        &[("GET", Action::For(READER, Keyed::Pass))],
    ),
    Row(
        "/api/webhooks/deliveries/{id}/resend",
        &[("POST", Action::For(MAKER, Keyed::Pass))],
    ),
    Row(
        "/api/webhooks/secret",
        &[
            ("GET", Action::For(MAKER, Keyed::PassSecret)),
            ("POST", Action::For(MAKER, Keyed::PassSecret)),
        ],
    ),
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
        "/api/images/{id}/signed-url",
        &[("POST", Action::For(EITHER, Keyed::SignedUrl))],
    ),
    Row(
        "/api/signed-cookies",
        &[("POST", Action::For(ADMIN, Keyed::SignedCookies))],
    ),
    Row(
        "/generated/{file}",
        &[
            ("GET", Action::Open(Open::Picture)),
            ("HEAD", Action::Open(Open::Picture)),
            ("OPTIONS", Action::Open(Open::Preflight)),
        ],
    ),
    Row(
        "/private/generated/{file}",
        &[
            ("GET", Action::Open(Open::PrivatePicture)),
            ("HEAD", Action::Open(Open::PrivatePicture)),
            ("OPTIONS", Action::Open(Open::Preflight)),
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
    let Some(Row(pattern, methods)) = TABLE.iter().find(|row| matches(row.0, &call.path)) else {
        return Err(not_found());
    };
    call.observed.took_route(pattern);
    if call.query.len() > MAX_QUERY {
        let detail = format!("the query may have at most {MAX_QUERY} bytes");
        return Err(Failure::new(Code::Malformed, detail));
    }
    let action = methods.iter().find(|(method, _)| *method == call.method);
    match action.map(|(_, action)| *action) {
        Some(Action::Open(Open::Picture)) => delivery::public(&call).await,
        Some(Action::Open(Open::PrivatePicture)) => delivery::private(&call).await,
        Some(Action::Open(Open::Preflight)) => Ok(delivery::preflight()),
        Some(Action::Open(Open::Health)) => Ok(health::healthz()),
        Some(Action::Open(Open::Ready)) => health::readyz(&call).await,
        Some(Action::Public(_, action)) if call.header("authorization").is_none() => {
            allowance::check_burst(&call, &auth::from(&call)).await?;
            answer(action, call, &Caller::ANONYMOUS).await
        }
        Some(Action::For(scopes, action) | Action::Public(scopes, action)) => {
            let caller = auth::caller(&call, scopes).await?;
            let kind = match action {
                Keyed::CreateKey | Keyed::RotateKey | Keyed::PassSecret => Kind::Secret,
                _ => Kind::Plain,
            };
            let work = async |call| keyed(action, call, &caller).await;
            idempotency::once(call, &caller, kind, work).await
        }
        None => wrong_method(&call, methods),
    }
}

async fn keyed(action: Keyed, call: Call, caller: &Caller) -> Answer {
    // Calls that make images are charged when it is known how many.
    let taken = match action {
        Keyed::Generate
        | Keyed::Regenerate
        | Keyed::OpenAi(openai::Route::Generations | openai::Route::Edits) => None,
        _ => allowance::requests(&call, caller).await?,
    };
    let answer = answer(action, call, caller).await;
    match taken {
        Some(taken) => taken.tell_in(answer),
        None => answer,
    }
}

async fn answer(action: Keyed, call: Call, caller: &Caller) -> Answer {
    match action {
        Keyed::Generate => generate::generate(call, caller).await,
        Keyed::OpenAi(route) => openai::answer(route, call, caller).await,
        Keyed::Pass | Keyed::PassSecret => passing::pass(&call, caller).await,
        Keyed::PassJob => passing::pass_job(&call, caller).await,
        Keyed::PassEvents => passing::pass_events(&call, caller).await,
        Keyed::DeleteImage => images::delete(&call, caller).await,
        Keyed::RestoreImage => images::restore(&call, caller).await,
        Keyed::Regenerate => generate::regenerate(call, caller).await,
        Keyed::ReadPosts => {
            let is_public = call.header("authorization").is_none();
            posts::read(&call, caller, is_public).await
        }
        Keyed::WritePost => posts::write(call, caller).await,
        Keyed::MarkPost => posts::mark(&call, caller).await,
        Keyed::CreateKey => keys::create(call).await,
        Keyed::ListKeys => keys::list(&call).await,
        Keyed::RotateKey => keys::rotate(call).await,
        Keyed::RevokeKey => keys::revoke(&call).await,
        Keyed::SignedUrl => delivery::signed_url(call, caller).await,
        Keyed::SignedCookies => delivery::signed_cookies(call).await,
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
    if let Some(answer) = cors::preflight(call, &allowed) {
        return answer;
    }
    let problem = Problem::new(Code::MethodNotAllowed, format!("this path takes {allowed}"));
    Ok(respond::problem(problem, &call.request_id).with("allow", allowed))
}
