//! Addresses to which nothing is ever sent.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where clouds hand a machine its own credentials: link-local addresses, and those that Alibaba Cloud and AWS use beside
/// them. A name that leads there would have the daemon ask for them.
pub(crate) fn is_for_the_machine_alone(address: IpAddr) -> bool {
    const ALIBABA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
    const AWS: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_link_local() || address == ALIBABA,
        IpAddr::V6(address) => address.is_unicast_link_local() || address == AWS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_metadata_are_known_in_every_spelling() {
        for address in
            ["169.254.169.254", "::ffff:169.254.169.254", "100.100.100.200", "fe80::1", "fd00:ec2::254"]
        {
            assert!(is_for_the_machine_alone(address.parse().unwrap()), "{address}");
        }
        // a name server of Alibaba Cloud is in the same network as its metadata
        for address in ["127.0.0.1", "::1", "10.0.0.7", "100.100.2.136", "47.96.1.1", "fd00::254"] {
            assert!(!is_for_the_machine_alone(address.parse().unwrap()), "{address}");
        }
    }
}
