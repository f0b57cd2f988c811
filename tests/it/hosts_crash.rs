//! Several hosts, `kill -9` of their daemons and of the server.
//!
//! `BRANDPOST_HOSTS`, `BRANDPOST_BRANDS` and `BRANDPOST_ROUNDS` make more of it: `just crash-hosts`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use brandpost::domain::failure::ErrorKind;
use brandpost::domain::upload::State;
use brandpost::ledger::{Counts, StatusRow};

use crate::support::pictures::jpg;
use crate::support::postgres::{Cluster, cluster};
use crate::support::process::Process;
use crate::support::{Bench, in_inbox};

/// Four more than a brand has slots.
const FILES: u32 = 14;

fn asked(variable: &str, default: u32) -> u32 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// A picture of its own for each file: a small one, and a number behind it, as phones append data.
fn picture(brand: u32, file: u32) -> Vec<u8> {
    let mut bytes = jpg(1);
    bytes.extend_from_slice(&(brand * FILES + file).to_be_bytes());
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_daemons_and_a_killed_server_double_nothing_and_lose_nothing() {
    let test = "hosts_crash::killed_daemons_and_a_killed_server_double_nothing_and_lose_nothing";
    if cluster(test).is_none() {
        return;
    }
    let cluster = Cluster::start().unwrap();
    let (hosts, brands) = (asked("BRANDPOST_HOSTS", 3), asked("BRANDPOST_BRANDS", 6));
    let mut first = Bench::new().await;
    first.server = Some(cluster.database());
    first.configure(&in_inbox("hz-0"));
    let mut benches = vec![first];
    for host in 1..hosts {
        benches.push(benches[0].another_host(&format!("hz-{host}")).await);
    }
    let mut daemons: Vec<_> = benches.iter().map(|bench| Some(Process::start(bench))).collect();
    let mut chance = fastrand::Rng::with_seed(u64::from(asked("BRANDPOST_FIRST_SEED", 1)));
    let rounds = asked("BRANDPOST_ROUNDS", 4);
    for round in 0..rounds {
        for brand in (0..brands).filter(|brand| brand % rounds == round) {
            for file in 0..FILES {
                let bench = &benches[(file % hosts) as usize];
                let name = format!("{file}.jpg");
                bench.drop_file(&format!("OWNBRAND/{}", 1 + brand), name, &picture(brand, file));
            }
        }
        tokio::time::sleep(Duration::from_millis(chance.u64(100..1000))).await;
        let killed = chance.usize(..daemons.len());
        daemons[killed].take().into_iter().for_each(Process::kill);
        if chance.u8(..3) == 0 {
            cluster.kill();
        }
        tokio::time::sleep(Duration::from_millis(chance.u64(..500))).await;
        restart(&mut daemons, &benches);
    }
    let ended = |counts: &Counts| {
        let uploaded = counts.of(State::Uploaded) == u64::from(brands) * 10;
        uploaded && counts.of(State::Rejected) == u64::from(brands * (FILES - 10))
    };
    let all = async {
        while !ended(&benches[0].counts_so_far().await) {
            tokio::time::sleep(Duration::from_millis(200)).await;
            restart(&mut daemons, &benches);
        }
    };
    let waited = tokio::time::timeout(Duration::from_mins(3), all).await;
    assert!(waited.is_ok(), "{:?}", benches[0].counts_so_far().await);
    drop(daemons);
    check(&benches[0], brands).await;
}

/// As systemd does. One that could not reach the server at its start has ended, too.
fn restart(daemons: &mut [Option<Process>], benches: &[Bench]) {
    for (daemon, bench) in daemons.iter_mut().zip(benches) {
        if daemon.as_mut().is_none_or(Process::has_ended) {
            *daemon = Some(Process::start(bench));
        }
    }
}

/// Ten objects a brand, no slot twice, every byte right, the rest waiting.
async fn check(bench: &Bench, brands: u32) {
    let rows = bench.rows().await;
    assert_eq!(rows.len(), (brands * FILES) as usize);
    let mut of_brand: BTreeMap<u32, Vec<&StatusRow>> = BTreeMap::new();
    for row in &rows {
        let number: u32 = row.brand().record().try_into().unwrap();
        of_brand.entry(number).or_default().push(row);
    }
    assert_eq!(bench.sandbox.objects().len(), (brands * 10) as usize);
    for (brand, rows) in of_brand {
        let slots: BTreeSet<_> = rows.iter().filter_map(|row| row.slot).collect();
        assert_eq!(slots, (1..=10).collect(), "OWNBRAND/{brand}");
        for row in rows {
            let Some(slot) = row.slot else {
                assert_eq!(row.error_kind, Some(ErrorKind::LimitReached), "{row:#?}");
                continue;
            };
            let file: u32 = row.file_name.trim_end_matches(".jpg").parse().unwrap();
            let sent = bench.object(&format!("qualification/OWNBRAND/{brand}/{slot}.jpg"));
            assert!(sent == picture(brand - 1, file), "OWNBRAND/{brand} {slot} is not {}", row.file_name);
        }
    }
}
