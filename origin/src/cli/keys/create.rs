//! The flags of `darkroom keys create`.

use clap::Args;
use darkroom_shared::priority::Priority;
use darkroom_shared::scope::Scope;
use serde_json::{Map, Value, json};

/// What `darkroom keys create` takes. What is left out is the edge's to choose.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// A label
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Who owns what is made with the key; an account of its own unless told
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// generate, read, posts:write or admin, several parted by commas; generate,read unless told
    #[arg(long = "scopes", value_name = "SCOPES", value_delimiter = ',', value_parser = scope)]
    scopes: Vec<Scope>,
    /// Requests a minute
    #[arg(long, value_name = "NUMBER")]
    rate_per_minute: Option<u64>,
    /// Images a day
    #[arg(long, value_name = "NUMBER")]
    daily_images: Option<u64>,
    /// How its jobs stand beside others': low, normal or high; normal unless told
    #[arg(long, value_name = "PRIORITY", value_parser = priority)]
    priority: Option<Priority>,
    /// How long it is good, as 90, 15m, 12h or 30d; for good unless told
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    expires_in: Option<u64>,
    /// Until when it is good, as 2030-01-31T12:00:00Z
    #[arg(long, value_name = "MOMENT", conflicts_with = "expires_in")]
    expires_at: Option<String>,
}

impl CreateArgs {
    /// The request's body.
    pub fn body(&self) -> Value {
        let scopes = (!self.scopes.is_empty()).then(|| json!(self.scopes));
        let fields = [
            ("name", self.name.as_ref().map(|name| json!(name))),
            (
                "account",
                self.account.as_ref().map(|account| json!(account)),
            ),
            ("scopes", scopes),
            ("rate_per_minute", self.rate_per_minute.map(Value::from)),
            ("daily_images", self.daily_images.map(Value::from)),
            ("priority", self.priority.map(|priority| json!(priority))),
            ("expires_in", self.expires_in.map(Value::from)),
            ("expires_at", self.expires_at.as_ref().map(|at| json!(at))),
        ];
        let body: Map<String, Value> = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect();
        body.into()
    }
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text.trim()).ok_or_else(|| {
        let names: Vec<_> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        format!("there are {}", names.join(", "))
    })
}

fn priority(text: &str) -> Result<Priority, String> {
    Priority::parse(text).ok_or_else(|| {
        let names: Vec<_> = Priority::ALL.iter().map(|known| known.as_str()).collect();
        format!("there are {}", names.join(", "))
    })
}

/// Reads a number of seconds, or one of minutes, hours or days with its letter.
pub fn seconds(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((end, 's')) => (&text[..end], 1),
        Some((end, 'm')) => (&text[..end], 60),
        Some((end, 'h')) => (&text[..end], 3600),
        Some((end, 'd')) => (&text[..end], 86_400),
        _ => (text, 1),
    };
    let number: Option<u64> = number.parse().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| "must be a whole number of seconds, or one as 15m, 12h or 30d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_are_read_with_and_without_a_unit() {
        for (text, value) in [
            ("90", 90),
            ("90s", 90),
            ("15m", 900),
            ("12h", 43_200),
            ("7d", 604_800),
        ] {
            assert_eq!(seconds(text), Ok(value));
        }
        for text in ["", "d", "-1d", "1.5h", "1w", "é", "99999999999999999999d"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
