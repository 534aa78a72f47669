//! Keys in Workers KV. `key:<id>` holds a key's record: the one truth, written at once and read
//! last. `digest:<SHA-256>` only leads from a text to its record, so that one that leads nowhere
//! or to a record that does not know it opens nothing.
//!
//! KV spreads what is written within a minute or so; until then other places go on with what
//! they have.

use darkroom_shared::keys::{Key, KeyRecord, ListKeys};
use darkroom_shared::problem::{Code, FieldError, Problem};
use worker::kv::{KvError, KvStore};
use worker::{Env, console_error, console_warn};

use crate::call::Call;
use crate::failure::Failure;
use crate::settings;

/// Where records are, by id.
const RECORD: &str = "key:";
/// Where a text's record is found, by digest.
const DIGEST: &str = "digest:";

/// The keys.
pub struct Store<'a> {
    kv: KvStore,
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
        Ok(Self {
            kv: bound(&call.env)?,
            request_id: &call.request_id,
        })
    }

    /// The record that a digest leads to.
    pub async fn by_digest(&self, digest: &str) -> Result<Option<KeyRecord>, Failure> {
        let id = self.kv.get(&format!("{DIGEST}{digest}")).text().await;
        match id.map_err(|error| self.unreachable(&error))? {
            Some(id) => self.by_id(&id).await,
            None => Ok(None),
        }
    }

    /// A key's record.
    pub async fn by_id(&self, id: &str) -> Result<Option<KeyRecord>, Failure> {
        let text = self.kv.get(&format!("{RECORD}{id}")).text().await;
        let text = text.map_err(|error| self.unreachable(&error))?;
        let record = text.as_deref().map(serde_json::from_str).transpose();
        record.map_err(|error| {
            console_error!("{}: the key {id} cannot be read: {error}", self.request_id);
            Failure::new(Code::Internal, "the key's record cannot be read")
        })
    }

    /// Stores a record. It counts from when it is written, which comes last.
    pub async fn put(&self, record: &KeyRecord) -> Result<(), Failure> {
        for digest in record.digests() {
            self.write(&format!("{DIGEST}{digest}"), &record.key.id, None)
                .await?;
        }
        let json = serde_json::to_string(record).map_err(worker::Error::from)?;
        let name = format!("{RECORD}{}", record.key.id);
        self.write(&name, &json, Some(&record.key)).await
    }

    /// Forgets a key, and with it all its texts.
    pub async fn delete(&self, record: &KeyRecord) -> Result<(), Failure> {
        let name = format!("{RECORD}{}", record.key.id);
        let deleted = self.kv.delete(&name).await;
        deleted.map_err(|error| self.unreachable(&error))?;
        self.tidy(record.digests()).await;
        Ok(())
    }

    /// Forgets digests that no record knows. One that stays leads nowhere.
    pub async fn tidy(&self, digests: impl Iterator<Item = &str>) {
        for digest in digests {
            if let Err(error) = self.kv.delete(&format!("{DIGEST}{digest}")).await {
                console_warn!("{}: a digest is left over: {error}", self.request_id);
            }
        }
    }

    /// A page of the keys. What is shown of each lies beside its record: one question for all.
    pub async fn list(&self, page: ListKeys) -> Result<ListPage, Failure> {
        let mut list = self.kv.list().prefix(RECORD.to_owned()).limit(page.limit);
        let has_cursor = page.cursor.is_some();
        if let Some(cursor) = page.cursor {
            list = list.cursor(cursor);
        }
        let found = list.execute().await.map_err(|error| {
            let failure = self.unreachable(&error);
            // The store does not say which of the two it is.
            if has_cursor { bad_cursor() } else { failure }
        })?;
        Ok(ListPage {
            items: found
                .keys
                .into_iter()
                .filter_map(|kept| self.shown(kept))
                .collect(),
            next_cursor: found
                .cursor
                .filter(|_| !found.list_complete)
                .map(|cursor| ListKeys::next_cursor(&cursor)),
        })
    }

    fn shown(&self, kept: worker::kv::Key) -> Option<Key> {
        let key = serde_json::from_value(kept.metadata.unwrap_or_default());
        key.inspect_err(|error| {
            let (id, name) = (self.request_id, &kept.name);
            console_error!("{id}: {name} is left out, since it cannot be read: {error}");
        })
        .ok()
    }

    async fn write(&self, name: &str, value: &str, shown: Option<&Key>) -> Result<(), Failure> {
        let written = async {
            let put = self.kv.put(name, value)?;
            match shown {
                Some(key) => put.metadata(key)?.execute().await,
                None => put.execute().await,
            }
        };
        written.await.map_err(|error| self.unreachable(&error))
    }

    fn unreachable(&self, error: &KvError) -> Failure {
        console_error!("{}: the store of keys failed: {error}", self.request_id);
        Failure::new(Code::Unavailable, "the keys cannot be reached at present")
    }
}

fn bound(env: &Env) -> Result<KvStore, Failure> {
    env.kv(settings::KEYS)
        .map_err(|_| settings::wrong(settings::KEYS, "is not bound to a KV namespace"))
}

fn bad_cursor() -> Failure {
    let error = FieldError {
        field: "cursor".to_owned(),
        message: "must be a `next_cursor` of this list".to_owned(),
    };
    Problem::fields(Code::Invalid, vec![error]).into()
}
