//! Signing secrets as the database has them: sealed, where there is a key for that.
//!
//! A sealed one is `sealed:ID:` and, in base64, a nonce and what AES-256-GCM made of the secret, bound
//! to its account: a row that is moved to another does not open. One that was written without a key is
//! there as it is, and read so.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use secrecy::SecretString;

const SEALED: &str = "sealed:";

/// Keys that secrets are sealed with. The first seals, all of them open. Clones share them.
#[derive(Clone, Default)]
pub struct SealingKeys(Arc<[(String, LessSafeKey)]>);

/// A stored secret does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It was sealed with another key.
    #[error("a signing secret is sealed with the key `{0}`, which DARKROOM_WEBHOOK_KEYS lacks")]
    UnknownKey(String),
    /// It was changed, or is of another account.
    #[error("a sealed signing secret is damaged, or not its account's")]
    Broken,
    /// The system has no random numbers.
    #[error("the system has no random numbers for a seal")]
    Random(#[from] getrandom::Error),
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(id, _)| id))
            .finish()
    }
}

impl SealingKeys {
    /// Keys as the setting has them: `id:key[,id:key]`, each key in 64 hexadecimal digits.
    ///
    /// # Errors
    /// What to write instead, without the keys.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut keys: Vec<(String, LessSafeKey)> = Vec::new();
        for entry in text.split(',') {
            let (id, key) = entry.trim().split_once(':').unwrap_or_default();
            let is_id = (1..=32).contains(&id.len())
                && id
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
            let key = hex::decode(key).ok();
            let key = key.and_then(|key| UnboundKey::new(&AES_256_GCM, &key).ok());
            let (true, Some(key)) = (is_id, key) else {
                let remedy = "write `id:key`, the key in 64 hexadecimal digits from \
                              `openssl rand -hex 32`, say";
                return Err(remedy.to_owned());
            };
            if keys.iter().any(|(known, _)| known == id) {
                return Err(format!("two keys have the id `{id}`"));
            }
            keys.push((id.to_owned(), LessSafeKey::new(key)));
        }
        Ok(Self(keys.into()))
    }

    /// A secret as it is to be stored.
    ///
    /// # Errors
    /// [`SealError::Random`].
    pub fn seal(&self, account: &str, secret: &str) -> Result<String, SealError> {
        let Some((id, key)) = self.0.first() else {
            return Ok(secret.to_owned());
        };
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce)?;
        let mut sealed = secret.as_bytes().to_vec();
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            bound_to(account),
            &mut sealed,
        )
        .map_err(|_| SealError::Broken)?;
        let sealed = STANDARD.encode([&nonce[..], &sealed].concat());
        Ok(format!("{SEALED}{id}:{sealed}"))
    }

    /// A secret that was stored.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn open(&self, account: &str, stored: &str) -> Result<SecretString, SealError> {
        let Some(sealed) = stored.strip_prefix(SEALED) else {
            return Ok(stored.to_owned().into());
        };
        let (id, sealed) = sealed.split_once(':').ok_or(SealError::Broken)?;
        let key = self.0.iter().find(|(known, _)| known == id);
        let (_, key) = key.ok_or_else(|| SealError::UnknownKey(id.to_owned()))?;
        let open = || {
            let sealed = STANDARD.decode(sealed).ok()?;
            let (nonce, sealed) = sealed.split_first_chunk()?;
            let (nonce, mut sealed) = (Nonce::assume_unique_for_key(*nonce), sealed.to_vec());
            let secret = key.open_in_place(nonce, bound_to(account), &mut sealed);
            Some(String::from_utf8(secret.ok()?.to_vec()).ok()?.into())
        };
        open().ok_or(SealError::Broken)
    }

    /// Whether a stored secret is as [`Self::seal`] would have it.
    #[must_use]
    pub fn is_current(&self, stored: &str) -> bool {
        match self.0.first() {
            Some((id, _)) => stored.starts_with(&format!("{SEALED}{id}:")),
            None => !stored.starts_with(SEALED),
        }
    }
}

fn bound_to(account: &str) -> Aad<String> {
    Aad::from(format!("darkroom signing secret of {account}"))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn keys(ids: &[&str]) -> SealingKeys {
        let key = |id: &&str| format!("{id}:{}", id.repeat(64));
        let keys: Vec<_> = ids.iter().map(key).collect();
        SealingKeys::parse(&keys.join(",")).expect("keys")
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_and_for_its_account_alone() {
        let sealed = keys(&["a"]).seal("alice", "whsec_x").expect("sealed");
        assert!(!sealed.contains("whsec"), "{sealed}");
        let open = |keys: SealingKeys, account| {
            let opened = keys.open(account, &sealed);
            opened.map(|secret| secret.expose_secret().to_owned())
        };
        assert_eq!(open(keys(&["a"]), "alice").as_deref(), Ok("whsec_x"));
        assert_eq!(open(keys(&["b", "a"]), "alice").as_deref(), Ok("whsec_x"));
        assert_eq!(open(keys(&["a"]), "bob"), Err(SealError::Broken));
        let unknown = Err(SealError::UnknownKey("a".into()));
        assert_eq!(open(keys(&["b"]), "alice"), unknown);
        let mut changed = sealed.clone().into_bytes();
        changed[20] ^= 1;
        let changed = String::from_utf8(changed).expect("text");
        let opened = keys(&["a"]).open("alice", &changed);
        assert_eq!(opened.expect_err("refused"), SealError::Broken);
    }

    #[test]
    fn without_a_key_secrets_are_stored_as_they_are() {
        let none = SealingKeys::default();
        let stored = none.seal("alice", "whsec_x").expect("stored");
        assert_eq!(stored, "whsec_x");
        assert!(none.is_current(&stored) && !keys(&["a"]).is_current(&stored));
        let opened = keys(&["a"]).open("alice", &stored).expect("read");
        assert_eq!(opened.expose_secret(), "whsec_x");
    }

    #[test]
    fn keys_are_told_apart_and_not_shown() {
        let digits = "0".repeat(64);
        for wrong in [
            "",
            "a",
            "a:00",
            &format!(":{digits}"),
            &format!("a b:{digits}"),
            &format!("a:{digits},"),
            &format!("a:{digits},a:{digits}"),
        ] {
            let refused = SealingKeys::parse(wrong).expect_err(wrong);
            assert!(!refused.contains(&digits), "{refused}");
        }
        let both = keys(&["a", "b"]);
        assert_eq!(format!("{both:?}"), r#"["a", "b"]"#);
    }
}
