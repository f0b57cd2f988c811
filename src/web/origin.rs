//! Where a connection comes from: clients are distinguished by it, so that none takes what others need.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::accounts::Accounts;
use crate::sockets::{TABLES, socket_address};

/// What the connections of one client have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// An account of this machine, with its subordinate user ids; all of them as one where the kernel does not say which one it is.
    User(Option<u32>),
    /// An IPv4 address, or an IPv6 network (/64).
    Network(IpAddr),
}

impl Origin {
    pub(super) fn is_local(self) -> bool {
        matches!(self, Self::User(_))
    }
}

/// The two ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Ends {
    pub(super) client: SocketAddr,
    pub(super) server: SocketAddr,
}

impl Ends {
    pub(super) fn new(client: SocketAddr, server: SocketAddr) -> Self {
        let canonical = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        Self { client: canonical(client), server: canonical(server) }
    }

    fn is_within_this_machine(self) -> bool {
        self.client.ip().is_loopback() || self.client.ip() == self.server.ip()
    }
}

/// The origin of each connection. Reads the kernel's tables once for all of them.
pub(super) fn origins(connections: &[Ends], accounts: &Accounts) -> Vec<Origin> {
    let mut owners = HashMap::new();
    if let Some(local) = connections.iter().find(|ends| ends.is_within_this_machine()) {
        for table in TABLES {
            let text = fs::read_to_string(table).unwrap_or_default();
            owners.extend(clients(&text, local.server.port()));
        }
    }
    let origin = |ends: &Ends| match ends.client.ip() {
        _ if ends.is_within_this_machine() => Origin::User(owners.get(ends).map(|uid| accounts.owner(*uid))),
        IpAddr::V6(ip) => Origin::Network(Ipv6Addr::from(u128::from(ip) & !u128::from(u64::MAX)).into()),
        ip @ IpAddr::V4(_) => Origin::Network(ip),
    };
    connections.iter().map(origin).collect()
}

/// The sockets in a table that are connected to this port, each with the user who opened it.
fn clients(table: &str, port: u16) -> impl Iterator<Item = (Ends, u32)> {
    let server_port = format!(":{port:04X}");
    table.lines().filter_map(move |line| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        let (client, server) = (columns.next()?, columns.next()?);
        if !server.ends_with(&server_port) {
            return None;
        }
        let (user, inode) = (columns.nth(4)?, columns.nth(1)?);
        // a socket that its program has closed is shown as root's
        let open = inode != "0";
        open.then_some((Ends::new(socket_address(client)?, socket_address(server)?), user.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    fn ends(client: &str, server: &str) -> Ends {
        Ends::new(client.parse().unwrap(), server.parse().unwrap())
    }

    #[test]
    fn users_of_this_machine_are_told_apart_and_networks_by_their_address() {
        let accounts = Accounts::of_this_machine();
        let origins = |connections: &[Ends]| origins(connections, &accounts);
        let me = rustix::process::geteuid().as_raw();
        let mut open = Vec::new();
        for (listen, connect) in [("127.0.0.1", "127.0.0.1"), ("[::]", "127.0.0.1"), ("[::1]", "[::1]")] {
            let Ok(listener) = TcpListener::bind(format!("{listen}:0")) else { continue };
            let port = listener.local_addr().unwrap().port();
            let client = TcpStream::connect(format!("{connect}:{port}")).unwrap();
            let (server, peer) = listener.accept().unwrap();
            let connection = Ends::new(peer, server.local_addr().unwrap());
            assert_eq!(origins(&[connection]), [Origin::User(Some(me))], "{connection:?}");
            drop(client);
            assert_eq!(origins(&[connection]), [Origin::User(None)], "whose it was is not known any more");
            open.push(server);
        }
        assert!(!open.is_empty());
        let server = "10.0.0.9:9600";
        for (one, same, other) in [
            ("10.0.0.1:1", "[::ffff:10.0.0.1]:2", "10.0.0.2:1"),
            ("[2001:db8::1]:1", "[2001:db8::9:9]:2", "[2001:db8:0:1::1]:1"),
        ] {
            let of = origins(&[ends(one, server), ends(same, server), ends(other, server)]);
            assert!(of[0] == of[1] && of[1] != of[2], "{of:?}");
        }
        assert_eq!(origins(&[ends("10.0.0.9:5", server)]), [Origin::User(None)], "by its own address");
    }

    #[test]
    fn a_table_of_the_kernel_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:2580 00000000:0000 0A 00000000:00000000 00:00000000 00000000   998        0 11 1 0 100 0 0 10 0\n   \
            1: 0100007F:9C40 0100007F:2580 01 00000000:00000000 00:00000000 00000000  1001        0 12 1 0 20 4 30 10 -1\n   \
            2: 0100007F:9C41 0100007F:2580 04 00000000:00000000 00:00000000 00000000     0        0 0 1 0 20 4 30 10 -1\n   \
            3: 0100007F:9C42 0100007F:2581 01 00000000:00000000 00:00000000 00000000  1002        0 14 1 0 20 4 30 10 -1\n";
        let found: Vec<_> = clients(table, 9600).collect();
        let expected = if cfg!(target_endian = "little") { "127.0.0.1:40000" } else { "1.0.0.127:40000" };
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].0.client.to_string(), found[0].1), (expected.to_owned(), 1001));
        for wrong in
            ["", ":", "0100007F", "0100007F:", "0100007F:10000", "01:0050", "ééééé:0050", "-100007F:0050"]
        {
            assert_eq!(socket_address(wrong), None, "{wrong}");
        }
    }
}
