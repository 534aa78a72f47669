//! Keys in Workers KV. `key:<id>` holds a key's record: the one truth, written at once and read
//! last. `digest:<SHA-256>` only leads from a text to its record, so that one that leads nowhere
//! or to a record that does not know it opens nothing. Beside it is when it was written.
//!
//! KV spreads what is written within a minute or so; until then other places go on with what
//! they have.

use darkroom_shared::keys::{Key, KeyRecord, ListKeys};
use darkroom_shared::problem::{Code, FieldError, Problem};
use serde_json::{Value, json};
use worker::Env;

use crate::call::{Call, now};
use crate::failure::Failure;
use crate::kv::{Entry, Listed, Namespace};
use crate::{bindings, json, log, settings};

/// Where records are, by id.
pub(super) const RECORD: &str = "key:";
/// Where a text's record is found, by digest.
pub(super) const DIGEST: &str = "digest:";
/// Where the clean-up goes on.
const PLACE: &str = "clean-up:cursor";
/// What lies beside a digest.
pub(super) const WRITTEN_AT: &str = "written_at";

/// The keys.
pub struct Store<'a> {
    kv: Namespace,
    request_id: &'a str,
}

/// A page of the list.
pub struct ListPage {
    /// The keys, oldest first.
    pub items: Vec<Key>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
}

impl<'a> Store<'a> {
    /// The keys that are bound to this Worker.
    pub fn open(call: &'a Call) -> Result<Self, Failure> {
        Self::bound(&call.env, &call.request_id)
    }

    /// The same, where no caller asks.
    pub fn bound(env: &Env, request_id: &'a str) -> Result<Self, Failure> {
        let kv = bindings::keys(env).ok_or_else(|| settings::unbound(settings::KEYS))?;
        Ok(Self { kv, request_id })
    }

    /// The record that a digest leads to.
    pub async fn by_digest(&self, digest: &str) -> Result<Option<KeyRecord>, Failure> {
        match self.read(&format!("{DIGEST}{digest}")).await? {
            Some(id) => self.by_id(&id).await,
            None => Ok(None),
        }
    }

    /// A key's record.
    pub async fn by_id(&self, id: &str) -> Result<Option<KeyRecord>, Failure> {
        let text = self.read(&format!("{RECORD}{id}")).await?;
        let record = text.map(json::read).transpose();
        record.map_err(|error| {
            let message = format_args!("the key {id} cannot be read: {error}");
            log::error(self.request_id, message);
            Failure::new(Code::Internal, "the key's record cannot be read")
        })
    }

    /// Stores a record. It counts from when it is written, which comes last.
    pub async fn put(&self, record: &KeyRecord) -> Result<(), Failure> {
        for digest in record.digests() {
            let name = format!("{DIGEST}{digest}");
            let beside = json!({ WRITTEN_AT: now() });
            self.write(&name, &record.key.id, &beside).await?;
        }
        let json = serde_json::to_string(record).map_err(worker::Error::from)?;
        let name = format!("{RECORD}{}", record.key.id);
        self.write(&name, &json, &json!(record.key)).await
    }

    /// Forgets a key, and with it all its texts.
    pub async fn delete(&self, record: &KeyRecord) -> Result<(), Failure> {
        let name = format!("{RECORD}{}", record.key.id);
        let deleted = self.kv.forget(&name).await;
        deleted.map_err(|error| self.unreachable(&error))?;
        self.tidy(record.digests()).await;
        Ok(())
    }

    /// Forgets digests that no record knows. One that stays leads nowhere.
    pub async fn tidy(&self, digests: impl Iterator<Item = &str>) {
        for digest in digests {
            if let Err(error) = self.kv.forget(&format!("{DIGEST}{digest}")).await {
                log::warn(
                    self.request_id,
                    format_args!("a digest is left over: {error}"),
                );
            }
        }
    }

    /// Up to so many of all entries, whatever they are, from where the last look ended.
    pub async fn entries(&self, limit: u64, cursor: Option<String>) -> Result<Listed, Failure> {
        let mut options = json!({ "limit": limit });
        set_cursor(&mut options, cursor);
        let entries = self.kv.list(&options).await;
        entries.map_err(|error| self.unreachable(&error))
    }

    /// Where the last look at all entries ended, if it was not at their end.
    pub async fn place(&self) -> Result<Option<String>, Failure> {
        let place = self.read(PLACE).await?;
        Ok(place.filter(|place| !place.is_empty()))
    }

    /// Remembers where a look ended: nowhere, at their end.
    pub async fn set_place(&self, cursor: &str) -> Result<(), Failure> {
        self.write(PLACE, cursor, &Value::Null).await
    }

    /// A page of the keys. What is shown of each lies beside its record: one question for all.
    pub async fn list(&self, page: ListKeys) -> Result<ListPage, Failure> {
        let mut options = json!({ "prefix": RECORD, "limit": page.limit });
        let has_cursor = page.cursor.is_some();
        set_cursor(&mut options, page.cursor);
        let mut found = self.kv.list(&options).await.map_err(|error| {
            let failure = self.unreachable(&error);
            // The store does not say which of the two it is.
            if has_cursor { bad_cursor() } else { failure }
        })?;
        Ok(ListPage {
            items: std::mem::take(&mut found.keys)
                .into_iter()
                .filter_map(|kept| self.shown(&kept))
                .collect(),
            next_cursor: found.next().map(|cursor| ListKeys::next_cursor(&cursor)),
        })
    }

    fn shown(&self, kept: &Entry) -> Option<Key> {
        let key = json::read(kept.metadata.to_string());
        key.inspect_err(|error| {
            let name = &kept.name;
            let message = format_args!("{name} is left out, since it cannot be read: {error}");
            log::error(self.request_id, message);
        })
        .ok()
    }

    async fn read(&self, name: &str) -> Result<Option<String>, Failure> {
        let text = self.kv.read(name).await;
        text.map_err(|error| self.unreachable(&error))
    }

    async fn write(&self, name: &str, value: &str, beside: &Value) -> Result<(), Failure> {
        let options = json!({ "metadata": beside });
        let written = self.kv.keep(name, value, &options).await;
        written.map_err(|error| self.unreachable(&error))
    }

    fn unreachable(&self, error: &worker::Error) -> Failure {
        log::error(
            self.request_id,
            format_args!("the store of keys failed: {error}"),
        );
        Failure::new(Code::Unavailable, "the keys cannot be reached at present")
    }
}

fn set_cursor(options: &mut Value, cursor: Option<String>) {
    if let (Some(cursor), Some(options)) = (cursor, options.as_object_mut()) {
        options.insert("cursor".to_owned(), cursor.into());
    }
}

fn bad_cursor() -> Failure {
    let error = FieldError {
        field: "cursor".to_owned(),
        message: "must be a `next_cursor` of this list".to_owned(),
    };
    Problem::fields(Code::Invalid, vec![error]).into()
}
