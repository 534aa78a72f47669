//! A Durable Object's database: a statement's values cross the border together, and so do its rows.

use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::JsValue;
use worker::{SqlStorage, State};

use crate::{border, json};

/// The database of one object.
pub struct Sql {
    /// For values that JSON has no words for.
    pub storage: SqlStorage,
}

impl Sql {
    /// The database of the object whose state this is, with these tables.
    pub fn open(state: &State, tables: &[&str]) -> worker::Result<Self> {
        let sql = Self {
            storage: state.storage().sql(),
        };
        for table in tables {
            sql.run(table, ())?;
        }
        Ok(sql)
    }

    /// Runs a statement with these values, a tuple or a list.
    pub fn run(&self, statement: &str, values: impl Serialize) -> worker::Result<()> {
        self.exec(statement, values).map(drop)
    }

    /// The same; its rows are tuples, or lists of one value.
    pub fn rows<T: DeserializeOwned>(
        &self,
        statement: &str,
        values: impl Serialize,
    ) -> worker::Result<Vec<T>> {
        Ok(json::read(self.exec(statement, values)?)?)
    }

    fn exec(&self, statement: &str, values: impl Serialize) -> worker::Result<String> {
        let values = serde_json::to_string(&values)?;
        let storage: &JsValue = self.storage.as_ref();
        Ok(border::run_sql(storage, statement, &values)?)
    }
}
