//! Two HTTP clients over one guard: with TLS to the public internet, without to what is allowed.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use darkroom_shared::outside::Reach;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response};
use rustls::pki_types::CertificateDer;
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};

use super::resolver::Guarded;
use super::retry_after::read_wait;
use super::{Lookup, OutboundError};

/// For a name's resolution, the connection and TLS.
const CONNECTING: Duration = Duration::from_secs(10);
/// How the service names itself.
const USER_AGENT: &str = concat!("Darkroom/", env!("CARGO_PKG_VERSION"));

/// Asks servers within a [`Reach`]. Clones share everything.
#[derive(Clone, Debug)]
pub struct Outbound {
    reach: Arc<Reach>,
    secure: Client,
    plain: Client,
}

/// What a GET brought.
#[derive(Debug)]
pub struct Fetched {
    /// The answer's status.
    pub status: u16,
    /// Its body; empty where the status is no success.
    pub body: Vec<u8>,
}

/// What a POST was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted {
    /// The answer's status.
    pub status: u16,
    /// How long the server wants to be left alone, where it says so.
    pub retry_after: Option<Duration>,
}

impl Outbound {
    /// Clients that reach as far as `reach`, and resolve names by `lookup`.
    ///
    /// # Errors
    /// The system's certificates cannot be read.
    pub fn new(reach: Reach, lookup: impl Lookup + 'static) -> Result<Self, reqwest::Error> {
        Self::trusting(reach, lookup, &[])
    }

    /// The same, which trust `authorities` as they do those of the system.
    ///
    /// # Errors
    /// The same, and that one of them is no certificate.
    pub fn trusting(
        reach: Reach,
        lookup: impl Lookup + 'static,
        authorities: &[CertificateDer<'_>],
    ) -> Result<Self, reqwest::Error> {
        // An error says that this process has chosen before, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let authorities: Result<Vec<_>, _> = authorities
            .iter()
            .map(|authority| Certificate::from_der(authority))
            .collect();
        let authorities = authorities?;
        let reach = Arc::new(reach);
        let lookup: Arc<dyn Lookup> = Arc::new(lookup);
        let client = |is_plain| {
            let guarded = Guarded {
                reach: Arc::clone(&reach),
                lookup: Arc::clone(&lookup),
                is_plain,
            };
            Client::builder()
                .dns_resolver(Arc::new(guarded))
                .redirect(Policy::none())
                .no_proxy()
                .referer(false)
                .connect_timeout(CONNECTING)
                .user_agent(USER_AGENT)
                // Each call is judged anew.
                .pool_max_idle_per_host(0)
                .https_only(!is_plain)
                .tls_certs_merge(authorities.iter().cloned())
                .build()
        };
        Ok(Self {
            secure: client(false)?,
            plain: client(true)?,
            reach,
        })
    }

    /// How far it reaches.
    #[must_use]
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Posts JSON and waits up to `limit` for an answer, whose body is not read.
    ///
    /// # Errors
    /// [`OutboundError`].
    pub async fn post_json(
        &self,
        url: &str,
        headers: HeaderMap,
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<Posted, OutboundError> {
        let (client, url) = self.open(url)?;
        let sent = client
            .post(url)
            .headers(headers)
            .header("content-type", HeaderValue::from_static("application/json"))
            .body(body)
            .send();
        let answer = timeout_at(Instant::now() + limit, sent).await;
        let answer = answer.map_err(|_| OutboundError::TimedOut)??;
        let retry_after = answer.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok());
        Ok(Posted {
            status: answer.status().as_u16(),
            retry_after: retry_after.and_then(|text| read_wait(text, SystemTime::now())),
        })
    }

    /// Fetches up to `most` bytes within `limit`.
    ///
    /// # Errors
    /// [`OutboundError`].
    pub async fn get(
        &self,
        url: &str,
        most: usize,
        limit: Duration,
    ) -> Result<Fetched, OutboundError> {
        let (client, url) = self.open(url)?;
        let fetched = async {
            let answer = client.get(url).send().await?;
            let status = answer.status();
            let body = if status.is_success() {
                read(answer, most).await?
            } else {
                Vec::new()
            };
            let status = status.as_u16();
            Ok(Fetched { status, body })
        };
        let fetched = timeout_at(Instant::now() + limit, fetched).await;
        fetched.map_err(|_| OutboundError::TimedOut)?
    }

    /// The client for an address, which no resolver sees where it is a number.
    fn open(&self, text: &str) -> Result<(&Client, Url), OutboundError> {
        let not_allowed = |_| OutboundError::NotAllowed;
        self.reach.check(text).map_err(not_allowed)?;
        let url = Url::parse(text).map_err(|_| OutboundError::NotAllowed)?;
        let is_plain = url.scheme() != "https";
        let address: Option<IpAddr> = match url.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            Some(Host::Domain(_)) => None,
            None => return Err(OutboundError::NotAllowed),
        };
        if address.is_some_and(|address| !self.reach.allows(address, is_plain)) {
            return Err(OutboundError::NotAllowed);
        }
        let client = if is_plain { &self.plain } else { &self.secure };
        Ok((client, url))
    }
}

async fn read(mut answer: Response, most: usize) -> Result<Vec<u8>, OutboundError> {
    let too_large = OutboundError::TooLarge { most };
    // What a server says of its length saves reading; it is not believed.
    if answer
        .content_length()
        .is_some_and(|length| length > most as u64)
    {
        return Err(too_large);
    }
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        if body.len() + piece.len() > most {
            return Err(too_large);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}
