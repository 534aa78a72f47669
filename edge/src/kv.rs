//! Workers KV, which spreads what is written within a minute or so.

use serde::Deserialize;
use serde_json::Value;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::js_sys::Promise;
use worker::js_sys::futures::JsFuture;

use crate::{border, json};

#[wasm_bindgen]
extern "C" {
    /// A namespace.
    #[derive(Clone)]
    pub type Namespace;
    #[wasm_bindgen(method)]
    fn get(this: &Namespace, name: &str) -> Promise;
    #[wasm_bindgen(method)]
    fn delete(this: &Namespace, name: &str) -> Promise;
}

/// A page of what is in a namespace.
#[derive(Deserialize)]
pub struct Listed {
    /// In the order of their names.
    pub keys: Vec<Entry>,
    list_complete: bool,
    cursor: Option<String>,
}

/// A name that something lies under.
#[derive(Deserialize)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// What lies beside the text.
    #[serde(default)]
    pub metadata: Value,
}

impl Namespace {
    /// The text under a name.
    pub async fn read(&self, name: &str) -> worker::Result<Option<String>> {
        Ok(JsFuture::from(self.get(name)).await?.as_string())
    }

    /// Keeps a text under a name; `options` are `put`'s own.
    pub async fn keep(&self, name: &str, text: &str, options: &Value) -> worker::Result<()> {
        let kept = border::put_text(self, name, text, &options.to_string());
        JsFuture::from(kept).await?;
        Ok(())
    }

    /// Forgets a name.
    pub async fn forget(&self, name: &str) -> worker::Result<()> {
        JsFuture::from(self.delete(name)).await?;
        Ok(())
    }

    /// Lists names; `options` are `list`'s own.
    pub async fn list(&self, options: &Value) -> worker::Result<Listed> {
        let listed = JsFuture::from(border::list_names(self, &options.to_string())).await?;
        Ok(json::read(listed.as_string().unwrap_or_default())?)
    }
}

impl Listed {
    /// Where the next page begins, if there is one.
    pub fn next(self) -> Option<String> {
        self.cursor.filter(|_| !self.list_complete)
    }
}
