//! Which connections are served when there are more than places.
//!
//! Clients must not be able to use up the descriptors that uploads need, or to keep other clients out. Connections
//! that have shown the token keep their places. The others share the rest fairly by origin: when a new connection
//! needs room, the one that is closed is idle, or belongs to the origin that has the most.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::connection::Connection;
use super::origin::Origin;

/// A client that keeps us waiting for less than this is not too slow, and its connection is not evicted.
pub(super) const GRACE: Duration = Duration::from_millis(20);

/// Within this time a connection that is served shows its credentials, also on a busy machine. It is not evicted before.
const INTRODUCTION: Duration = Duration::from_millis(100);

/// A connection that is served.
struct Active {
    connection: Connection,
    since: Instant,
    task: AbortHandle,
}

pub(super) struct Admission {
    max_active: usize,
    /// The rest of the active connections is reserved for other origins.
    max_per_origin: usize,
    max_queued: usize,
    /// Oldest first.
    active: Vec<Active>,
    /// Oldest first.
    queued: VecDeque<(TcpStream, Connection)>,
}

impl Admission {
    pub(super) fn new(connections: usize) -> Self {
        let max_active = connections.div_ceil(2);
        Self {
            max_active,
            max_per_origin: (max_active * 5 / 8).max(1),
            max_queued: connections / 2,
            active: Vec::new(),
            queued: VecDeque::new(),
        }
    }

    pub(super) fn enqueue(&mut self, stream: TcpStream, connection: Connection) {
        self.queued.push_back((stream, connection));
    }

    pub(super) fn has_queued(&self) -> bool {
        !self.queued.is_empty()
    }

    /// Begins to serve queued connections as far as there is room for each. When the queue is too long, the oldest
    /// of the origin that has the most in it are closed; on a tie, of the origin that came last.
    pub(super) fn admit_queued(&mut self, mut serve: impl FnMut(TcpStream, Connection) -> AbortHandle) {
        self.active.retain(|active| !active.task.is_finished());
        let mut without_room = Vec::new();
        for (stream, connection) in std::mem::take(&mut self.queued) {
            let origin = connection.origin();
            if !without_room.contains(&origin) && self.make_room_for(origin) {
                let task = serve(stream, connection.clone());
                self.active.push(Active { connection, since: Instant::now(), task });
            } else {
                without_room.push(origin);
                self.queued.push_back((stream, connection));
            }
        }
        while self.queued.len() > self.max_queued {
            let busiest = most_frequent(self.queued.iter().rev().map(|(_, connection)| connection.origin()));
            let oldest = self.queued.iter().position(|(_, connection)| Some(connection.origin()) == busiest);
            oldest.and_then(|at| self.queued.remove(at));
        }
    }

    /// Closes a connection if that is needed and possible.
    fn make_room_for(&mut self, origin: Origin) -> bool {
        let origin_is_full = self.strangers_of(origin) >= self.max_per_origin;
        if !origin_is_full && self.active.len() < self.max_active {
            return true;
        }
        let evicted = self.oldest_idle(origin_is_full.then_some(origin));
        let evicted = evicted.or_else(|| self.newest_of_too_many(origin, origin_is_full));
        evicted.map(|at| self.active.remove(at).task.abort()).is_some()
    }

    /// Those that have not shown the token.
    fn strangers(&self) -> impl DoubleEndedIterator<Item = (usize, &Active)> {
        self.active.iter().enumerate().filter(|(_, active)| !active.connection.is_authenticated())
    }

    fn strangers_of(&self, origin: Origin) -> usize {
        self.strangers().filter(|(_, active)| active.connection.origin() == origin).count()
    }

    /// Of the origin that has the most idle connections, or of the only one that may be chosen. On a tie the oldest:
    /// who has only come may still be about to ask.
    fn oldest_idle(&self, only: Option<Origin>) -> Option<usize> {
        let is_idle = |active: &Active| active.connection.idle_for().is_some_and(|idle| idle >= GRACE);
        let idle = self.strangers().filter(|(_, active)| is_idle(active));
        let idle: Vec<_> = idle.map(|(at, active)| (at, active.connection.origin())).collect();
        let chosen = only.or_else(|| most_frequent(idle.iter().map(|(_, origin)| *origin)))?;
        idle.iter().find(|(_, origin)| *origin == chosen).map(|(at, _)| *at)
    }

    /// None is idle: their requests are being answered. Another origin that has more makes room for the new
    /// connection. Otherwise its own does, but there the older ones stay, which have waited longest for their answer.
    fn newest_of_too_many(&self, newcomer: Origin, newcomer_is_full: bool) -> Option<usize> {
        let busiest = most_frequent(self.strangers().rev().map(|(_, active)| active.connection.origin()))?;
        let has_more = self.strangers_of(busiest) > self.strangers_of(newcomer) + 1;
        let (origin, kept) = if has_more && !newcomer_is_full {
            (busiest, 0)
        } else {
            (newcomer, (self.strangers_of(newcomer) * 3).div_ceil(5))
        };
        let of_origin = self.strangers().filter(|(_, active)| active.connection.origin() == origin);
        let introduced = of_origin.skip(kept).filter(|(_, active)| active.since.elapsed() >= INTRODUCTION);
        introduced.last().map(|(at, _)| at)
    }
}

/// On a tie it is one of the kind (of this machine, or of the network) that has more connections: no crowd of either
/// keeps out the other. Of several it is the one that comes first.
fn most_frequent(origins: impl Iterator<Item = Origin>) -> Option<Origin> {
    let (mut counts, mut locals, mut remotes) = (BTreeMap::new(), 0_usize, 0_usize);
    for (at, origin) in origins.enumerate() {
        counts.entry(origin).or_insert((0_usize, Reverse(at))).0 += 1;
        *if origin.is_local() { &mut locals } else { &mut remotes } += 1;
    }
    let of_its_kind = |origin: Origin| if origin.is_local() { locals } else { remotes };
    let by_count = |(origin, (count, first)): &(Origin, _)| (*count, of_its_kind(*origin), *first);
    counts.into_iter().max_by_key(by_count).map(|(origin, _)| origin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::sync::Arc;
    use tokio::net::TcpListener;
    use tokio::sync::Notify;
    use tokio::time::advance;

    const MINE: Origin = Origin::User(Some(1000));
    const THEIRS: [Origin; 3] = [Origin::User(Some(1001)), Origin::User(Some(1002)), Origin::User(None)];

    /// Connections that are in the middle of a request, so many of each origin in turn.
    fn busy(of: &[(usize, Origin)]) -> Admission {
        let mut admission = Admission::new(128);
        for (count, origin) in of {
            for _ in 0..*count {
                admission.begin(*origin, true);
            }
        }
        admission
    }

    fn network(number: u8) -> Origin {
        Origin::Network(Ipv4Addr::new(10, 0, 0, number).into())
    }

    async fn enqueue(admission: &mut Admission, origin: Origin) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let connection = Connection::new(Ipv4Addr::LOCALHOST.into(), origin, &Arc::default());
        admission.enqueue(stream, connection);
    }

    impl Admission {
        fn begin(&mut self, origin: Origin, busy: bool) -> Connection {
            let connection = Connection::new(Ipv4Addr::LOCALHOST.into(), origin, &Arc::new(Notify::new()));
            connection.set_waiting(true);
            if busy {
                std::mem::forget(connection.begin_request());
            }
            let task = tokio::spawn(std::future::pending::<()>()).abort_handle();
            self.active.push(Active { connection: connection.clone(), since: Instant::now(), task });
            connection
        }

        fn count(&self, origin: Origin) -> usize {
            self.strangers_of(origin)
        }

        fn has(&self, connection: &Connection) -> bool {
            self.active.iter().any(|other| other.connection.is(connection))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn idle_connections_make_room_first_and_the_oldest_of_them() {
        let mut admission = busy(&[(60, THEIRS[0])]);
        let quiet = admission.begin(MINE, false);
        let idle = [0, 1, 2].map(|_| admission.begin(THEIRS[1], false));
        assert!(!admission.make_room_for(MINE), "it has only come");
        advance(GRACE).await;
        idle[0].mark_authenticated();
        assert!(admission.make_room_for(MINE));
        assert!(admission.has(&idle[0]) && !admission.has(&idle[1]) && admission.has(&idle[2]));
        assert!(admission.has(&quiet));
    }

    #[tokio::test(start_paused = true)]
    async fn an_origin_has_its_share_and_makes_room_for_itself() {
        let mut admission = busy(&[(40, THEIRS[0])]);
        let idle = admission.begin(MINE, false);
        assert!(admission.make_room_for(MINE), "the rest is for others");
        assert!(!admission.make_room_for(THEIRS[0]), "they have only come");
        advance(INTRODUCTION).await;
        let oldest: Vec<_> = admission.active[..24].iter().map(|active| active.connection.clone()).collect();
        for _ in 0..16 {
            assert!(admission.make_room_for(THEIRS[0]));
            admission.begin(THEIRS[0], true);
        }
        assert!(
            !admission.make_room_for(THEIRS[0]),
            "these have only come, and the others wait for their answer"
        );
        assert!(oldest.iter().all(|connection| admission.has(connection)) && admission.has(&idle));
        assert_eq!(admission.count(THEIRS[0]), 40);
    }

    #[test]
    fn on_a_tie_no_origin_is_the_victim_by_what_it_is() {
        let [near, far] = [network(1), network(2)];
        for (origins, expected) in [
            (&[][..], None),
            (&[near, MINE, MINE], Some(MINE)),
            (&[MINE, near, near, far], Some(near)),
            // one against a crowd of the other kind
            (&[near, THEIRS[0], THEIRS[1], MINE], Some(THEIRS[0])),
            (&[MINE, far, near], Some(far)),
            // the first, whoever it is
            (&[near, MINE], Some(near)),
            (&[MINE, near], Some(MINE)),
            (&[THEIRS[1], THEIRS[0]], Some(THEIRS[1])),
            (&[THEIRS[0], THEIRS[1]], Some(THEIRS[0])),
            (&[far, near, near, far], Some(far)),
        ] {
            assert_eq!(most_frequent(origins.iter().copied()), expected, "{origins:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn on_a_tie_the_oldest_idle_connection_makes_room() {
        let mut admission = Admission::new(128);
        let idle: Vec<_> =
            (0..64).map(|user| admission.begin(Origin::User(Some(1063 - user)), false)).collect();
        advance(GRACE).await;
        for (gone, stays) in idle.iter().zip(&idle[1..]) {
            assert!(admission.make_room_for(network(1)));
            assert!(!admission.has(gone) && admission.has(stays));
            admission.begin(Origin::User(None), true);
        }
    }

    /// A connection each of many accounts, or of many addresses, and one of the other kind.
    #[tokio::test(start_paused = true)]
    async fn a_crowd_of_many_origins_does_not_push_another_kind_out_of_the_queue() {
        let local = |number: u8| Origin::User(Some(1000 + u32::from(number)));
        for (crowd, visitor) in [(&local as &dyn Fn(u8) -> Origin, network(1)), (&network, MINE)] {
            let mut admission = busy(&[(1, visitor)]);
            (1..64).for_each(|number| drop(admission.begin(crowd(number), true)));
            enqueue(&mut admission, visitor).await;
            for number in 64..=255 {
                enqueue(&mut admission, crowd(number)).await;
                admission.admit_queued(|_, _| unreachable!("there is no room"));
            }
            let queued: Vec<_> = admission.queued.iter().map(|(_, connection)| connection.origin()).collect();
            let first: Vec<_> = (64..127).map(crowd).collect();
            assert_eq!((queued[0], &queued[1..]), (visitor, &first[..]), "who came last has gone");
        }
    }

    /// Neither wrong tokens nor anything else that keeps the server busy closes the page to another origin.
    #[tokio::test(start_paused = true)]
    async fn who_has_most_makes_room_for_who_has_less() {
        for (crowd, share) in [(&[40, 24][..], 21), (&[22, 21, 21], 15)] {
            let crowd: Vec<_> = crowd.iter().copied().zip(THEIRS).collect();
            let mut admission = busy(&crowd);
            let known = admission.active[0].connection.clone();
            known.mark_authenticated();
            advance(INTRODUCTION).await;
            for _ in 0..share {
                assert!(admission.make_room_for(MINE));
                admission.begin(MINE, true);
            }
            assert!(!admission.make_room_for(MINE), "that is its share");
            let counts = THEIRS.map(|theirs| admission.count(theirs));
            assert!(counts.iter().all(|count| *count == 0 || count.abs_diff(share) <= 1), "{counts:?}");
            assert_eq!((admission.count(MINE), admission.active.len()), (share, admission.max_active));
            assert!(admission.has(&known));
        }
    }
}
