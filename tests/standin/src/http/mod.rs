//! The routes of the API port.

pub mod actions;
pub mod body;
pub mod caller;
pub mod canonical_urls;
pub mod exports;
pub mod functions;
pub mod imports;
pub mod layers;
pub mod meta;
pub mod push;
pub mod variables;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Method;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, get, post};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::deployment::Deployment;
use crate::faults::{self, Control};
use crate::metrics;
use crate::sync;

/// All routes, the control surface included. `timeout` is how long a handler may take.
pub fn router(deployment: Arc<Deployment>, control: Arc<Control>, timeout: Duration) -> Router {
    let api = Router::new()
        .route("/check_admin_key", get(meta::check_admin_key))
        .route("/update_environment_variables", post(variables::update))
        .route("/list_environment_variables", get(variables::list))
        .route("/update_canonical_url", post(canonical_urls::update))
        .route(
            "/query",
            get(functions::query_by_address).post(functions::query),
        )
        .route("/mutation", post(functions::mutation))
        .route("/action", post(functions::action))
        .route("/function", post(functions::any))
        .route("/run/{*address}", post(functions::by_address))
        .route("/get_config_hashes", post(push::config_hashes))
        .nest("/deploy2", deploy())
        .route("/export/request/zip", post(exports::request))
        .route("/export/zip/{name}", get(exports::file))
        .merge(import())
        .route("/sync", get(sync::upgrade))
        .route("/{version}/sync", get(sync::upgrade))
        .nest("/v1", v1());

    Router::new()
        .route("/", get(meta::root))
        .route("/instance_name", get(meta::instance_name))
        .route("/instance_version", get(meta::version))
        .route("/echo", post(meta::echo))
        .nest("/api", api)
        .layer(cors())
        .route("/version", get(meta::version))
        .route("/metrics", get(metrics::answer))
        .route("/http/", any(actions::answer))
        .route("/http/{*rest}", any(actions::answer))
        .with_state(deployment)
        .layer(from_fn(layers::client_version))
        .layer(from_fn_with_state(timeout, layers::time_limit))
        .layer(from_fn_with_state(control.clone(), faults::intervene))
        .layer(from_fn(layers::log))
        .merge(faults::routes::router(control))
}

/// The push of functions. Their schema is not evaluated, which the command line does without.
fn deploy() -> Router<Arc<Deployment>> {
    Router::new()
        .route("/evaluate_push", post(push::evaluate))
        .route("/start_push", post(push::start))
        .route("/wait_for_schema", post(push::wait_for_schema))
        .route("/finish_push", post(push::finish))
        .route("/report_push_completed", post(push::report))
        .layer(DefaultBodyLimit::max(push::BODY_LIMIT))
}

/// The import of a snapshot. Parts have any length.
fn import() -> Router<Arc<Deployment>> {
    Router::new()
        .route("/import/start_upload", post(imports::start_upload))
        .route("/import/upload_part", post(imports::upload_part))
        .route("/import/finish_upload", post(imports::finish_upload))
        .route("/perform_import", post(imports::perform))
        .layer(DefaultBodyLimit::disable())
}

/// The versioned API. Paths that belong together share their methods: a GET on the path for updates lists, a POST on
/// the path for lists updates (observed on the variables).
fn v1() -> Router<Arc<Deployment>> {
    // The order is that of the `allow` header (observed).
    let variables = post(variables::update).get(variables::list);
    let canonical_urls = post(canonical_urls::update).get(canonical_urls::get);
    Router::new()
        .route("/list_environment_variables", variables.clone())
        .route("/update_environment_variables", variables)
        .route("/get_canonical_urls", canonical_urls.clone())
        .route("/update_canonical_url", canonical_urls)
        .route("/deployment_info", get(meta::deployment_info))
        .route("/openapi.json", get(meta::openapi))
}

/// Any page may call, with credentials, from any origin.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::OPTIONS,
            Method::PATCH,
            Method::DELETE,
            Method::PUT,
        ])
        .allow_credentials(true)
        .max_age(Duration::from_hours(24))
}
