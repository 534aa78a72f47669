//! What a token says, and what of it counts.

use serde::Deserialize;
use serde_json::Value;

use super::JwtError;
use crate::scope::Scope;

/// How far the issuer's clock may be off.
pub const LEEWAY_SECONDS: i64 = 60;
/// In bytes: `OpenID` Connect's own limit.
const MAX_SUBJECT: usize = 255;

/// A token's claims (RFC 7519, 4.1), as they were sent.
#[derive(Clone, Debug, Deserialize)]
pub struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<OneOrMany>,
    exp: Option<f64>,
    nbf: Option<f64>,
    /// Parted by spaces (RFC 8693, 4.2), or a list.
    scope: Option<Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// Whose tokens are taken, and for whom they must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// `iss`, letter by letter.
    pub issuer: String,
    /// One of `aud`.
    pub audience: String,
}

/// Who came with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// `jwt:`, the issuer, `#` and the subject: no key's account has a colon.
    pub account: String,
    /// Those of its scopes that there are here.
    pub scopes: Vec<Scope>,
}

impl Claims {
    /// Checks the claims at the time `now`, in Unix seconds.
    ///
    /// # Errors
    /// [`JwtError`] for the first that is not as it must be.
    pub fn check(&self, expected: &Expected, now: i64) -> Result<Verified, JwtError> {
        if self.iss.as_ref() != Some(&expected.issuer) {
            return Err(JwtError::Issuer);
        }
        let is_for_us = match &self.aud {
            Some(OneOrMany::One(audience)) => *audience == expected.audience,
            Some(OneOrMany::Many(audiences)) => audiences.contains(&expected.audience),
            None => false,
        };
        if !is_for_us {
            return Err(JwtError::Audience);
        }
        // One that never ends is not taken.
        let is_over = |end: f64| (now.saturating_sub(LEEWAY_SECONDS)) as f64 >= end;
        if self.exp.is_none_or(is_over) {
            return Err(JwtError::Expired);
        }
        let is_ahead = |begin: f64| (now.saturating_add(LEEWAY_SECONDS) as f64) < begin;
        if self.nbf.is_some_and(is_ahead) {
            return Err(JwtError::NotYet);
        }
        let subject = self.sub.as_deref().unwrap_or_default();
        if !(1..=MAX_SUBJECT).contains(&subject.len()) {
            return Err(JwtError::Subject);
        }
        Ok(Verified {
            account: format!("jwt:{}#{}", plain(&expected.issuer), plain(subject)),
            scopes: self.scopes(),
        })
    }

    fn scopes(&self) -> Vec<Scope> {
        let named = |name: &str| Scope::parse(name);
        match &self.scope {
            Some(Value::String(names)) => names.split(' ').filter_map(named).collect(),
            Some(Value::Array(names)) => names
                .iter()
                .filter_map(Value::as_str)
                .filter_map(named)
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// What a header and a log can carry; two different texts stay different.
fn plain(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/@|+".contains(&byte);
    let mut plain = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            plain.push(char::from(byte));
        } else {
            plain.push('%');
            plain.push_str(&hex::encode_upper([byte]));
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn good() -> Value {
        json!({
            "iss": "https://id.example.com/", "aud": "darkroom", "sub": "alice",
            "exp": NOW + 10, "scope": "openid generate read"
        })
    }

    fn expected() -> Expected {
        Expected {
            issuer: "https://id.example.com/".into(),
            audience: "darkroom".into(),
        }
    }

    fn check(change: Value) -> Result<Verified, JwtError> {
        let mut claims = good();
        if let (Some(claims), Value::Object(change)) = (claims.as_object_mut(), change) {
            claims.extend(change);
        }
        let claims: Claims = serde_json::from_value(claims).expect("claims");
        claims.check(&expected(), NOW)
    }

    #[test]
    fn a_good_token_stands_for_its_issuers_subject() {
        let verified = check(json!({})).expect("good");
        assert_eq!(verified.account, "jwt:https://id.example.com/#alice");
        assert_eq!(verified.scopes, [Scope::Generate, Scope::Read]);
    }

    #[test]
    fn each_claim_must_be_right() {
        for (change, error) in [
            (json!({ "iss": "https://id.example.com" }), JwtError::Issuer),
            (json!({ "iss": null }), JwtError::Issuer),
            (json!({ "aud": "other" }), JwtError::Audience),
            (json!({ "aud": ["other"] }), JwtError::Audience),
            (json!({ "aud": null }), JwtError::Audience),
            (json!({ "exp": NOW - 60 }), JwtError::Expired),
            (json!({ "exp": null }), JwtError::Expired),
            (json!({ "nbf": NOW + 61 }), JwtError::NotYet),
            (json!({ "sub": "" }), JwtError::Subject),
            (json!({ "sub": null }), JwtError::Subject),
            (json!({ "sub": "x".repeat(256) }), JwtError::Subject),
        ] {
            assert_eq!(check(change.clone()), Err(error), "{change}");
        }
        for change in [
            json!({ "aud": ["other", "darkroom"] }),
            json!({ "exp": NOW - 59 }),
            json!({ "exp": 1e18 }),
            json!({ "nbf": NOW + 60 }),
        ] {
            assert!(check(change.clone()).is_ok(), "{change}");
        }
    }

    #[test]
    fn scopes_are_read_from_a_text_or_a_list_and_never_guessed() {
        for (scope, expected) in [
            (json!(["admin", "x", 5]), vec![Scope::Admin]),
            (json!("posts:write"), vec![Scope::PostsWrite]),
            (json!("generateread"), vec![]),
            (json!(null), vec![]),
            (json!({ "admin": true }), vec![]),
        ] {
            let verified = check(json!({ "scope": scope })).expect("good");
            assert_eq!(verified.scopes, expected, "{scope}");
        }
    }

    proptest! {
        #[test]
        fn an_account_fits_a_header_and_is_one_subjects_alone(one in ".{1,60}", two in ".{1,60}") {
            let account = |sub: &str| check(json!({ "sub": sub })).expect("good").account;
            prop_assert!(account(&one).bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(account(&one) == account(&two), one == two);
            prop_assert_eq!(account(&one).matches('#').count(), 1);
        }
    }
}
