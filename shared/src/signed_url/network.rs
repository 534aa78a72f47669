//! The addresses from which a URL may be used.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An IP address or a network of them, as `192.0.2.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its first address.
    first: IpAddr,
    prefix: u32,
}

impl Network {
    /// Whether it is of IPv4, the only one that CloudFront's policies know.
    #[must_use]
    pub const fn is_ipv4(&self) -> bool {
        self.first.is_ipv4()
    }

    /// Whether an address lies in it. `0.0.0.0/0` is how policies say "any".
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.prefix == 0 || first_of(address.to_canonical(), self.prefix) == Some(self.first)
    }
}

/// The first address of the network that an address with such a prefix is in; none where the
/// prefix is longer than an address.
fn first_of(address: IpAddr, prefix: u32) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            let hosts = 32_u32.checked_sub(prefix)?;
            let mask = u32::MAX.checked_shl(hosts).unwrap_or(0);
            Some(Ipv4Addr::from_bits(address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let hosts = 128_u32.checked_sub(prefix)?;
            let mask = u128::MAX.checked_shl(hosts).unwrap_or(0);
            Some(Ipv6Addr::from_bits(address.to_bits() & mask).into())
        }
    }
}

/// The text is none of an address or a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an IP address, or a network as 192.0.2.0/24")]
pub struct NetworkError;

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError)?;
        let is_number = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = match prefix {
            Some(text) => Some(text)
                .filter(is_number)
                .and_then(|text| text.parse().ok())
                .ok_or(NetworkError)?,
            None if address.is_ipv4() => 32,
            None => 128,
        };
        let first = first_of(address, prefix).ok_or(NetworkError)?;
        Ok(Self { first, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        let network: Network = network.parse().expect(network);
        network.contains(address.parse().expect(address))
    }

    #[test]
    fn a_network_holds_what_shares_its_beginning() {
        assert!(contains("192.0.2.7", "192.0.2.7"));
        assert!(!contains("192.0.2.7", "192.0.2.6"));
        assert!(contains("192.0.2.130/25", "192.0.2.255"));
        assert!(!contains("192.0.2.130/25", "192.0.2.127"));
        assert!(contains("192.0.2.7", "::ffff:192.0.2.7"));
        assert!(contains("2001:db8::/32", "2001:db8:1::1"));
        assert!(!contains("2001:db8::1", "2001:db8::2"));
        assert!(!contains("192.0.2.0/24", "2001:db8::1"));
        assert!(contains("0.0.0.0/0", "2001:db8::1"));
    }

    #[test]
    fn a_network_is_written_with_its_prefix() {
        for (text, written) in [
            ("192.0.2.7", "192.0.2.7/32"),
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("2001:db8::1", "2001:db8::1/128"),
        ] {
            let network: Network = text.parse().expect(text);
            assert_eq!(network.to_string(), written);
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "192.0.2",
            "192.0.2.7/33",
            "192.0.2.7/",
            "192.0.2.7/+8",
            "::/129",
            "a",
            "1.2.3.4 ",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_written_network_reads_as_itself(bits: u32, prefix in 0_u32..=32, other: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let network: Network = format!("{address}/{prefix}").parse().expect("read");
            prop_assert!(network.contains(address.into()));
            prop_assert_eq!(network.to_string().parse(), Ok(network));
            let shares = prefix == 0 || (bits ^ other).leading_zeros() >= prefix;
            prop_assert_eq!(network.contains(Ipv4Addr::from_bits(other).into()), shares);
        }
    }
}
