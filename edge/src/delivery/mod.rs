//! How pictures come to who may see them.
//!
//! Where they are fetched is a matter of configuration ([`settings`]): from CloudFront, from here,
//! or from here by way of a redirect to CloudFront. A private picture's address is signed as
//! CloudFront wants it ([`signer`], [`ecdsa`], [`rsa`]): in every answer that has such an image
//! ([`addresses`], [`events`]), on request ([`signed_url`]), or as cookies for all of them
//! ([`cookies`]). What comes back here is held against the very same signatures ([`fetching`]).

mod addresses;
mod cookies;
mod ecdsa;
mod events;
mod fetching;
mod rsa;
mod settings;
mod signed_url;
mod signer;

pub use addresses::{address_images, with_addresses};
pub use cookies::signed_cookies;
pub use events::with_addresses_in_events;
pub use fetching::{preflight, private, public};
pub use signed_url::signed_url;
pub use signer::forget_keys;

use darkroom_shared::request::Visibility;
use worker::Env;

use crate::failure::Failure;
use signer::Signer;

/// Refuses what could be made and then not be fetched.
pub fn check_offered(env: &Env, visibility: Visibility) -> Result<(), Failure> {
    match visibility {
        Visibility::Public => Ok(()),
        Visibility::Private => Signer::open(env).map(|_| ()),
    }
}
