//! The edge: a Cloudflare Worker between the world and the origin.
//!
//! A request becomes a [`call::Call`] (its parts, and an id), finds its handler in the one table of
//! [`routes`], proves who asks ([`auth`], by a key that [`keys`] knows or by one of [`tokens`]),
//! and is answered: generate calls are checked by what the origin offers ([`models`]) and given a
//! seed ([`generate`]), other API calls are passed on as they are ([`passing`]), OpenAI's clients
//! find their own API ([`openai`]), keys are managed here ([`keys`]), pictures come from the cache
//! or the origin ([`pictures`]), health ([`health`]) needs neither key nor signature. All that goes
//! to the origin goes through [`origin`], signed, and on through [`sending`], within a limit of
//! time; all that comes back to the caller goes through [`respond`].
//!
//! Rules and wire formats are `darkroom-shared`'s: here is only what needs a Worker.

mod auth;
mod body;
mod call;
mod failure;
mod generate;
mod health;
mod keys;
mod models;
mod openai;
mod origin;
mod passing;
mod pictures;
mod random;
mod respond;
mod routes;
mod sending;
mod settings;
mod tokens;

use worker::{Context, Env, Request, Response, event};

#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> worker::Result<Response> {
    let call = call::Call::new(request, env, context);
    let (path, request_id) = (call.path.clone(), call.request_id.clone());
    respond::finish(routes::dispatch(call).await, &path, &request_id)
}
