//! The Worker's bindings, each looked up once: to ask the runtime for one costs more than to use it.

use std::cell::RefCell;

use wasm_bindgen::{JsCast as _, JsValue};
use worker::js_sys::Reflect;
use worker::{AnalyticsEngineDataset, Env};

use crate::kv::Namespace;
use crate::settings;

/// None of what is not bound.
#[derive(Clone, Default)]
struct Bindings {
    recipes: Option<Namespace>,
    keys: Option<Namespace>,
    burst: Option<JsValue>,
    analytics: Option<AnalyticsEngineDataset>,
    objects: Vec<(&'static str, JsValue)>,
}

thread_local! {
    static BINDINGS: RefCell<Option<Bindings>> = RefCell::default();
}

/// Finished recipes and marks of deleted pictures.
pub fn recipes(env: &Env) -> Option<Namespace> {
    of(env, |bindings| bindings.recipes.clone())
}

/// The API keys.
pub fn keys(env: &Env) -> Option<Namespace> {
    of(env, |bindings| bindings.keys.clone())
}

/// The platform's rate limiter.
pub fn burst(env: &Env) -> Option<JsValue> {
    of(env, |bindings| bindings.burst.clone())
}

/// Where requests are counted.
pub fn analytics(env: &Env) -> Option<AnalyticsEngineDataset> {
    of(env, |bindings| bindings.analytics.clone())
}

/// The Durable Objects of a class, by its binding.
pub fn objects(env: &Env, binding: &str) -> Option<JsValue> {
    of(env, |bindings| {
        let mut objects = bindings.objects.iter();
        let found = objects.find(|(name, _)| *name == binding);
        found.map(|(_, namespace)| namespace.clone())
    })
}

/// Forgets what was looked up: the bindings are others.
pub fn forget() {
    BINDINGS.take();
}

fn of<T>(env: &Env, what: impl Fn(&Bindings) -> T) -> T {
    BINDINGS.with_borrow_mut(|known| what(known.get_or_insert_with(|| look_up(env))))
}

fn look_up(env: &Env) -> Bindings {
    let bound = |name: &str| {
        let binding = Reflect::get(env, &JsValue::from_str(name)).ok();
        binding.filter(JsValue::is_object)
    };
    Bindings {
        recipes: bound(settings::RECIPES).map(JsValue::unchecked_into),
        keys: bound(settings::KEYS).map(JsValue::unchecked_into),
        burst: bound(settings::BURST),
        analytics: bound(settings::ANALYTICS).map(JsValue::unchecked_into),
        objects: [
            settings::KEY_ALLOWANCES,
            settings::FLIGHTS,
            settings::IDEMPOTENCY_KEYS,
        ]
        .into_iter()
        .filter_map(|name| Some((name, bound(name)?)))
        .collect(),
    }
}
