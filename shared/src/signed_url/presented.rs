//! A signature that somebody comes with.

use std::net::IpAddr;

use super::signature::{COOKIE_PREFIX, EXPIRES, HASH_ALGORITHM, KEY_PAIR_ID, POLICY, SIGNATURE};
use super::{Hash, Policy, Refusal, alphabet};

/// What a URL's query or a request's cookies say. Nothing of it may be believed before `signature`
/// was found to be one over `signed`, by the key that `key_id` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// The pair that it says signed.
    pub key_id: String,
    /// The digest that it says was signed.
    pub hash: Hash,
    /// The signature; of ECDSA in DER.
    pub signature: Vec<u8>,
    /// The policy's text.
    pub signed: Vec<u8>,
    policy: Policy,
    /// The address that was asked for, without the signature.
    url: String,
}

impl Presented {
    /// Reads the signature in a query. `address` is all that stands before the question mark.
    ///
    /// # Errors
    /// [`Refusal::Unsigned`] and [`Refusal::Form`].
    pub fn in_query(address: &str, query: &str) -> Result<Self, Refusal> {
        let mut parameters = Parameters::default();
        let mut others = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !parameters.take(name, value)? {
                others.push(pair);
            }
        }
        parameters.read(with_query(address, &others.join("&")))
    }

    /// Reads the signature in a `Cookie` header.
    ///
    /// # Errors
    /// As those of [`Presented::in_query`].
    pub fn in_cookies(address: &str, query: &str, header: &str) -> Result<Self, Refusal> {
        let mut parameters = Parameters::default();
        for pair in header.split(';') {
            let (name, value) = pair.trim().split_once('=').unwrap_or_default();
            if let Some(name) = name.strip_prefix(COOKIE_PREFIX) {
                parameters.take(name, value)?;
            }
        }
        parameters.read(with_query(address, query))
    }

    /// What it allows, if it allows this now. To be called once the signature was verified.
    ///
    /// # Errors
    /// [`Refusal::Resource`], [`Refusal::Expired`], [`Refusal::NotYet`], [`Refusal::Source`].
    pub fn judge(self, now: i64, source: Option<IpAddr>) -> Result<Policy, Refusal> {
        self.policy.judge(&self.url, now, source)?;
        Ok(self.policy)
    }
}

fn with_query(address: &str, query: &str) -> String {
    match query {
        "" => address.to_owned(),
        query => format!("{address}?{query}"),
    }
}

#[derive(Default)]
struct Parameters<'a> {
    expires: Option<&'a str>,
    policy: Option<&'a str>,
    signature: Option<&'a str>,
    key_id: Option<&'a str>,
    hash: Option<&'a str>,
}

impl<'a> Parameters<'a> {
    /// Takes one of its own; false for any other. Of two alike nobody knows which one counts.
    fn take(&mut self, name: &str, value: &'a str) -> Result<bool, Refusal> {
        let place = match name {
            EXPIRES => &mut self.expires,
            POLICY => &mut self.policy,
            SIGNATURE => &mut self.signature,
            KEY_PAIR_ID => &mut self.key_id,
            HASH_ALGORITHM => &mut self.hash,
            _ => return Ok(false),
        };
        match place.replace(value) {
            None => Ok(true),
            Some(_) => Err(Refusal::Form),
        }
    }

    fn read(self, url: String) -> Result<Presented, Refusal> {
        let (policy, signed) = match (self.expires, self.policy) {
            (Some(expires), None) => {
                let is_number = expires.bytes().all(|byte| byte.is_ascii_digit());
                let expires = expires.parse().ok().filter(|_| is_number);
                let policy = Policy::until(expires.ok_or(Refusal::Form)?, url.clone());
                let signed = policy.to_json().into_bytes();
                (policy, signed)
            }
            (None, Some(text)) => {
                let signed = alphabet::decode(text).ok_or(Refusal::Form)?;
                let policy = Policy::from_json(&signed).ok_or(Refusal::Form)?;
                (policy, signed)
            }
            (Some(_), Some(_)) => return Err(Refusal::Form),
            (None, None) if self.signature.is_some() => return Err(Refusal::Form),
            (None, None) => return Err(Refusal::Unsigned),
        };
        let signature = alphabet::decode(self.signature.ok_or(Refusal::Form)?);
        let hash = [Hash::Sha1, Hash::Sha256].into_iter();
        let hash = match self.hash {
            None => Some(Hash::Sha1),
            Some(name) => hash.into_iter().find(|hash| hash.name() == name),
        };
        Ok(Presented {
            key_id: self.key_id.ok_or(Refusal::Form)?.to_owned(),
            hash: hash.ok_or(Refusal::Form)?,
            signature: signature.ok_or(Refusal::Form)?,
            signed,
            policy,
            url,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Signature;
    use super::*;

    const URL: &str = "http://127.0.0.1:8787/private/generated/1-a.png";

    const BYTES: [u8; 3] = [0xfb, 0xfb, 0xfb];

    fn signature(policy: &Policy) -> Signature<'_> {
        Signature {
            policy,
            key_id: "K1",
            hash: Hash::Sha256,
            bytes: &BYTES,
        }
    }

    #[test]
    fn what_was_signed_is_found_in_the_url_again() {
        let canned = Policy::until(200, URL.into());
        let url = signature(&canned).url();
        let query = "Expires=200&Signature=-~v7&Key-Pair-Id=K1&Hash-Algorithm=SHA256";
        assert_eq!(url, format!("{URL}?{query}"));
        let found = Presented::in_query(URL, query).expect("read");
        assert_eq!((found.key_id.as_str(), found.hash), ("K1", Hash::Sha256));
        assert_eq!(found.signature, BYTES);
        assert_eq!(found.signed, canned.to_json().into_bytes());
        assert_eq!(found.judge(199, None), Ok(canned));
    }

    #[test]
    fn what_else_is_in_the_query_is_part_of_the_address() {
        let canned = Policy::until(200, format!("{URL}?size=1&x"));
        let url = signature(&canned).url();
        let (_, query) = url.split_once('?').expect("a query");
        let found = Presented::in_query(URL, query).expect("read");
        assert_eq!(found.signed, canned.to_json().into_bytes());
        let other = Presented::in_query(URL, &query.replace("size=1", "size=2")).expect("read");
        assert_ne!(other.signed, canned.to_json().into_bytes());
    }

    #[test]
    fn cookies_say_the_same_for_all_that_a_wildcard_takes_in() {
        let policy = Policy::until(200, URL.replace("1-a.png", "*"));
        let cookies = signature(&policy).cookies();
        let header = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let header = format!("a=b; {}", header.collect::<Vec<_>>().join("; "));
        let found = Presented::in_cookies(URL, "", &header).expect("read");
        assert_eq!((found.key_id.as_str(), found.hash), ("K1", Hash::Sha256));
        assert_eq!(found.clone().judge(199, None), Ok(policy));
        assert_eq!(found.judge(200, None), Err(Refusal::Expired));
        let other = "http://127.0.0.1:8787/other/1-a.png";
        let found = Presented::in_cookies(other, "", &header).expect("read");
        assert_eq!(found.judge(199, None), Err(Refusal::Resource));
        assert_eq!(
            Presented::in_cookies(URL, "", "a=b"),
            Err(Refusal::Unsigned)
        );
    }

    #[test]
    fn what_cannot_be_read_for_certain_is_refused() {
        let whole = "Expires=200&Signature=AAAA&Key-Pair-Id=K1";
        assert!(Presented::in_query(URL, whole).is_ok());
        for query in [
            "Expires=+200&Signature=AAAA&Key-Pair-Id=K1",
            "Expires=&Signature=AAAA&Key-Pair-Id=K1",
            "Expires=99999999999999999999&Signature=AAAA&Key-Pair-Id=K1",
            "Policy=e30_&Signature=AAAA&Key-Pair-Id=K1",
            "Signature=AAAA&Key-Pair-Id=K1",
            "Expires=200&Key-Pair-Id=K1",
            "Expires=200&Signature=A+A=&Key-Pair-Id=K1",
            &format!("{whole}&Hash-Algorithm=MD5"),
            &format!("{whole}&Expires=300"),
            &format!("{whole}&Policy=e30_"),
        ] {
            assert_eq!(
                Presented::in_query(URL, query),
                Err(Refusal::Form),
                "{query}"
            );
        }
        for query in ["", "&&", "x=1", "Key-Pair-Id=K1"] {
            assert_eq!(
                Presented::in_query(URL, query),
                Err(Refusal::Unsigned),
                "{query}"
            );
        }
    }

    proptest! {
        #[test]
        fn hostile_addresses_are_refused_without_a_panic(query in ".*", value in "[-~_A-Za-z0-9]*") {
            prop_assert!(Presented::in_query(URL, &query).is_err());
            prop_assert!(Presented::in_cookies(URL, &query, &query).is_err());
            let query = format!("Policy={value}&Signature={value}&Key-Pair-Id={value}");
            let _ = Presented::in_query(URL, &query);
        }
    }
}
