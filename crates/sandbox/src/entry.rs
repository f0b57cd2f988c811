//! A request's place in the journal, filled in as more becomes known.

use http::request::Parts;

use super::{fault::Service, journal::RequestLog, state::Cloud, wire};

/// A request's place in the journal, filled in as more becomes known.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    cloud: &'a Cloud,
    seq: u64,
}

impl<'a> Entry<'a> {
    pub(super) fn open(cloud: &'a Cloud, service: Service, parts: &Parts, request_id: &str) -> Self {
        let own = |name| wire::header(&parts.headers, name).map(str::to_owned);
        let log = RequestLog {
            seq: 0,
            at: cloud.now(),
            service,
            method: parts.method.to_string(),
            host: own("host").unwrap_or_default(),
            path: parts.uri.path().to_owned(),
            outcome: "unanswered".to_owned(),
            status: None,
            key: None,
            slot: None,
            signature: None,
            bytes: 0,
            content_type: own("content-type"),
            access_key_id: None,
            nonce: own("x-ca-nonce"),
            request_id: request_id.to_owned(),
            faults: Vec::new(),
        };
        let seq = cloud.lock().journal.open(log);
        Self { cloud, seq }
    }

    pub(super) fn note(self, change: impl FnOnce(&mut RequestLog)) {
        if let Some(log) = self.cloud.lock().journal.entry(self.seq) {
            change(log);
        }
    }

    pub(super) fn outcome(self, outcome: impl Into<String>) {
        self.note(|log| log.outcome = outcome.into());
    }
}
