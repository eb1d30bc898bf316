//! The destination of a URL, as far as the URL itself determines it, and the public IP addresses. It resolves no name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// The destination of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// This machine: a loopback address, or a name that always resolves to one (RFC 6761, section 6.3).
    Loopback,
    /// An address that is neither public nor loopback.
    Private,
    /// A public address.
    Public,
    /// A name, which can resolve to any address.
    Named(&'a str),
}

/// The destination of `url`; `None` if it has no host.
pub(crate) fn place(url: &Url) -> Option<Place<'_>> {
    Some(match url.host()? {
        Host::Domain(name) => match is_localhost(name) {
            true => Place::Loopback,
            false => Place::Named(name),
        },
        Host::Ipv4(address) => place_of(address.into()),
        Host::Ipv6(address) => place_of(address.into()),
    })
}

fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

fn place_of(address: IpAddr) -> Place<'static> {
    // The system connects to an IPv4-mapped IPv6 address as to the IPv4 address, which `to_canonical` returns.
    match address.to_canonical() {
        address if address.is_loopback() => Place::Loopback,
        address if is_public(address) => Place::Public,
        _ => Place::Private,
    }
}

/// Whether an address is globally reachable, by the registries of special-purpose addresses (RFC 6890). An address that embeds
/// an IPv4 address, such as one of a translator (RFC 6052), is public if the embedded address is.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let is_special = match address.octets() {
        // "This network", 10.0.0.0/8, loopback.
        [0 | 10 | 127, ..] => true,
        // Carrier-grade NAT (RFC 6598).
        [100, 64..=127, ..] => true,
        // Link-local (RFC 3927): clouds serve the credentials of a machine there.
        [169, 254, ..] => true,
        [172, 16..=31, ..] | [192, 168, ..] => true,
        // Protocol assignments, and 6to4 relays (RFC 7526).
        [192, 0, 0, _] | [192, 88, 99, _] => true,
        // Documentation (RFC 5737).
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => true,
        // Azure serves the keys and the settings of a machine there.
        [168, 63, 129, 16] => true,
        // Benchmarks (RFC 2544).
        [198, 18..=19, ..] => true,
        // Multicast, reserved, broadcast.
        [224..=255, ..] => true,
        _ => false,
    };
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match segments {
        // IPv4-mapped (RFC 4291, section 2.5.5.2), and NAT64 with the well-known prefix (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            is_public_v4(v4(high, low))
        }
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => is_public_v4(v4(high, low)),
        // Protocol assignments: Teredo, ORCHID, benchmarks.
        [0x2001, 0..=0x01ff, ..] => false,
        // Documentation (RFC 3849, RFC 9637).
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        // Only 2000::/3 is global unicast. This excludes unique local, link-local, multicast, IPv4-compatible and local NAT64
        // addresses.
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_purpose_addresses_are_not_public() {
        for (addresses, expected) in [
            // The first and the last address of each range, and their neighbors.
            ("0.0.0.0 0.0.0.1 0.255.255.255", false),
            ("1.0.0.0 9.255.255.255", true),
            ("10.0.0.0 10.255.255.255", false),
            ("11.0.0.0 100.63.255.255", true),
            ("100.64.0.0 100.127.255.255", false),
            ("100.128.0.0 126.255.255.255", true),
            ("127.0.0.0 127.0.0.1 127.255.255.255", false),
            ("128.0.0.0 169.253.255.255", true),
            ("169.254.0.0 169.254.169.254 169.254.255.255", false),
            ("168.63.129.16", false),
            ("168.63.129.15 168.63.129.17", true),
            ("169.255.0.0 172.15.255.255", true),
            ("172.16.0.0 172.31.255.255", false),
            ("172.32.0.0 191.255.255.255", true),
            ("192.0.0.0 192.0.0.255", false),
            ("192.0.1.0 192.0.1.255", true),
            ("192.0.2.0 192.0.2.255", false),
            ("192.0.3.0 192.88.98.255", true),
            ("192.88.99.0 192.88.99.255", false),
            ("192.88.100.0 192.167.255.255", true),
            ("192.168.0.0 192.168.255.255", false),
            ("192.169.0.0 198.17.255.255", true),
            ("198.18.0.0 198.19.255.255", false),
            ("198.20.0.0 198.51.99.255", true),
            ("198.51.100.0 198.51.100.255", false),
            ("198.51.101.0 203.0.112.255", true),
            ("203.0.113.0 203.0.113.255", false),
            ("203.0.114.0 223.255.255.255", true),
            ("224.0.0.0 239.255.255.255 240.0.0.0 255.255.255.255", false),
            // Unspecified, loopback, IPv4-compatible.
            (":: ::1 ::2 ::10.0.0.1 ::8.8.8.8", false),
            // IPv4-mapped and NAT64: like the embedded address.
            (
                "::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:10.0.0.1",
                false,
            ),
            ("::ffff:8.8.8.8 64:ff9b::8.8.8.8", true),
            (
                "64:ff9b::127.0.0.1 64:ff9b::169.254.169.254 64:ff9b::192.168.0.1",
                false,
            ),
            ("64:ff9b:1:: 64:ff9b:1::8.8.8.8 64:ff9b::1:808:808", false),
            ("100:: 1fff:ffff::", false),
            ("2000:: 2000:ffff::", true),
            (
                "2001:: 2001:0:4136:e378:: 2001:2:: 2001:10:: 2001:1ff:ffff::",
                false,
            ),
            ("2001:200:: 2001:db7:ffff::", true),
            ("2001:db8:: 2001:db8:ffff::", false),
            ("2001:db9:: 2001:ffff::", true),
            (
                "2002:a00:1:: 2002:7f00:1:: 2002:a9fe:a9fe:: 2002:c0a8:1::",
                false,
            ),
            (
                "2002:808:808:: 2003:: 2606:4700:4700::1111 3ffe:ffff::",
                true,
            ),
            ("3fff:: 3fff:fff:ffff::", false),
            ("3fff:1000:: 3fff:ffff::", true),
            ("4000:: 5f00:: fbff::", false),
            ("fc00:: fd12:3456:: fdff:ffff::", false),
            ("fe80::1 febf:ffff:: fec0::1 feff::", false),
            ("ff00:: ff02::1 ffff::", false),
        ] {
            for address in addresses.split(' ') {
                assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
            }
        }
    }

    #[test]
    fn the_destination_of_a_url() {
        for (url, expected) in [
            (
                "https://auth.example/token",
                Some(Place::Named("auth.example")),
            ),
            (
                "https://localhost.example/",
                Some(Place::Named("localhost.example")),
            ),
            ("https://notlocalhost/", Some(Place::Named("notlocalhost"))),
            ("https://LocalHost:8443/", Some(Place::Loopback)),
            ("https://localhost./", Some(Place::Loopback)),
            ("https://a.localhost/", Some(Place::Loopback)),
            ("https://a.b.localhost./", Some(Place::Loopback)),
            ("http://127.0.0.1:1/", Some(Place::Loopback)),
            ("http://127.1/", Some(Place::Loopback)),
            ("http://2130706433/", Some(Place::Loopback)),
            ("http://0x7f.0.0.1/", Some(Place::Loopback)),
            ("http://0177.0.0.1./", Some(Place::Loopback)),
            ("http://[::1]/", Some(Place::Loopback)),
            ("http://[::ffff:127.0.0.1]/", Some(Place::Loopback)),
            ("http://[::ffff:7f00:1]/", Some(Place::Loopback)),
            ("https://0/", Some(Place::Private)),
            ("https://[::]/", Some(Place::Private)),
            ("https://[::127.0.0.1]/", Some(Place::Private)),
            ("https://[64:ff9b::7f00:1]/", Some(Place::Private)),
            ("https://10.1/", Some(Place::Private)),
            ("https://169.254.169.254/latest", Some(Place::Private)),
            ("https://[fd00::1]/", Some(Place::Private)),
            ("https://8.8.8.8/", Some(Place::Public)),
            ("https://[::ffff:8.8.8.8]/", Some(Place::Public)),
            ("https://[2606:4700::1]/", Some(Place::Public)),
            ("file:///etc/passwd", None),
            ("data:,x", None),
        ] {
            assert_eq!(place(&url.parse().unwrap()), expected, "{url}");
        }
    }
}
