//! Addresses to which nothing is ever sent.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where clouds hand a machine its own credentials: link-local addresses, and those that clouds use beside them. A name that leads
/// there would have the daemon ask for them.
pub(crate) fn is_for_the_machine_alone(address: IpAddr) -> bool {
    const ALIBABA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
    const AZURE: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
    const ORACLE: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 192);
    const AWS_6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    const GOOGLE_6: Ipv6Addr = Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254);
    const ORACLE_6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe);
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_link_local() || [ALIBABA, AZURE, ORACLE].contains(&address),
        IpAddr::V6(address) => {
            let is_one = address.is_unicast_link_local() || [AWS_6, GOOGLE_6, ORACLE_6].contains(&address);
            is_one || translated(address).is_some_and(|address| is_for_the_machine_alone(address.into()))
        }
    }
}

/// The address that a NAT64 gateway translates this one to: RFC 6052.
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() else { return None };
    Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_metadata_are_known_in_every_spelling() {
        for address in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "100.100.100.200",
            "fe80::1",
            "fd00:ec2::254",
            "168.63.129.16",
            "64:ff9b::a9fe:a9fe",
            "fd20:ce::254",
        ] {
            assert!(is_for_the_machine_alone(address.parse().unwrap()), "{address}");
        }
        // a name server of Alibaba Cloud is in the same network as its metadata
        for address in
            ["127.0.0.1", "::1", "10.0.0.7", "100.100.2.136", "47.96.1.1", "fd00::254", "64:ff9b::2f60:101"]
        {
            assert!(!is_for_the_machine_alone(address.parse().unwrap()), "{address}");
        }
    }
}
