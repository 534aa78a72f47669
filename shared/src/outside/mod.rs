//! Addresses that callers give and the service then asks: webhooks, and pictures to begin with.
//!
//! What is plainly not on the public internet is refused when a request is read, by edge and origin
//! alike. What a name stands for shows when it is asked: the origin then judges each address that it
//! resolves to by the same [`Reach`].

mod address;
mod public;

use std::net::IpAddr;

use crate::signed_url::Network;

pub use public::is_public;

/// How far the service may reach: the public internet, and what is allowed besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    allowed: Vec<Network>,
}

impl Reach {
    /// Reads networks that are allowed although they are not public, parted by commas.
    ///
    /// # Errors
    /// What is wrong, for whoever configures it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim);
        let networks = parts.filter(|part| !part.is_empty()).map(|part| {
            let network = part.parse::<Network>();
            network.map_err(|_| format!("`{part}` is no network: write 10.0.0.0/8, say"))
        });
        Ok(Self {
            allowed: networks.collect::<Result<_, _>>()?,
        })
    }

    /// Whether an address may be asked: through TLS, or without (`is_plain`), as only what was
    /// allowed by name of its network may be.
    #[must_use]
    pub fn allows(&self, address: IpAddr, is_plain: bool) -> bool {
        self.allowed.iter().any(|network| network.contains(address))
            || (!is_plain && is_public(address))
    }

    /// Checks an address as it is written: https, and nothing that is plainly not public. Plain
    /// http and names of inner networks are taken where any network is allowed; what they resolve
    /// to decides.
    ///
    /// # Errors
    /// What is wrong, for the caller.
    pub fn check(&self, url: &str) -> Result<(), String> {
        address::check(url, self)
    }
}
