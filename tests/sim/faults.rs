//! What goes wrong at the clouds and at the disk, and how often.

use std::collections::BTreeMap;

use fastrand::Rng;
use sandbox::FaultAction;
use serde::{Deserialize, Serialize};

/// Of a hundred steps, so many have a fault ready for the request, or the commit, that they let go.
const CLOUD_FAULTS: u32 = 25;
const COMMIT_FAULTS: u32 = 8;

/// What becomes of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitFault {
    /// It cannot begin: the database is locked.
    Locked,
    /// It cannot be committed: the disk is full.
    Full,
    /// It is committed, and reported as failed.
    Doubtful,
}

const COMMITS: [(u32, CommitFault); 3] =
    [(3, CommitFault::Locked), (3, CommitFault::Full), (2, CommitFault::Doubtful)];

/// How OSS fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OssFault {
    Unavailable,
    InternalError,
    SlowDown,
    TokenExpired,
    ClockSkewed,
    AccessDenied,
    RequestTimeout,
    BadGateway,
    Reset,
    ResetAfterStore,
    WrongCrc,
}

const OSS: [(u32, OssFault); 11] = [
    (1, OssFault::Unavailable),
    (1, OssFault::InternalError),
    (1, OssFault::SlowDown),
    (1, OssFault::TokenExpired),
    (1, OssFault::ClockSkewed),
    (1, OssFault::AccessDenied),
    (1, OssFault::RequestTimeout),
    (1, OssFault::BadGateway),
    (1, OssFault::Reset),
    (3, OssFault::ResetAfterStore),
    (2, OssFault::WrongCrc),
];

/// How the gateway fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GatewayFault {
    ServerError,
    InvalidParameter,
    TooManyRequests,
    Throttled,
    QuotaExceeded,
    BadSignature,
    Unavailable,
    Reset,
    ExpiredToken,
    BadExpiration,
}

const GATEWAY: [(u32, GatewayFault); 10] = [
    (1, GatewayFault::ServerError),
    (1, GatewayFault::InvalidParameter),
    (1, GatewayFault::TooManyRequests),
    (1, GatewayFault::Throttled),
    (1, GatewayFault::QuotaExceeded),
    (1, GatewayFault::BadSignature),
    (1, GatewayFault::Unavailable),
    (1, GatewayFault::Reset),
    (1, GatewayFault::ExpiredToken),
    (1, GatewayFault::BadExpiration),
];

/// What goes wrong with whatever an actor does in its next step: only what fits is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StepFaults {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitFault>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewayFault>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oss: Option<OssFault>,
}

impl StepFaults {
    pub const NONE: Self = Self { commit: None, gateway: None, oss: None };

    pub fn draw(rng: &mut Rng) -> Self {
        let cloud = rng.u32(0..100) < CLOUD_FAULTS;
        Self {
            commit: CommitFault::draw(rng),
            gateway: cloud.then(|| weighted(rng, &GATEWAY)),
            oss: cloud.then(|| weighted(rng, &OSS)),
        }
    }
}

impl CommitFault {
    pub fn draw(rng: &mut Rng) -> Option<Self> {
        (rng.u32(0..100) < COMMIT_FAULTS).then(|| weighted(rng, &COMMITS))
    }
}

impl OssFault {
    pub fn action(self) -> FaultAction {
        let error =
            |status, code: &str| FaultAction::OssError { status, code: code.into(), message: "no".into() };
        match self {
            Self::Unavailable => error(503, "ServiceUnavailable"),
            Self::InternalError => error(500, "InternalError"),
            Self::SlowDown => error(503, "SlowDown"),
            Self::TokenExpired => error(403, "SecurityTokenExpired"),
            Self::ClockSkewed => error(403, "RequestTimeTooSkewed"),
            Self::AccessDenied => error(403, "AccessDenied"),
            Self::RequestTimeout => error(400, "RequestTimeout"),
            Self::BadGateway => raw(502),
            Self::Reset => FaultAction::Reset,
            Self::ResetAfterStore => FaultAction::ResetAfterStore,
            Self::WrongCrc => FaultAction::WrongCrc,
        }
    }

    /// May a file end as `failed` by it?
    pub fn is_fatal(self) -> bool {
        matches!(self, Self::AccessDenied | Self::RequestTimeout)
    }
}

impl GatewayFault {
    pub fn action(self) -> FaultAction {
        let code = |code| FaultAction::Code { code, message: None, localized: None };
        let refusal = |status, code: &str| FaultAction::CaError {
            status,
            error_code: code.into(),
            message: "no".into(),
        };
        match self {
            Self::ServerError => code(500),
            Self::InvalidParameter => code(460),
            Self::TooManyRequests => code(429),
            Self::Throttled => refusal(403, "S403TE"),
            Self::QuotaExceeded => refusal(429, "T429UT"),
            Self::BadSignature => refusal(403, "A403IS"),
            Self::Unavailable => raw(503),
            Self::Reset => FaultAction::Reset,
            Self::ExpiredToken => FaultAction::ExpiredToken,
            Self::BadExpiration => FaultAction::BadExpiration { value: "yesterday".into() },
        }
    }

    /// May a file end as `failed` by it?
    pub fn is_fatal(self) -> bool {
        use GatewayFault::{BadExpiration, InvalidParameter, QuotaExceeded, TooManyRequests};
        matches!(self, InvalidParameter | TooManyRequests | QuotaExceeded | BadExpiration)
    }
}

fn raw(status: u16) -> FaultAction {
    FaultAction::Status { status, headers: BTreeMap::new(), body: "<html>".into() }
}

/// One of these, each as often as its weight says.
pub fn weighted<T: Copy>(rng: &mut Rng, table: &[(u32, T)]) -> T {
    let mut left = rng.u32(0..table.iter().map(|(weight, _)| weight).sum());
    for (weight, what) in table {
        match left.checked_sub(*weight) {
            Some(rest) => left = rest,
            None => return *what,
        }
    }
    unreachable!("less than the sum of all weights")
}
