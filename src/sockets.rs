//! Who listens on a port of this machine, as the kernel's tables say.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The kernel's tables of TCP sockets: proc(5), `/proc/net/tcp`.
pub(crate) const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// The state of a socket that listens.
const LISTENS: &str = "0A";

/// Does a socket listen at this address, and do all that do belong to this user?
pub(crate) fn is_served_by(address: SocketAddr, user: u32) -> bool {
    let tables = TABLES.map(|table| fs::read_to_string(table).unwrap_or_default());
    is_served(tables.iter().flat_map(|table| table.lines()), address, user)
}

fn is_served<'t>(lines: impl Iterator<Item = &'t str>, address: SocketAddr, user: u32) -> bool {
    let takes = |at: &SocketAddr| {
        let ip = at.ip().to_canonical();
        at.port() == address.port() && (ip == address.ip().to_canonical() || ip.is_unspecified())
    };
    let mut users = lines.filter_map(listener).filter(|(at, _)| takes(at)).map(|(_, user)| user).peekable();
    users.peek().is_some() && users.all(|other| other == user)
}

/// The address and the user of a line that is a socket which listens.
fn listener(line: &str) -> Option<(SocketAddr, u32)> {
    let columns: Vec<_> = line.split_ascii_whitespace().collect();
    let (at, state, user) = (columns.get(1)?, columns.get(3)?, columns.get(7)?);
    (*state == LISTENS).then_some((socket_address(at)?, user.parse().ok()?))
}

/// An address as the kernel writes it: words of 32 bits as the machine reads them, and the port.
pub(crate) fn socket_address(text: &str) -> Option<SocketAddr> {
    let (words, port) = text.split_once(':')?;
    let word = |at: usize| Some(u32::from_str_radix(words.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    let ip: IpAddr = match words.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at)?);
            }
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn only_who_listens_at_the_address_serves_it() {
        const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2580 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1001        0 1 1 0 100 0 0 10 0
   1: 0100007F:2581 0100007F:2580 01 00000000:00000000 00:00000000 00000000  1002        0 2 1 0 100 0 0 10 0
   2: 00000000:2582 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1001        0 3 1 0 100 0 0 10 0
   3: 00000000000000000000000000000000:2583 00000000000000000000000000000000:0000 0A 0:0 00:0 0  1003        0 4 1";
        let served = |address: &str, user| is_served(TABLE.lines(), address.parse().unwrap(), user);
        assert!(served("127.0.0.1:9600", 1001));
        assert!(!served("127.0.0.1:9600", 1002), "it is another user's");
        assert!(!served("127.0.0.1:9601", 1002), "it does not listen");
        assert!(!served("127.0.0.2:9600", 1001), "it listens elsewhere");
        assert!(served("127.0.0.1:9602", 1001), "it listens on every address");
        assert!(served("127.0.0.1:9603", 1003), "also by way of IPv6");
    }

    #[test]
    fn a_socket_of_this_process_is_found() {
        let here = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let user = rustix::process::getuid().as_raw();
        assert!(is_served_by(here.local_addr().unwrap(), user));
        assert!(!is_served_by(here.local_addr().unwrap(), user + 1));
    }
}
