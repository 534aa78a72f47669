//! Which IP addresses are anybody's on the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 networks that are not (IANA's registry of special-purpose addresses), as address and prefix.
const NOT_PUBLIC: &[([u8; 4], u32)] = &[
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    // Shared by the customers of a carrier (CGNAT).
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    // Link-local; clouds tell machines their secrets at 169.254.169.254.
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    // Relays between IPv6 and IPv4.
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    // Multicast, reserved, broadcast.
    ([224, 0, 0, 0], 3),
];

/// IPv6 networks within the global ones, `2000::/3`, that are not, as first bits and prefix.
const NOT_PUBLIC_V6: &[(Ipv6Addr, u32)] = &[
    // Protocols' own, Teredo's embedded IPv4 addresses among them.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    // 6to4: an IPv4 address follows.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Whether an address is a public unicast one. No IPv6 address that carries an IPv4 address is
/// (mapped, compatible, NAT64, 6to4, Teredo, ISATAP): what is asked at it may be anywhere.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !NOT_PUBLIC.iter().any(|(network, prefix)| {
        let differing = address.to_bits() ^ Ipv4Addr::from_octets(*network).to_bits();
        differing.leading_zeros() >= *prefix
    })
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let is_global = segments[0] & 0xe000 == 0x2000;
    // Whichever bit says whether the IPv4 address that follows is unique (RFC 5214, 6.1).
    let is_isatap = segments[4] & 0xfdff == 0 && segments[5] == 0x5efe;
    is_global
        && !is_isatap
        && !NOT_PUBLIC_V6.iter().any(|(network, prefix)| {
            let differing = address.to_bits() ^ network.to_bits();
            differing.leading_zeros() >= *prefix
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn public(text: &str) -> bool {
        is_public(text.parse().expect(text))
    }

    #[test]
    fn what_is_special_is_not_public() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2a00:1450::5efe:7f00:1",
            "2a00:1450::200:5efe:7f00:1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!public(address), "{address}");
        }
    }

    #[test]
    fn the_rest_is() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "128.0.0.1",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700:4700::1111",
            "2a00:1450:4001:80f::200e",
        ] {
            assert!(public(address), "{address}");
        }
    }

    proptest! {
        #[test]
        fn the_standard_library_agrees_on_what_it_knows(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let special = address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_broadcast()
                || address.is_documentation()
                || address.is_unspecified();
            prop_assert!(!(special && is_public(address.into())));
        }

        #[test]
        fn no_private_address_is_public_in_any_disguise(
            network in 0..NOT_PUBLIC.len(), host: u32, low: u64,
        ) {
            let (first, prefix) = NOT_PUBLIC[network];
            let mask = u32::MAX >> prefix;
            let inner = Ipv4Addr::from_bits(Ipv4Addr::from_octets(first).to_bits() | (host & mask));
            prop_assert!(!is_public(inner.into()));
            let bits = u128::from(inner.to_bits());
            let low = u128::from(low);
            for disguise in [
                // Mapped, compatible, NAT64, 6to4, Teredo (inverted), ISATAP.
                0xffff_0000_0000 | bits,
                bits,
                (0x64_ff9b << 96) | bits,
                (0x2002 << 112) | (bits << 80) | low,
                (0x2001_0000_u128 << 96) | (low << 32) | (bits ^ 0xffff_ffff),
                (0x2a00 << 112) | (0x5efe << 32) | bits,
            ] {
                prop_assert!(!is_public(Ipv6Addr::from_bits(disguise).into()));
            }
        }

        #[test]
        fn outside_of_global_unicast_nothing_of_ipv6_is_public(bits: u128) {
            let address = Ipv6Addr::from_bits(bits);
            prop_assert!(bits >> 125 == 1 || !is_public(address.into()));
        }
    }
}
