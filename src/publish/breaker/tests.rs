use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Longer than a probe may take before another one starts beside it.
const LONG: Duration = Duration::from_secs(10);

fn brand(id: i64) -> BrandId {
    BrandId(id)
}

/// A probe may start, of any brand but these.
fn probe_but<const N: usize>(ids: [i64; N]) -> Admission {
    Admission::Probe { but: ids.map(BrandId).to_vec() }
}

fn breaker() -> (CircuitBreaker, Instant) {
    (CircuitBreaker::new(Backoff::new(2 * SECOND, 60 * SECOND)), Instant::now())
}

impl CircuitBreaker {
    /// A file that was under way fails.
    fn file_fails(&self, cause: PauseCause, id: i64, now: Instant) -> Change {
        self.record(failure(cause), brand(id), None, now)
    }

    /// A probe starts and ends with `signal`.
    fn probe(&self, signal: Signal, id: i64, now: Instant) -> Change {
        let probe = self.probe_started(brand(id), now);
        assert!(matches!(self.admit(now), Admission::Wait(_)), "one probe at a time");
        self.ends(probe, signal, now)
    }

    fn ends(&self, probe: Probe, signal: Signal, now: Instant) -> Change {
        self.record(signal, probe.brand, Some(probe), now)
    }

    /// An outage of all brands, at the end of the first interval.
    fn outage(&self, now: Instant) -> Instant {
        for id in 0..i64::from(FAILURES_TO_OPEN) {
            self.file_fails(PauseCause::Outage, id, now);
        }
        now + 2 * SECOND
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
            breaker.record(signal, brand(1), None, now);
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
        assert_eq!(breaker.admit(now), probe_but([]));
        let probe = breaker.probe_started(brand(1), now);
        assert!(breaker.pause().unwrap().next_probe > now, "the time that people read is never past");
        assert_eq!(breaker.ends(probe, failure(PauseCause::Credentials), now), Change::None);
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
        assert_eq!(breaker.admit(now), probe_but([]));
        breaker.probe(failure(PauseCause::Credentials), 1, now);
    }
    assert_eq!(breaker.admit(now), Admission::Wait(now + 2 * SECOND));
}

#[test]
fn a_probe_that_told_nothing_is_followed_at_once_by_one_of_another_brand() {
    let (breaker, start) = breaker();
    let now = breaker.outage(start);
    assert_eq!(breaker.probe(Signal::Inconclusive, 1, now), Change::None);
    assert_eq!(breaker.admit(now), probe_but([1]));
    breaker.probe(Signal::Inconclusive, 2, now);
    assert_eq!(breaker.admit(now), probe_but([1, 2]), "two brands cannot take turns");
    breaker.probe(failure(PauseCause::Outage), 3, now);
    assert_eq!(breaker.admit(now), Admission::Wait(now + 4 * SECOND), "the clouds were reached");
    let now = now + 4 * SECOND;
    assert_eq!(breaker.admit(now), probe_but([]), "the cloud may refuse the third one alone");
    assert_eq!(breaker.probe(Signal::Success, 3, now), Change::Reset(now - start));
}

#[test]
fn brands_that_were_passed_over_probe_again_when_no_others_are_left() {
    let (breaker, start) = breaker();
    let now = breaker.outage(start);
    breaker.probe(Signal::Inconclusive, 1, now);
    assert_eq!(breaker.no_other_brand(now), now + 2 * SECOND);
    assert_eq!(breaker.admit(now), Admission::Wait(now + 2 * SECOND), "not at once");
    assert_eq!(breaker.pause().unwrap().next_probe, now + 2 * SECOND);
    let now = now + 2 * SECOND;
    assert_eq!(breaker.admit(now), probe_but([]));
}

#[test]
fn where_one_brand_fails_the_others_have_their_interval_too() {
    let (breaker, now) = breaker();
    for _ in 0..FAILURES_TO_OPEN {
        breaker.file_fails(PauseCause::Outage, 1, now);
    }
    breaker.probe(Signal::Inconclusive, 2, now + SECOND);
    assert_eq!(breaker.admit(now + SECOND), probe_but([2, 1]));
    assert_eq!(breaker.no_other_brand(now + SECOND), now + 3 * SECOND);
    assert_eq!(breaker.admit(now + SECOND), Admission::Wait(now + 3 * SECOND));
    assert_eq!(breaker.no_other_brand(now + SECOND), now + 2 * SECOND, "nobody is passed over");
}

#[test]
fn a_probe_that_takes_long_has_company_of_other_brands() {
    let (breaker, start) = breaker();
    let now = breaker.outage(start);
    breaker.probe_started(brand(1), now);
    assert_eq!(breaker.admit(now + SECOND), Admission::Wait(now + LONG));
    assert_eq!(breaker.admit(now + LONG), probe_but([1]));
    assert!(breaker.no_other_brand(now + LONG) > now + LONG, "no query in a loop");
    assert_eq!(breaker.admit(now + LONG), probe_but([1]), "it is still under way");
    breaker.probe_started(brand(2), now + LONG);
    assert_eq!(breaker.admit(now + LONG), Admission::Wait(now + 2 * LONG));
    assert_eq!((breaker.probes(), breaker.admit(now + 2 * LONG)), (2, probe_but([1, 2])));
}

#[test]
fn how_a_probe_ends_that_took_long_still_counts() {
    let ends = |signal| {
        let (breaker, start) = breaker();
        let now = breaker.outage(start);
        let slow = breaker.probe_started(brand(1), now);
        let other = breaker.probe_started(brand(2), now + LONG);
        let change = breaker.ends(slow, signal, now + LONG);
        (breaker, now + LONG, other, change)
    };
    let (breaker, now, ..) = ends(Signal::Success);
    assert_eq!(breaker.admit(now), Admission::Pass);

    let (breaker, now, other, _) = ends(Signal::Inconclusive);
    assert_eq!(breaker.admit(now), Admission::Wait(now + LONG), "the other is under way");
    breaker.ends(other, Signal::Inconclusive, now);
    assert_eq!(breaker.admit(now), probe_but([1, 2]));

    let (breaker, now, other, _) = ends(failure(PauseCause::Outage));
    assert_eq!(breaker.admit(now), Admission::Wait(now + 4 * SECOND));
    breaker.ends(other, failure(PauseCause::Outage), now + SECOND);
    assert_eq!(breaker.admit(now + SECOND), Admission::Wait(now + 4 * SECOND), "one failure for both");
    assert_eq!(breaker.admit(now + 4 * SECOND), probe_but([1, 2]), "others first");
}

#[test]
fn an_operator_waits_for_no_brand_that_was_passed_over() {
    let (breaker, start) = breaker();
    let now = breaker.outage(start);
    breaker.probe(Signal::Inconclusive, 1, now);
    breaker.no_other_brand(now);
    breaker.probe_now(now);
    assert_eq!(breaker.admit(now), probe_but([]));
}

#[test]
fn files_that_were_under_way_do_not_defer_the_probe() {
    let (breaker, now) = breaker();
    breaker.file_fails(PauseCause::Credentials, 1, now);
    let next = breaker.admit(now);
    breaker.file_fails(PauseCause::Credentials, 1, now + SECOND);
    assert_eq!(breaker.admit(now), next);
    let later = now + 2 * SECOND;
    breaker.probe_started(brand(1), later);
    breaker.file_fails(PauseCause::Credentials, 1, later);
    breaker.record(Signal::Inconclusive, brand(1), None, later);
    assert!(matches!(breaker.admit(later), Admission::Wait(_)), "the probe is still under way");
}

#[test]
fn a_brand_whose_files_fail_keeps_no_other_from_trying() {
    let (breaker, now) = breaker();
    for _ in 0..FAILURES_TO_OPEN {
        breaker.file_fails(PauseCause::Outage, 1, now);
    }
    assert_eq!(breaker.admit(now), probe_but([1]));
    breaker.probe(failure(PauseCause::Outage), 2, now);
    assert!(matches!(breaker.admit(now), Admission::Wait(_)), "it is not one brand");
    breaker.record(Signal::Success, brand(1), None, now);
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
