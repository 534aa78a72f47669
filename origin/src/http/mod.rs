//! The HTTP door. The edge calls it, nobody else: every request but the health checks must
//! carry the edge's signature, which also says on whose behalf it comes.
//!
//! A request passes `envelope` (its id, its log line, the form of errors) and `identity`
//! (the signature, the caller) before it comes to its handler.

mod app;
mod envelope;
mod error;
mod etag;
mod events;
mod fetched;
mod generate;
mod health;
mod identity;
mod images;
mod job_routes;
mod models;
mod own_images;
mod pictures;
mod posts;
mod segment;
mod webhooks;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use darkroom_shared::request::MAX_BODY;

pub use app::App;
pub use error::ApiError;
pub use events::Tellers;

/// Every route.
pub fn router(app: App) -> Router {
    let signed = Router::new()
        .route("/api/media/generate-image", post(generate::generate))
        .route("/api/jobs", get(job_routes::list))
        .route(
            "/api/jobs/{id}",
            get(job_routes::show).delete(job_routes::cancel),
        )
        .route("/api/jobs/{id}/events", get(events::stream))
        .route("/api/jobs/{id}/readers", post(job_routes::share))
        .route("/api/images", get(images::list))
        .route("/api/images/{id}", get(images::show).delete(images::delete))
        .route("/api/images/{id}/restore", post(images::restore))
        .route("/api/images/{id}/versions", get(images::versions))
        .route("/api/images/{id}/regenerate", post(generate::regenerate))
        .route("/api/models", get(models::list))
        .route("/api/posts", get(posts::list).post(posts::create))
        .route(
            "/api/posts/{slug}",
            get(posts::show).patch(posts::change).delete(posts::delete),
        )
        .route("/api/posts/{slug}/restore", post(posts::restore))
        .route("/api/webhooks/deliveries", get(webhooks::list))
        .route(
            "/api/webhooks/deliveries/{id}/resend",
            post(webhooks::resend),
        )
        .route(
            "/api/webhooks/secret",
            get(webhooks::secret).post(webhooks::rotate),
        )
        .route("/generated/{file}", get(pictures::public))
        .route("/private/generated/{file}", get(pictures::private))
        .fallback(error::no_route)
        .method_not_allowed_fallback(error::no_method)
        .layer(from_fn_with_state(app.clone(), identity::verify))
        .layer(DefaultBodyLimit::max(MAX_BODY));
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .fallback_service(signed.with_state(app.clone()))
        .layer(from_fn_with_state(app.clone(), envelope::wrap))
        .with_state(app)
}
