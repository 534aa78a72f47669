//! Names become addresses that may be reached, or nothing.

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use darkroom_shared::outside::Reach;
use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Asks what a name resolves to.
pub trait Lookup: Debug + Send + Sync {
    /// The addresses of a name.
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

impl<L: Lookup> Lookup for Arc<L> {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        self.as_ref().lookup(name)
    }
}

/// The system's resolver.
#[derive(Clone, Copy, Debug)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// None of a name's addresses may be reached.
#[derive(Debug, thiserror::Error)]
#[error("the name resolves to nothing that may be reached")]
pub(super) struct NotAllowed;

/// Hands on only what may be reached; the connection is made to that.
#[derive(Clone, Debug)]
pub(super) struct Guarded {
    pub(super) reach: Arc<Reach>,
    pub(super) lookup: Arc<dyn Lookup>,
    pub(super) is_plain: bool,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let Self {
            reach,
            lookup,
            is_plain,
        } = self.clone();
        Box::pin(async move {
            let mut found = lookup.lookup(name.as_str().to_owned()).await?;
            let any = !found.is_empty();
            found.retain(|address| reach.allows(*address, is_plain));
            if any && found.is_empty() {
                return Err(NotAllowed.into());
            }
            // The port is the URL's.
            let found = found.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(found) as Addrs)
        })
    }
}
