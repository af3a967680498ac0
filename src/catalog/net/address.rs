//! Classes of IP addresses, and which of them a request may go to. Pure: resolves nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Class of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AddressClass {
    /// Somewhere on the internet.
    Public,
    /// Of this machine or of a network that is not public; allowed where the owner says so.
    Private(&'static str),
    /// Never a service of the owner's: metadata of cloud machines, link-local, multicast,
    /// unspecified, reserved.
    Never(&'static str),
}

/// Addresses at which clouds hand credentials to their machines, outside of the link-local ranges.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];
/// Metadata addresses of version 6, by their prefix of 64 bits: `fd00:ec2::` and `fd20:ce::`.
const METADATA_V6: [[u16; 4]; 2] = [[0xfd00, 0x0ec2, 0, 0], [0xfd20, 0x00ce, 0, 0]];

/// Judges an address. One of version 4 that is wrapped in version 6 is judged as what it wraps.
pub(super) fn sort_of(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(address) => of_v4(address),
        IpAddr::V6(address) => of_v6(address),
    }
}

/// Returns true if an address, or the one that is wrapped in it, is a loopback address.
pub(super) fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => {
            wrapped(address).map_or(address.is_loopback(), |v4| v4.is_loopback())
        }
    }
}

fn of_v4(address: Ipv4Addr) -> AddressClass {
    let [a, b, c, _] = address.octets();
    if METADATA_V4.contains(&address) {
        return AddressClass::Never("a metadata address of cloud machines");
    }
    match (a, b, c) {
        (0, ..) => AddressClass::Never("an unspecified address"),
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => AddressClass::Private("a private address"),
        (127, ..) => AddressClass::Private("a loopback address"),
        (100, 64..=127, _) => AddressClass::Private("an address of carrier-grade NAT"),
        (169, 254, _) => {
            AddressClass::Never("a link-local address, as metadata of cloud machines has")
        }
        (192, 0, 0) | (192, 0, 2) | (192, 88, 99) | (198, 51, 100) | (203, 0, 113) => {
            AddressClass::Never("a reserved address")
        }
        (198, 18..=19, _) => AddressClass::Private("an address for benchmarks"),
        (224..=239, ..) => AddressClass::Never("a multicast address"),
        (240.., ..) => AddressClass::Never("a reserved address"),
        _ => AddressClass::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> AddressClass {
    if let Some(wrapped) = wrapped(address) {
        return of_v4(wrapped);
    }
    let [a, b, c, d, .., high, low] = address.segments();
    if [a, b, c] == [0x0064, 0xff9b, 1] {
        // Only the local network knows what this leads to.
        return match of_v4(v4(high, low)) {
            AddressClass::Public => AddressClass::Private("an address of a local NAT64"),
            other => other,
        };
    }
    if address == Ipv6Addr::LOCALHOST {
        return AddressClass::Private("a loopback address");
    }
    if METADATA_V6.contains(&[a, b, c, d]) {
        return AddressClass::Never("a metadata address of cloud machines");
    }
    match (a, b) {
        _ if address.is_unspecified() => AddressClass::Never("an unspecified address"),
        (0xfe80..=0xfebf, _) => AddressClass::Never("a link-local address"),
        (0xfc00..=0xfdff, _) | (0xfec0..=0xfeff, _) => AddressClass::Private("a private address"),
        (0xff00.., _) => AddressClass::Never("a multicast address"),
        // Teredo hides the other side's address, the others lead nowhere.
        (0x2001, 0x0000..=0x01ff | 0x0db8) | (0x3fff, 0x0000..=0x0fff) => {
            AddressClass::Never("a reserved address")
        }
        (0x2000..=0x3fff, _) => AddressClass::Public,
        _ => AddressClass::Never("a reserved address"),
    }
}

/// The address of version 4 in one of version 6: mapped, compatible, NAT64 or 6to4.
fn wrapped(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => {
            Some(v4(high, low))
        }
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(v4(high, low)),
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}

#[cfg(test)]
mod tests;
