//! What is made to go wrong, how often and for whom.

use std::{collections::BTreeMap, io, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    Gateway,
    Oss,
    /// A request that is neither; only in the log.
    #[serde(skip_deserializing)]
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub service: Service,
    /// `None`: for ever.
    #[serde(default)]
    pub times: Option<u32>,
    /// So many matching requests pass first.
    #[serde(default)]
    pub skip: u32,
    /// Part of the object key, or of `TYPE/id/index` for the gateway. `None`: every request.
    #[serde(default)]
    pub matches: Option<String>,
    pub action: FaultAction,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultAction {
    /// A raw answer.
    Status {
        status: u16,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        #[serde(default)]
        body: String,
    },
    /// The gateway's envelope with HTTP 200.
    Code {
        code: i64,
        #[serde(default)]
        message: Option<String>,
        #[serde(default)]
        localized: Option<String>,
    },
    /// The gateway's own refusal, in `X-Ca-Error-*` headers.
    CaError { status: u16, error_code: String, message: String },
    /// OSS's XML.
    OssError { status: u16, code: String, message: String },
    /// Breaks the connection before an answer; at OSS before the body is read.
    Reset,
    /// Does everything, then breaks the connection instead of answering.
    ResetAfterStore,
    /// Waits, then goes on as ever.
    Delay { ms: u64 },
    /// Reads the request and never answers.
    Hang,
    /// OSS: stores the object, answers with another `ETag`.
    WrongEtag,
    /// OSS: stores the object, answers with another CRC.
    WrongCrc,
    /// Gateway: the token is over at OSS already, whatever `expiration` says. OSS: over for this request.
    ExpiredToken,
    /// Gateway: this as `expiration`, text or number.
    BadExpiration { value: Value },
    /// Gateway: this as `uploadUrl`.
    UploadUrl { value: String },
    /// Gateway: the signature in `uploadUrl` ends after so many seconds, whatever `expiration` says.
    ShortUrl { seconds: i64 },
    /// Gateway: this as `endpoint`.
    Endpoint { value: String },
    /// Answers 200 with so many bytes, which make no sense.
    HugeBody { bytes: u64 },
    /// Does everything, then declares a longer answer than it sends, and closes.
    CutBody,
    /// This service's clock is off by so much: its `Date` and its checks of dates, not of a token's life.
    Skew { seconds: i64 },
    /// Answers before the body is read (the gateway always has read it), and closes.
    EarlyAnswer { status: u16, code: String },
    /// Takes the body no faster than this.
    SlowRead { bytes_per_second: u64 },
    /// Whatever the answer is, its headers are changed at the very end: also those that every answer has.
    Headers {
        #[serde(default)]
        set: BTreeMap<String, String>,
        #[serde(default)]
        remove: Vec<String>,
    },
    /// OSS: an object that is there is not replaced.
    ForbidOverwrite,
}

impl Fault {
    pub fn new(service: Service, action: FaultAction) -> Self {
        Self { service, times: None, skip: 0, matches: None, action }
    }

    pub fn gateway(action: FaultAction) -> Self {
        Self::new(Service::Gateway, action)
    }

    pub fn oss(action: FaultAction) -> Self {
        Self::new(Service::Oss, action)
    }

    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    #[must_use]
    pub fn skip(self, skip: u32) -> Self {
        Self { skip, ..self }
    }

    #[must_use]
    pub fn matching(self, part: impl Into<String>) -> Self {
        Self { matches: Some(part.into()), ..self }
    }

    pub(super) fn concerns(&self, service: Service, label: &str) -> bool {
        self.service == service && self.matches.as_ref().is_none_or(|part| label.contains(part))
    }
}

/// Faults to load from a file: a JSON list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scenario {
    pub faults: Vec<Fault>,
}

impl Scenario {
    pub fn parse(json: &str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }

    pub fn load(path: &Path) -> io::Result<Self> {
        Self::parse(&std::fs::read_to_string(path)?)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

impl FaultAction {
    pub(super) fn replaces_answer(&self) -> bool {
        matches!(
            self,
            Self::Status { .. }
                | Self::Code { .. }
                | Self::CaError { .. }
                | Self::OssError { .. }
                | Self::Reset
                | Self::Hang
                | Self::HugeBody { .. }
                | Self::EarlyAnswer { .. }
        )
    }

    /// As in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Code { .. } => "code",
            Self::CaError { .. } => "ca_error",
            Self::OssError { .. } => "oss_error",
            Self::Reset => "reset",
            Self::ResetAfterStore => "reset_after_store",
            Self::Delay { .. } => "delay",
            Self::Hang => "hang",
            Self::WrongEtag => "wrong_etag",
            Self::WrongCrc => "wrong_crc",
            Self::ExpiredToken => "expired_token",
            Self::BadExpiration { .. } => "bad_expiration",
            Self::UploadUrl { .. } => "upload_url",
            Self::ShortUrl { .. } => "short_url",
            Self::Endpoint { .. } => "endpoint",
            Self::HugeBody { .. } => "huge_body",
            Self::CutBody => "cut_body",
            Self::Skew { .. } => "skew",
            Self::EarlyAnswer { .. } => "early_answer",
            Self::SlowRead { .. } => "slow_read",
            Self::Headers { .. } => "headers",
            Self::ForbidOverwrite => "forbid_overwrite",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scenario_of_the_documentation_is_one() {
        assert!(Scenario::parse(include_str!("../../../docs/bad-day.json")).unwrap().faults.len() > 3);
    }

    #[test]
    fn a_scenario_is_a_json_list_and_refuses_what_it_does_not_know() {
        let json = r#"[{"service":"oss","times":2,"matches":"x","action":{"do":"oss_error","status":503,
            "code":"ServiceUnavailable","message":"busy"}},{"service":"gateway","action":{"do":"reset"}}]"#;
        let scenario = Scenario::parse(json).unwrap();
        assert_eq!(scenario.faults.len(), 2);
        assert_eq!(scenario.faults[1], Fault::gateway(FaultAction::Reset));
        let again = serde_json::to_string(&scenario).unwrap();
        assert_eq!(Scenario::parse(&again).unwrap(), scenario);
        for bad in [
            r#"[{"service":"oss","action":{"do":"explode"}}]"#,
            r#"[{"service":"unknown","action":{"do":"reset"}}]"#,
            r#"[{"service":"oss","tims":1,"action":{"do":"reset"}}]"#,
            r#"[{"service":"oss","action":{"do":"delay","ms":1,"s":2}}]"#,
        ] {
            assert!(Scenario::parse(bad).is_err(), "{bad}");
        }
    }
}
