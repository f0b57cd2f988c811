//! What a cloud's refusal means for the next step. Decided here, where it is understood; obeyed elsewhere.

use std::error::Error;
use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::headers::{short_name, text};
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::text::without_secrets;

/// A cloud's message is cut at so many characters.
pub(super) const LONGEST_MESSAGE: usize = 300;

/// Which of the two it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// The IoT API gateway.
    Gateway,
    /// OSS.
    Oss,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Wait, try again.
    Later,
    /// Wait, try again, but not for ever: nobody knows this answer of the gateway.
    FewTimes,
    /// Slow down; the cloud may have said for how long.
    SlowDown(Option<Duration>),
    /// Nothing can succeed until a person has set right what the gateway knows of us: all uploads wait.
    Pause,
    /// At once, with new credentials; if that fails too, later.
    FreshGrant,
    /// At once, with new credentials; if that fails too, never.
    FreshGrantOrGiveUp,
    /// At once, without the `Content-Type`, or with it again; if that fails too, never.
    ToggleContentType,
    /// At once, with the clock corrected; if that fails too, later.
    CorrectClock,
    /// At once, with another signature.
    SignAgain,
    /// Wait, try again: other bytes arrived than were checked, and nobody knows whether other ones were sent. From now on what
    /// is sent is hashed, so that who changes a file meanwhile stops nobody else's.
    HashNextTime,
    /// This file fails for good.
    GiveUp,
}

impl Remedy {
    /// Is the call made once more at once, within the same attempt?
    pub fn is_repaired_at_once(self) -> bool {
        match self {
            Remedy::FreshGrant
            | Remedy::FreshGrantOrGiveUp
            | Remedy::ToggleContentType
            | Remedy::CorrectClock
            | Remedy::SignAgain => true,
            Remedy::Later
            | Remedy::HashNextTime
            | Remedy::FewTimes
            | Remedy::SlowDown(_)
            | Remedy::Pause
            | Remedy::GiveUp => false,
        }
    }

    /// Is a new grant needed for that?
    pub fn needs_fresh_grant(self) -> bool {
        match self {
            Remedy::FreshGrant | Remedy::FreshGrantOrGiveUp => true,
            Remedy::Later
            | Remedy::FewTimes
            | Remedy::SlowDown(_)
            | Remedy::Pause
            | Remedy::ToggleContentType
            | Remedy::CorrectClock
            | Remedy::SignAgain
            | Remedy::HashNextTime
            | Remedy::GiveUp => false,
        }
    }
}

/// A call that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{failure}")]
pub struct CloudError {
    /// Who refused, or could not be reached.
    pub service: Service,
    /// What is recorded.
    pub failure: Failure,
    /// What is done.
    pub remedy: Remedy,
    /// The bytes of the file may have arrived all the same.
    pub sent: bool,
}

impl CloudError {
    pub(super) fn new(service: Service, kind: ErrorKind, remedy: Remedy, message: impl Into<String>) -> Self {
        Self { service, failure: Failure::new(kind, message), remedy, sent: false }
    }

    /// The file is not what was checked. `sent`: its bytes may have arrived before that was found out.
    pub(crate) fn of_file(message: impl Into<String>, sent: bool) -> Self {
        Self { sent, ..Self::new(Service::Oss, ErrorKind::FileChanged, Remedy::Later, message) }
    }

    /// No answer came, or one about other bytes: the file's bytes may have arrived.
    pub(super) fn perhaps_sent(mut self) -> Self {
        self.sent = true;
        self
    }

    pub(super) fn with_code(mut self, code: Option<String>) -> Self {
        self.failure.code = code.map(|code| short_name(&code));
        self
    }

    pub(super) fn with_request_id(mut self, request_id: Option<String>) -> Self {
        self.failure.request_id = request_id;
        self
    }

    /// Without secrets of ours that the answer repeats: what it says is logged and kept.
    pub(super) fn without(mut self, secrets: &[&str]) -> Self {
        let failure = &mut self.failure;
        let texts = [Some(&mut failure.message), failure.code.as_mut(), failure.request_id.as_mut()];
        for text in texts.into_iter().flatten() {
            *text = without_secrets(text, secrets);
        }
        self
    }

    /// Whether the service itself fails, so that any other file would meet the same error.
    pub fn is_outage(&self) -> bool {
        match self.remedy {
            // what was repaired at once, and came again, would meet every file
            Remedy::FreshGrant | Remedy::CorrectClock | Remedy::SignAgain => true,
            Remedy::Later | Remedy::FewTimes => self.failure.kind.means_outage(),
            Remedy::SlowDown(_)
            | Remedy::HashNextTime
            | Remedy::Pause
            | Remedy::FreshGrantOrGiveUp
            | Remedy::ToggleContentType
            | Remedy::GiveUp => false,
        }
    }

    /// An answer that is not the service's own, but of somebody between us and `host`: a proxy, a firewall, a login
    /// page. Whatever its status, it says nothing of the file.
    pub(super) fn intercepted(service: Service, host: &str, status: StatusCode, headers: &HeaderMap) -> Self {
        let (kind, header) = match service {
            Service::Gateway => (ErrorKind::GatewayError, "x-ca-request-id"),
            Service::Oss => (ErrorKind::OssError, "x-oss-request-id"),
        };
        // a load balancer of the cloud may have no id either
        let theirs = status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT;
        let kind = if theirs { kind } else { ErrorKind::Network };
        let server = text(headers, "server").map(|name| format!(" (server: {})", short_name(name)));
        let message = format!(
            "HTTP {status} from {host} without {header}: it comes from a proxy, a firewall or a login page in between{}; \
             let this machine reach {host}",
            server.unwrap_or_default()
        );
        let error =
            Self::new(service, kind, Remedy::Later, message).with_code(Some(status.as_u16().to_string()));
        if service == Service::Oss { error.perhaps_sent() } else { error }
    }

    /// An error of the HTTP client during a call to `host`: see `Clients::error`.
    pub(super) fn from_client(service: Service, host: &str, error: &reqwest::Error) -> Self {
        let kind = if error.is_timeout() { ErrorKind::Timeout } else { ErrorKind::Network };
        let cause = error.source().map(|cause| with_hint(&root_cause(cause)));
        let message = match (error.is_connect(), cause) {
            _ if error.is_timeout() => format!("no answer from {host} in time"),
            (true, Some(cause)) => format!("cannot connect to {host}: {cause}"),
            (false, Some(cause)) => format!("lost the connection to {host}: {cause}"),
            // its own text would name the URL
            (true, None) => format!("cannot connect to {host}"),
            (false, None) => format!("lost the connection to {host}"),
        };
        let nothing_sent = error.is_connect() || service == Service::Gateway;
        let error = Self::new(service, kind, Remedy::Later, message);
        if nothing_sent { error } else { error.perhaps_sent() }
    }
}

/// What a person can do about it, where it is not the network.
fn with_hint(cause: &str) -> String {
    match cause {
        _ if cause.contains("UnknownIssuer") => format!(
            "{cause}; if a proxy or an authority of your own signs here, name its certificate in network.ca_file"
        ),
        _ if cause.contains("tunnel error: unsuccessful") => {
            format!("{cause}; the proxy does not let this machine through to it")
        }
        _ if cause.contains("proxy authorization required") => {
            format!("{cause}; put the user and password into the proxy's URL")
        }
        _ if cause.contains("certificate expired") || cause.contains("not valid yet") => {
            format!("{cause}; check this machine's clock (NTP)")
        }
        _ => cause.to_owned(),
    }
}

/// The innermost cause, which is the most precise.
pub(super) fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
