//! Who is calling, and what they may do.

use std::borrow::Cow;
use std::net::IpAddr;

use darkroom_shared::api_key::{self, ApiKey};
use darkroom_shared::jwt::{Token, Verified};
use darkroom_shared::keys::Key;
use darkroom_shared::priority::Priority;
use darkroom_shared::problem::Code;
use darkroom_shared::scope::Scope;

use crate::call::Call;
use crate::failure::Failure;
use crate::keys::NoKey;
use crate::{allowance, keys, settings, tokens};

/// On whose behalf the origin is asked: an account, or nobody in particular.
#[derive(Clone)]
pub struct Caller {
    account: Cow<'static, str>,
    scopes: Cow<'static, [Scope]>,
    /// Names the ledger that it is charged to: its key's, or its account's where it has none.
    pub ledger: Cow<'static, str>,
    /// What this caller is held to, beside what everybody is.
    pub limits: CallerLimits,
    /// How its jobs stand beside others'.
    pub priority: Priority,
}

/// A caller's own limits, as its key says.
#[derive(Clone, Copy, Default)]
pub struct CallerLimits {
    /// Requests a minute.
    pub rate_per_minute: Option<u32>,
    /// Images a day.
    pub daily_images: Option<u32>,
}

impl Caller {
    /// Anybody: for what needs no key.
    pub const ANONYMOUS: Self = Self::fixed("anonymous", &[], "");
    /// The owner of the first admin key.
    const ADMIN: Self = Self::fixed("admin", Scope::ALL, "key:admin");

    /// An account by its name, for what the edge asks in its place.
    pub fn account(name: String) -> Self {
        Self {
            account: Cow::Owned(name),
            ..Self::ANONYMOUS
        }
    }

    /// A query that says the priority, too, where it is not the usual one.
    pub fn query_with_priority(&self, mut query: String) -> String {
        if self.priority != Priority::Normal {
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str("priority=");
            query.push_str(self.priority.as_str());
        }
        query
    }

    /// The account's name, as it is signed.
    pub fn as_str(&self) -> &str {
        &self.account
    }

    const fn fixed(account: &'static str, scopes: &'static [Scope], ledger: &'static str) -> Self {
        Self {
            account: Cow::Borrowed(account),
            scopes: Cow::Borrowed(scopes),
            ledger: Cow::Borrowed(ledger),
            limits: CallerLimits {
                rate_per_minute: None,
                daily_images: None,
            },
            priority: Priority::Normal,
        }
    }
}

impl From<Key> for Caller {
    fn from(key: Key) -> Self {
        Self {
            ledger: Cow::Owned(format!("key:{}", key.id)),
            priority: key.priority,
            account: Cow::Owned(key.account),
            scopes: Cow::Owned(key.scopes),
            limits: CallerLimits {
                rate_per_minute: key.rate_per_minute,
                daily_images: key.daily_images,
            },
        }
    }
}

impl From<Verified> for Caller {
    /// A token says nothing of limits, nor of a priority.
    fn from(verified: Verified) -> Self {
        Self {
            ledger: Cow::Owned(format!("account:{}", verified.account)),
            account: Cow::Owned(verified.account),
            scopes: Cow::Owned(verified.scopes),
            limits: CallerLimits::default(),
            priority: Priority::default(),
        }
    }
}

/// Finds out who calls, and refuses who has none of the scopes that are `needed`.
/// Whoever calls too often is refused too: a known caller as such, others by their address.
pub async fn caller(call: &Call, needed: &[Scope]) -> Result<Caller, Failure> {
    let identified = match claim(call) {
        Ok(Claim::Proven(caller)) => Ok(caller),
        Ok(Claim::Token(text)) => verify(call, &text).await,
        // A flood of keys that nobody has heard of must not reach the store behind them.
        Ok(Claim::Key(key)) => {
            allowance::check_burst(call, &from(call)).await?;
            let caller = keys::look_up(call, &key).await?.map(Caller::from);
            let caller = caller.ok_or_else(unknown)?;
            return allow(call, caller, needed).await;
        }
        Err(failure) => Err(failure),
    };
    match identified {
        Ok(caller) => allow(call, caller, needed).await,
        Err(failure) => {
            allowance::check_burst(call, &from(call)).await?;
            Err(failure)
        }
    }
}

async fn allow(call: &Call, caller: Caller, needed: &[Scope]) -> Result<Caller, Failure> {
    allowance::check_burst(call, &caller.ledger).await?;
    call.observed.called_by(caller.as_str());
    if caller.scopes.iter().any(|scope| needed.contains(scope)) {
        return Ok(caller);
    }
    let names: Vec<_> = needed.iter().map(|scope| scope.as_str()).collect();
    Err(Failure::new(
        Code::Forbidden,
        format!("this needs the scope {}", names.join(" or ")),
    ))
}

/// Who calls, as far as nobody has to be asked.
enum Claim {
    /// It is known who.
    Proven(Caller),
    /// Whoever a token says.
    Token(String),
    /// Whose key this is, the store of keys must say.
    Key(ApiKey),
}

/// Which key was wrong and how is not told: it would only help a guesser.
fn claim(call: &Call) -> Result<Claim, Failure> {
    let first_digest = settings::admin_key_digest(&call.env)?;
    let header = call.header("authorization").unwrap_or_default();
    let text = api_key::bearer(&header).ok_or_else(unknown)?;
    if Token::is_like(text) {
        return Ok(Claim::Token(text.to_owned()));
    }
    let key = ApiKey::parse(text).ok_or_else(unknown)?;
    if key.matches(&first_digest) {
        return Ok(Claim::Proven(Caller::ADMIN));
    }
    match keys::remembered(&key) {
        Some(Ok(known)) => Ok(Claim::Proven(known.into())),
        Some(Err(NoKey)) => Err(unknown()),
        None => Ok(Claim::Key(key)),
    }
}

async fn verify(call: &Call, token: &str) -> Result<Caller, Failure> {
    let issuer = settings::issuer(&call.env)?.ok_or_else(unknown)?;
    Ok(tokens::verify(call, &issuer, token).await?.into())
}

/// What callers are told apart by of whom nothing else is known: their address, or of IPv6 the
/// network, for whoever has one address there has all of its 2^64.
pub fn from(call: &Call) -> String {
    let address = call.header("cf-connecting-ip").unwrap_or_default();
    let parsed = address.parse().map(|parsed: IpAddr| parsed.to_canonical());
    match parsed {
        Ok(IpAddr::V6(address)) => format!("from:{:x}/64", address.to_bits() >> 64),
        Ok(IpAddr::V4(address)) => format!("from:{address}"),
        Err(_) => format!("from:{address}"),
    }
}

fn unknown() -> Failure {
    Failure::new(
        Code::Unauthorized,
        "send a valid API key as `Authorization: Bearer dk_…`",
    )
}
