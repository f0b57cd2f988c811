//! Every request the sandbox saw, and what became of it.

use std::collections::VecDeque;

use http::request::Parts;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    fault::Service,
    state::{Cloud, Slot},
    verify::SignatureKind,
    wire,
};

/// A sandbox may run for weeks; the oldest entries go first.
const KEEP: usize = 100_000;

#[derive(Debug, Clone, Serialize)]
pub struct RequestLog {
    /// In the order of arrival, from 0.
    pub seq: u64,
    pub at: Timestamp,
    pub service: Service,
    pub method: String,
    pub host: String,
    pub path: String,
    /// `ok`, the error's code, or `fault:` and the fault that replaced the answer. `unanswered` while it is
    /// in hand, and for ever if the client gave up.
    pub outcome: String,
    pub status: Option<u16>,
    pub key: Option<String>,
    /// The slot asked for at the gateway, or the one that a PUT's token was granted for.
    pub slot: Option<Slot>,
    pub signature: Option<SignatureKind>,
    /// Of the body, once it was read to its end.
    pub bytes: u64,
    pub content_type: Option<String>,
    pub access_key_id: Option<String>,
    pub nonce: Option<String>,
    pub request_id: String,
    /// The faults that touched it.
    pub faults: Vec<&'static str>,
}

#[derive(Debug, Default)]
pub(super) struct Journal {
    next: u64,
    entries: VecDeque<RequestLog>,
}

impl Journal {
    pub(super) fn list(&self) -> Vec<RequestLog> {
        self.entries.iter().cloned().collect()
    }

    fn open(&mut self, log: RequestLog) -> u64 {
        let seq = self.next;
        self.next += 1;
        self.entries.push_back(RequestLog { seq, ..log });
        if self.entries.len() > KEEP {
            self.entries.pop_front();
        }
        seq
    }

    fn entry(&mut self, seq: u64) -> Option<&mut RequestLog> {
        let first = self.entries.front()?.seq;
        self.entries.get_mut(usize::try_from(seq.checked_sub(first)?).ok()?)
    }
}

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
