//! Keys for people to read.

use anyhow::Context as _;
use darkroom_shared::keys::Key;
use darkroom_shared::timestamp::to_rfc3339;
use serde_json::Value;

use super::Failure;
use crate::cli::edge::read;
use crate::cli::print;

const HEAD: [&str; 7] = [
    "id", "name", "account", "scopes", "priority", "created", "expires",
];

/// A key that was just made or rotated, with its text.
pub fn issued(answer: &Value) -> Result<String, Failure> {
    let text = answer.get("key").and_then(Value::as_str);
    let text = text.context("the edge's answer holds no key")?;
    let key: Key = read(answer)?;
    let [id, name, account, scopes, priority, _, expires] = cells(&key);
    Ok(format!(
        "{text}\n\n\
         id       {id}\n\
         name     {name}\n\
         account  {account}\n\
         scopes   {scopes}\n\
         priority {priority}\n\
         expires  {expires}\n\n\
         Keep the first line: it is stored nowhere, and not shown again.\n"
    ))
}

/// All keys, a line each.
pub fn list(keys: &[Key]) -> String {
    if keys.is_empty() {
        return "There are no keys but the first: `darkroom keys create` makes one.\n".to_owned();
    }
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(keys.iter().map(cells));
    print::table(&rows)
}

fn cells(key: &Key) -> [String; HEAD.len()] {
    let scopes: Vec<_> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    [
        key.id.clone(),
        key.name.clone().unwrap_or_else(|| "-".to_owned()),
        key.account.clone(),
        scopes.join(","),
        key.priority.as_str().to_owned(),
        to_rfc3339(key.created_at),
        key.expires_at
            .map_or_else(|| "never".to_owned(), to_rfc3339),
    ]
}
