//! Who is calling.

use darkroom_shared::api_key;
use darkroom_shared::problem::Code;

use crate::call::Call;
use crate::failure::Failure;
use crate::settings;

/// On whose behalf the origin is asked: an account, or nobody in particular.
pub struct Caller(&'static str);

impl Caller {
    /// Anybody: for what needs no key.
    pub const ANONYMOUS: Self = Self("anonymous");
    /// The owner of the first admin key.
    const ADMIN: Self = Self("admin");

    /// The account's name, as it is signed.
    pub const fn as_str(&self) -> &'static str {
        self.0
    }
}

/// Finds out who calls from the API key in `Authorization`.
///
/// Which key was wrong and how is not told: it would only help a guesser.
pub fn caller(call: &Call) -> Result<Caller, Failure> {
    let digest = settings::admin_key_digest(&call.env)?;
    let header = call.header("authorization");
    match header.as_deref().and_then(api_key::from_authorization) {
        Some(key) if key.matches(&digest) => Ok(Caller::ADMIN),
        _ => Err(Failure::new(
            Code::Unauthorized,
            "send a valid API key as `Authorization: Bearer dk_…`",
        )),
    }
}
