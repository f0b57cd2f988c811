use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn brand(record: i64) -> BrandKey {
    BrandKey::new(crate::domain::brand::BrandType::Own, record).unwrap()
}

fn breaker() -> (CircuitBreaker, Instant) {
    (CircuitBreaker::new(Backoff::new(2 * SECOND, 60 * SECOND)), Instant::now())
}

impl CircuitBreaker {
    /// A file that was under way fails.
    fn file_fails(&self, cause: PauseCause, record: i64, now: Instant) -> Change {
        self.record(Signal::Failure { cause, error: "why".into() }, brand(record), false, now)
    }

    /// A probe starts and ends with `signal`.
    fn probe(&self, signal: Signal, record: i64, now: Instant) -> Change {
        self.probe_started(now);
        assert!(matches!(self.admit(now), Admission::Wait(_)), "one probe at a time");
        self.record(signal, brand(record), true, now)
    }
}

fn failure(cause: PauseCause) -> Signal {
    Signal::Failure { cause, error: "why".into() }
}

fn tripped(cause: PauseCause, next_probe: Instant) -> Change {
    Change::Tripped(Pause { cause, next_probe, last_error: "why".into() })
}

#[test]
fn it_opens_at_once_without_credentials_and_after_consecutive_failures_in_an_outage() {
    use PauseCause::{Credentials, Outage};
    let failing = |causes: &[PauseCause]| causes.iter().copied().map(failure).collect::<Vec<_>>();
    let (ok, gone) = (vec![Signal::Success], vec![Signal::Inconclusive]);
    let four = failing(&[Outage; 4]);
    let table = [
        (failing(&[Credentials]), Some(Credentials)),
        (four.clone(), None),
        (failing(&[Outage; 5]), Some(Outage)),
        ([four.clone(), ok, four.clone()].concat(), None),
        ([four.clone(), gone, failing(&[Outage])].concat(), Some(Outage)),
        ([four, failing(&[Credentials])].concat(), Some(Credentials)),
        (failing(&[Credentials, Outage]), Some(Outage)),
    ];
    for (signals, cause) in table {
        let (breaker, now) = breaker();
        for signal in signals.clone() {
            breaker.record(signal, brand(1), false, now);
        }
        assert_eq!(breaker.pause().map(|pause| pause.cause), cause, "{signals:?}");
        assert_eq!(breaker.admit(now) == Admission::Pass, cause.is_none(), "{signals:?}");
    }
}

#[test]
fn the_intervals_between_probes_grow_until_one_succeeds() {
    let (breaker, start) = breaker();
    let opened = breaker.file_fails(PauseCause::Credentials, 1, start);
    assert_eq!(opened, tripped(PauseCause::Credentials, start + 2 * SECOND));
    let mut now = start;
    for seconds in [2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(breaker.admit(now), Admission::Wait(now + seconds * SECOND));
        now += seconds * SECOND;
        assert_eq!(breaker.admit(now), Admission::Probe);
        breaker.probe_started(now);
        assert!(breaker.pause().unwrap().next_probe > now, "the time that people read is never past");
        assert_eq!(breaker.probe(failure(PauseCause::Credentials), 1, now), Change::None);
    }
    assert!(!breaker.has_succeeded());
    assert_eq!(breaker.probe(Signal::Success, 1, now), Change::Reset(now - start));
    assert_eq!(breaker.admit(now), Admission::Pass);
    assert!(breaker.has_succeeded());
}

#[test]
fn requested_probes_do_not_make_the_interval_longer() {
    let (breaker, now) = breaker();
    breaker.file_fails(PauseCause::Credentials, 1, now);
    for _ in 0..10 {
        breaker.probe_now(now);
        assert_eq!(breaker.admit(now), Admission::Probe);
        breaker.probe(failure(PauseCause::Credentials), 1, now);
    }
    assert_eq!(breaker.admit(now), Admission::Wait(now + 2 * SECOND));
}

#[test]
fn an_inconclusive_probe_is_followed_by_another_after_the_first_interval() {
    let (breaker, start) = breaker();
    breaker.file_fails(PauseCause::Credentials, 1, start);
    let now = start + 2 * SECOND;
    assert_eq!(breaker.probe(Signal::Inconclusive, 1, now), Change::None);
    assert_eq!(breaker.admit(now), Admission::Wait(now + 2 * SECOND));
}

#[test]
fn files_that_were_under_way_do_not_defer_the_probe() {
    let (breaker, now) = breaker();
    breaker.file_fails(PauseCause::Credentials, 1, now);
    let next = breaker.admit(now);
    breaker.file_fails(PauseCause::Credentials, 1, now + SECOND);
    assert_eq!(breaker.admit(now), next);
    let later = now + 2 * SECOND;
    breaker.probe_started(later);
    breaker.file_fails(PauseCause::Credentials, 1, later);
    breaker.record(Signal::Inconclusive, brand(1), false, later);
    assert!(matches!(breaker.admit(later), Admission::Wait(_)), "the probe is still under way");
}

#[test]
fn a_brand_whose_files_fail_keeps_no_other_from_trying() {
    let (breaker, now) = breaker();
    for _ in 0..FAILURES_TO_OPEN {
        breaker.file_fails(PauseCause::Outage, 1, now);
    }
    assert_eq!(breaker.admit(now), Admission::ProbeOthers(brand(1)));
    breaker.probe(failure(PauseCause::Outage), 2, now);
    assert!(matches!(breaker.admit(now), Admission::Wait(_)), "it is not one brand");
    breaker.record(Signal::Success, brand(1), false, now);
    assert_eq!(breaker.admit(now), Admission::Pass);
}

#[test]
fn people_read_the_latest_error() {
    let (breaker, now) = breaker();
    breaker.file_fails(PauseCause::Credentials, 1, now);
    let newer = Signal::Failure { cause: PauseCause::Credentials, error: "newer".into() };
    assert_eq!(breaker.probe(newer, 1, now), Change::None);
    assert_eq!(breaker.pause().unwrap().last_error, "newer");
}
