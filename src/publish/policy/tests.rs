use std::path::Path;

use super::*;
use crate::cloud::{Grant, GrantRequest, Receipt, Service, Target};
use crate::config::{Secret, Settings};
use crate::domain::backoff::Backoff;
use crate::domain::image::Format;

const SECOND: Duration = Duration::from_secs(1);

fn context() -> AttemptContext {
    AttemptContext {
        retry: Retry { backoff: Backoff::new(2 * SECOND, 900 * SECOND), max_attempts: 0 },
        tidies: false,
        bytes: 7,
        attempts: 0,
        streak: 0,
        now: Timestamp::UNIX_EPOCH,
        jitter: 0.0,
    }
}

fn refusal(kind: ErrorKind, remedy: Remedy) -> CloudError {
    CloudError { service: Service::Oss, failure: Failure::new(kind, "why"), remedy, sent: true }
}

/// What a table says of an [`AttemptEnd`].
#[derive(Debug, PartialEq)]
enum End {
    Uploaded { recheck: bool },
    RetryIn { seconds: i64, kind: ErrorKind, recheck: bool, sent: bool },
    Failed { kind: ErrorKind, sent: bool },
}

impl From<AttemptEnd> for End {
    fn from(end: AttemptEnd) -> Self {
        match end {
            AttemptEnd::Uploaded { recheck, .. } => End::Uploaded { recheck },
            AttemptEnd::Retry { failure, due, recheck, sent } => {
                End::RetryIn { seconds: due.as_second(), kind: failure.kind, recheck, sent }
            }
            AttemptEnd::Failed { failure, sent } => End::Failed { kind: failure.kind, sent },
        }
    }
}

fn retry_in(seconds: i64, kind: ErrorKind) -> End {
    End::RetryIn { seconds, kind, recheck: false, sent: true }
}

fn end(outcome: AttemptResult, context: &AttemptContext) -> End {
    decide(outcome, context).end.into()
}

#[test]
fn every_remedy_has_its_decision() {
    use ErrorKind::{
        ChecksumMismatch, ClockSkew, Credentials, GatewayError, GatewayRejected, Network, OssError,
        OssRejected, Throttled, Timeout,
    };
    let failure = |cause, kind| Signal::Failure { cause, error: format!("{kind}: why") };
    let outage = |kind| failure(PauseCause::Outage, kind);
    let credentials = failure(PauseCause::Credentials, Credentials);
    let slow = |wait| Feedback::SlowDown { wait, error: "throttled: why".into() };
    let failed = |kind| End::Failed { kind, sent: true };
    let at_once = End::RetryIn { seconds: 0, kind: Credentials, recheck: false, sent: false };
    let mismatch = || End::RetryIn { seconds: 2, kind: ChecksumMismatch, recheck: true, sent: true };
    let (none, ok) = (Feedback::None, Signal::Success);
    let table = [
        (Remedy::Later, Network, retry_in(2, Network), outage(Network), none.clone()),
        (Remedy::Later, Timeout, retry_in(2, Timeout), outage(Timeout), none.clone()),
        (Remedy::Later, GatewayError, retry_in(2, GatewayError), outage(GatewayError), none.clone()),
        (Remedy::Later, OssError, retry_in(2, OssError), outage(OssError), none.clone()),
        (Remedy::Later, ChecksumMismatch, mismatch(), outage(ChecksumMismatch), none.clone()),
        (Remedy::HashNextTime, ChecksumMismatch, mismatch(), Signal::Inconclusive, none.clone()),
        (Remedy::FewTimes, GatewayError, retry_in(2, GatewayError), outage(GatewayError), none.clone()),
        (Remedy::SlowDown(None), Throttled, retry_in(2, Throttled), ok.clone(), slow(None)),
        (
            Remedy::SlowDown(Some(30 * SECOND)),
            Throttled,
            retry_in(30, Throttled),
            ok.clone(),
            slow(Some(30 * SECOND)),
        ),
        (Remedy::Pause, Credentials, at_once, credentials, none.clone()),
        (Remedy::FreshGrant, OssError, retry_in(2, OssError), outage(OssError), none.clone()),
        (Remedy::FreshGrantOrGiveUp, OssRejected, failed(OssRejected), ok.clone(), none.clone()),
        (Remedy::ToggleContentType, OssRejected, failed(OssRejected), ok.clone(), none.clone()),
        (Remedy::CorrectClock, ClockSkew, retry_in(2, ClockSkew), outage(ClockSkew), none.clone()),
        (Remedy::SignAgain, GatewayError, retry_in(2, GatewayError), outage(GatewayError), none.clone()),
        (Remedy::GiveUp, GatewayRejected, failed(GatewayRejected), ok, none),
    ];
    let mut covered = Vec::new();
    for (remedy, kind, end, breaker, pace) in table {
        covered.push(std::mem::discriminant(&remedy));
        let decision = decide(AttemptResult::Refused(refusal(kind, remedy)), &context());
        assert_eq!(End::from(decision.end), end, "{remedy:?} {kind}");
        assert_eq!((decision.breaker, decision.pace), (breaker, pace), "{remedy:?} {kind}");
    }
    let missing: Vec<_> = remedies().filter(|one| !covered.contains(&std::mem::discriminant(one))).collect();
    assert!(missing.is_empty(), "without a row: {missing:?}");
}

/// Every remedy: each names the next one, so that the compiler asks where a new one belongs.
fn remedies() -> impl Iterator<Item = Remedy> {
    std::iter::successors(Some(Remedy::Later), |remedy| match remedy {
        Remedy::Later => Some(Remedy::FewTimes),
        Remedy::FewTimes => Some(Remedy::SlowDown(None)),
        Remedy::SlowDown(_) => Some(Remedy::Pause),
        Remedy::Pause => Some(Remedy::FreshGrant),
        Remedy::FreshGrant => Some(Remedy::FreshGrantOrGiveUp),
        Remedy::FreshGrantOrGiveUp => Some(Remedy::ToggleContentType),
        Remedy::ToggleContentType => Some(Remedy::CorrectClock),
        Remedy::CorrectClock => Some(Remedy::SignAgain),
        Remedy::SignAgain => Some(Remedy::HashNextTime),
        Remedy::HashNextTime => Some(Remedy::GiveUp),
        Remedy::GiveUp => None,
    })
}

#[test]
fn an_upload_is_rechecked_when_the_file_changed_or_is_tidied_away() {
    for (changed, tidies, recheck) in
        [(false, false, false), (true, false, true), (false, true, true), (true, true, true)]
    {
        let (target, receipt) = (target(), Receipt { etag: "E".into(), request_id: Some("R".into()) });
        let outcome = AttemptResult::Uploaded { target, receipt, changed };
        let decision = decide(outcome, &AttemptContext { tidies, ..context() });
        assert_eq!((decision.breaker, decision.pace), (Signal::Success, Feedback::Uploaded));
        let AttemptEnd::Uploaded { object_url, etag, request_id, bytes, recheck: decided } = decision.end
        else {
            panic!("uploaded")
        };
        assert_eq!(object_url, "https://b.oss-cn-hangzhou.aliyuncs.com/k.jpg");
        assert_eq!((etag.as_str(), request_id.as_deref(), bytes, decided), ("E", Some("R"), 7, recheck));
    }
}

#[test]
fn a_grant_that_cannot_be_used_fails_the_file_and_nothing_else() {
    let decision = decide(AttemptResult::BadGrant(Failure::new(ErrorKind::ForbiddenHost, "why")), &context());
    assert_eq!(End::from(decision.end), End::Failed { kind: ErrorKind::ForbiddenHost, sent: false });
    assert_eq!((decision.breaker, decision.pace), (Signal::Success, Feedback::None));
}

#[test]
fn a_file_that_cannot_be_reached_waits_longer_each_time_and_says_nothing_of_the_clouds() {
    let kind = ErrorKind::FileChanged;
    for (streak, seconds) in [(0, 2), (1, 4), (2, 8), (20, 900)] {
        // it uses up no attempt, so their number has no influence
        let retry = Retry { max_attempts: 1, ..context().retry };
        let context = AttemptContext { retry, streak, attempts: 9, ..context() };
        let unreachable = AttemptResult::FileChanged(Failure::new(kind, "why"));
        let cut_short = AttemptResult::Refused(refusal(kind, Remedy::Later));
        for (outcome, sent) in [(unreachable, false), (cut_short, true)] {
            assert_eq!(depends_on_streak(&outcome).map(|failure| failure.kind), Some(kind));
            let decision = decide(outcome, &context);
            assert_eq!(End::from(decision.end), End::RetryIn { seconds, kind, recheck: true, sent });
            assert_eq!((decision.breaker, decision.pace), (Signal::Inconclusive, Feedback::None));
        }
    }
}

#[test]
fn an_unknown_answer_is_believed_when_it_has_come_often_enough() {
    let unknown = || AttemptResult::Refused(refusal(ErrorKind::GatewayError, Remedy::FewTimes));
    assert!(depends_on_streak(&unknown()).is_some());
    for (streak, expected) in [
        (0, retry_in(2, ErrorKind::GatewayError)),
        (3, retry_in(2, ErrorKind::GatewayError)),
        (4, End::Failed { kind: ErrorKind::GatewayRejected, sent: false }),
        (5, End::Failed { kind: ErrorKind::GatewayRejected, sent: false }),
    ] {
        assert_eq!(end(unknown(), &AttemptContext { streak, ..context() }), expected, "{streak}");
    }
    let known = AttemptResult::Refused(refusal(ErrorKind::GatewayError, Remedy::Later));
    assert!(depends_on_streak(&known).is_none(), "no query for nothing");
}

#[test]
fn attempts_are_limited_if_they_are_and_count() {
    use ErrorKind::{AttemptsExhausted, Network, Throttled};
    let exhausted = End::Failed { kind: AttemptsExhausted, sent: true };
    for (kind, remedy, max_attempts, attempts, expected) in [
        (Network, Remedy::Later, 0, 1000, retry_in(900, Network)),
        (Network, Remedy::Later, 3, 1, retry_in(4, Network)),
        (Network, Remedy::Later, 3, 2, exhausted),
        (Throttled, Remedy::SlowDown(None), 3, 2, retry_in(8, Throttled)),
    ] {
        let retry = Retry { max_attempts, ..context().retry };
        let context = AttemptContext { retry, attempts, ..context() };
        assert_eq!(
            end(AttemptResult::Refused(refusal(kind, remedy)), &context),
            expected,
            "{kind} {attempts}"
        );
    }
    let retry = Retry { max_attempts: 3, ..context().retry };
    let refused = AttemptResult::Refused(refusal(Network, Remedy::Later));
    let AttemptEnd::Failed { failure, .. } =
        decide(refused, &AttemptContext { retry, attempts: 2, ..context() }).end
    else {
        panic!("given up")
    };
    assert_eq!(failure.message, "given up after 3 attempts; the last error was: network: why");
}

#[test]
fn jitter_takes_up_to_a_quarter_off() {
    let refused = AttemptResult::Refused(refusal(ErrorKind::Network, Remedy::Later));
    let context = AttemptContext { attempts: 1, jitter: 1.0, ..context() };
    assert_eq!(end(refused, &context), retry_in(3, ErrorKind::Network));
}

fn target() -> Target {
    let text = "[gateway]\napp_id = \"a\"\napp_key = \"k\"\n";
    let settings = Settings::parse(Path::new("/c.toml"), text, std::iter::empty()).unwrap();
    let grant = Grant {
        access_key_id: "STS.x".into(),
        access_key_secret: Secret::default(),
        security_token: Secret::default(),
        endpoint: "oss-cn-hangzhou.aliyuncs.com".into(),
        upload_url: "https://b.oss-cn-hangzhou.aliyuncs.com/k.jpg".to_owned().into(),
        expiration: Timestamp::MAX,
        url_ends: None,
        request_id: None,
    };
    let brand = "OWNBRAND/1001".parse().unwrap();
    Target::new(&settings.oss, &grant, GrantRequest { brand, slot: 3, format: Format::Jpeg }).unwrap()
}
