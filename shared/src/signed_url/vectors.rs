//! What botocore and `@aws-sdk/cloudfront-signer` made of the same: `fixtures/signed_urls.json`,
//! by `scripts/fixtures/make_signed_urls.py`. RSA's signatures are the platform's, and compared in
//! the edge's tests.

use std::collections::BTreeMap;

use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::ecdsa::{Signature as Numbers, VerifyingKey};
use serde::Deserialize;
use serde_json::Value;

use super::ecdsa::{digest, two_numbers};
use super::{EcdsaKey, Hash, KeyPair, Policy, Presented, PrivateKey, Signature};

#[derive(Deserialize)]
struct Vectors {
    keys: BTreeMap<String, Pair>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Pair {
    id: String,
    pem: String,
}

#[derive(Deserialize)]
struct Case {
    key: String,
    hash: String,
    resource: String,
    expires: i64,
    starts: Option<i64>,
    ip: Option<String>,
    policy: String,
    botocore: String,
    aws_sdk: String,
    aws_sdk_cookies: BTreeMap<String, Value>,
}

impl Case {
    fn hash(&self) -> Hash {
        let all = [Hash::Sha1, Hash::Sha256];
        let named = all.into_iter().find(|hash| hash.name() == self.hash);
        named.expect("a hash")
    }

    fn policy(&self) -> Policy {
        Policy {
            resource: self.resource.clone(),
            expires: self.expires,
            starts: self.starts,
            source: self.ip.as_ref().map(|ip| ip.parse().expect("a network")),
        }
    }

    /// What stands in a URL, read as if a picture had been asked for with it. botocore leaves it
    /// to its caller to say which digest was signed.
    fn read(&self, url: &str) -> Presented {
        let (address, query) = url.split_once('?').expect("a query");
        let named = self.hash() == Hash::Sha1 || query.contains("Hash-Algorithm=");
        let hash = if named { "" } else { "&Hash-Algorithm=SHA256" };
        Presented::in_query(address, &format!("{query}{hash}")).expect("read")
    }
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../fixtures/signed_urls.json")).expect("vectors")
}

fn pairs(vectors: &Vectors) -> Vec<KeyPair> {
    let entries = vectors
        .keys
        .values()
        .map(|pair| format!("{}:{}", pair.id, pair.pem));
    KeyPair::parse_list(&entries.collect::<String>()).expect("key pairs")
}

#[test]
fn policies_and_urls_are_botocores_to_the_byte() {
    for case in vectors().cases {
        let policy = case.policy();
        assert_eq!(policy.to_json(), case.policy);
        let theirs = case.read(&case.botocore);
        let ours = Signature {
            policy: &policy,
            key_id: &theirs.key_id,
            hash: case.hash(),
            bytes: &theirs.signature,
        };
        let named = ours.url().replace("&Hash-Algorithm=SHA256", "");
        assert_eq!(named, case.botocore);
    }
}

#[test]
fn both_signers_urls_and_cookies_are_read() {
    for case in vectors().cases {
        let by_botocore = case.read(&case.botocore);
        assert_eq!(by_botocore.signed, case.policy.as_bytes());
        let by_sdk = case.read(&case.aws_sdk);
        let header = case.aws_sdk_cookies.iter();
        let header = header.map(|(name, value)| match value {
            Value::String(text) => format!("{name}={text}"),
            number => format!("{name}={number}"),
        });
        let header = header.collect::<Vec<_>>().join("; ");
        let (address, query) = case
            .resource
            .split_once('?')
            .unwrap_or((&case.resource, ""));
        let by_cookies = Presented::in_cookies(address, query, &header).expect("read");
        // A wildcard is no address that anybody asks for; the rest is what was asked for.
        let source = "192.0.2.7".parse().ok();
        let at = case.starts.unwrap_or(0);
        for presented in [by_botocore, by_sdk, by_cookies] {
            assert_eq!(presented.hash, case.hash());
            assert_eq!(presented.judge(at, source), Ok(case.policy()));
        }
    }
}

#[test]
fn ecdsa_signatures_are_botocores_and_those_of_both_verify() {
    let vectors = vectors();
    let pairs = pairs(&vectors);
    let [ecdsa, rsa] = &pairs[..] else {
        panic!("two pairs");
    };
    assert!(matches!(rsa.key, PrivateKey::Rsa(_)));
    let PrivateKey::Ecdsa(key) = &ecdsa.key else {
        panic!("not ECDSA");
    };
    let cases = vectors.cases.iter().filter(|case| case.key == "ecdsa");
    for case in cases {
        check(key, case);
    }
}

fn check(key: &EcdsaKey, case: &Case) {
    let hash = case.hash();
    let ours = key.sign(hash, case.policy.as_bytes()).expect("signed");
    let theirs = case.read(&case.botocore).signature;
    // Over SHA-1 we draw the number that RFC 6979 asks for by SHA-256 all the same.
    assert!(hash == Hash::Sha1 || ours == theirs);
    for signature in [&ours, &theirs] {
        assert!(verifies(key, hash, case.policy.as_bytes(), signature));
        let mut other = signature.clone();
        *other.last_mut().expect("bytes") ^= 1;
        assert!(!verifies(key, hash, case.policy.as_bytes(), &other));
        assert!(!verifies(
            key,
            hash,
            &case.policy.as_bytes()[1..],
            signature
        ));
    }
    let by_sdk = case.read(&case.aws_sdk);
    assert!(verifies(key, hash, &by_sdk.signed, &by_sdk.signature));
    assert!(!verifies(key, hash, &by_sdk.signed, b""));
}

/// What the platform does with the public key and the two numbers.
fn verifies(key: &EcdsaKey, hash: Hash, text: &[u8], signature: &[u8]) -> bool {
    let public = VerifyingKey::from_sec1_bytes(&key.public_key()).expect("a point");
    two_numbers(signature).is_some_and(|numbers| {
        let numbers = Numbers::from_slice(&numbers).expect("two numbers");
        public.verify_prehash(&digest(hash, text), &numbers).is_ok()
    })
}
