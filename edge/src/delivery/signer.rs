//! The key pairs, and what is signed with them.

use std::cell::RefCell;
use std::rc::Rc;

use darkroom_shared::kept::Kept;
use darkroom_shared::problem::Code;
use darkroom_shared::signed_url::{Ask, Cookie, KeyPair, Policy, Presented, PrivateKey, Signature};
use darkroom_shared::timestamp::UnixMillis;
use worker::Env;

use super::ecdsa::Ecdsa;
use super::rsa::RsaKey;
use super::settings::{Mode, Signing};
use crate::call::{Call, now};
use crate::failure::Failure;
use crate::settings::{optional, wrong};
use crate::{body, log};

const SIGNING_KEYS: &str = "SIGNING_KEYS";
/// Of a body; none here comes near.
const MAX_BODY: usize = 4 * 1024;
/// URLs; half a kilobyte each, or a whole one with RSA.
const ROOM: usize = 2_000;

/// Makes and verifies signatures, as they are configured.
pub(super) struct Signer {
    pub mode: Mode,
    pub signing: Signing,
    pairs: Rc<[Pair]>,
}

struct Pair {
    id: String,
    key: Key,
}

enum Key {
    Ecdsa(Ecdsa),
    Rsa(RsaKey),
}

thread_local! {
    /// Read and imported once in each isolate.
    static PAIRS: RefCell<Option<Rc<[Pair]>>> = RefCell::default();
    /// URLs that were made, by their policies: an answer names each picture twice, and whoever
    /// follows a job asks again and again.
    static URLS: RefCell<Kept<String>> = RefCell::new(Kept::with_room(ROOM));
}

impl Signer {
    pub fn open(env: &Env) -> Result<Self, Failure> {
        Ok(Self {
            mode: Mode::read(env)?,
            signing: Signing::read(env)?,
            pairs: pairs(env)?,
        })
    }

    /// What the body of a call asks of a signature.
    pub async fn asked(&self, call: &mut Call) -> Result<Ask, Failure> {
        let body = body::read_optional_json(call, MAX_BODY).await?;
        let any_ip = self.mode == Mode::Proxy;
        Ok(Ask::from_json(
            &body,
            now(),
            &self.signing.lifetimes,
            any_ip,
        )?)
    }

    /// For a picture's address, until as long from now as is usual.
    pub fn policy(&self, base: &str, key: &str) -> Policy {
        Ask::default().policy(format!("{base}/{key}"), now(), &self.signing.lifetimes)
    }

    /// The address that a policy is for, signed. The same policy gives the same URL.
    pub async fn url(&self, policy: &Policy) -> Result<String, Failure> {
        let name = policy.to_json();
        if let Some(url) = URLS.with_borrow(|urls| urls.get(&name, now()).cloned()) {
            return Ok(url);
        }
        let (key_id, bytes) = self.sign(policy).await?;
        let url = self.signature(policy, key_id, &bytes).url();
        // Then the next URL of the picture is another.
        let window = self.signing.lifetimes.window as UnixMillis;
        let until = now().saturating_add(window.saturating_mul(1000));
        URLS.with_borrow_mut(|urls| urls.put(name, url.clone(), until, now()));
        Ok(url)
    }

    /// The cookies of a policy.
    pub async fn cookies(&self, policy: &Policy) -> Result<Vec<Cookie>, Failure> {
        let (key_id, bytes) = self.sign(policy).await?;
        Ok(self.signature(policy, key_id, &bytes).cookies())
    }

    /// Whether one of the pairs made a signature.
    pub async fn verifies(&self, presented: &Presented) -> Result<bool, Failure> {
        let Presented {
            hash,
            signature,
            signed,
            ..
        } = presented;
        let mut pairs = self.pairs.iter();
        match pairs
            .find(|pair| pair.id == presented.key_id)
            .map(|pair| &pair.key)
        {
            Some(Key::Ecdsa(key)) => Ok(key.verifies(*hash, signed, signature).await?),
            Some(Key::Rsa(key)) => Ok(key.verifies(*hash, signed, signature).await?),
            None => Ok(false),
        }
    }

    /// The first pair signs; the others are there for what they signed before.
    async fn sign(&self, policy: &Policy) -> Result<(&str, Vec<u8>), Failure> {
        let pair = self.pairs.first().ok_or_else(unsignable)?;
        let (hash, text) = (self.signing.hash, policy.to_json());
        let bytes = match &pair.key {
            Key::Ecdsa(key) => key.sign(hash, text.as_bytes()).ok_or_else(unsignable)?,
            Key::Rsa(key) => key.sign(hash, text.as_bytes()).await?,
        };
        Ok((&pair.id, bytes))
    }

    fn signature<'a>(&self, policy: &'a Policy, key_id: &'a str, bytes: &'a [u8]) -> Signature<'a> {
        Signature {
            policy,
            key_id,
            hash: self.signing.hash,
            bytes,
        }
    }
}

/// Forgets the pairs, and what was signed with them: they may be others now.
pub fn forget_keys() {
    PAIRS.take();
    URLS.set(Kept::with_room(ROOM));
}

fn pairs(env: &Env) -> Result<Rc<[Pair]>, Failure> {
    if let Some(pairs) = PAIRS.with_borrow(Clone::clone) {
        return Ok(pairs);
    }
    let text = optional(env, SIGNING_KEYS).unwrap_or_default();
    if text.is_empty() {
        let detail = "private pictures need a signing key: set the edge's secret SIGNING_KEYS";
        return Err(Failure::new(Code::Unavailable, detail));
    }
    let read =
        KeyPair::parse_list(&text).map_err(|error| wrong(SIGNING_KEYS, &error.to_string()))?;
    let pairs: Rc<[Pair]> = read.into_iter().map(Pair::from).collect();
    PAIRS.set(Some(Rc::clone(&pairs)));
    Ok(pairs)
}

impl From<KeyPair> for Pair {
    fn from(pair: KeyPair) -> Self {
        Self {
            id: pair.id,
            key: match pair.key {
                PrivateKey::Ecdsa(key) => Key::Ecdsa(Ecdsa::new(key)),
                PrivateKey::Rsa(pkcs8) => Key::Rsa(RsaKey::new(pkcs8)),
            },
        }
    }
}

fn unsignable() -> Failure {
    log::error(
        "",
        format_args!("the first of {SIGNING_KEYS} does not sign"),
    );
    Failure::new(Code::Internal, "the address cannot be signed")
}
