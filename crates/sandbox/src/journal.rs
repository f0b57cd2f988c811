//! Every request the sandbox saw, and what became of it.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::Serialize;

use super::{fault::Service, slot::Slot, verify::SignatureKind};

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

    pub(super) fn open(&mut self, log: RequestLog) -> u64 {
        let seq = self.next;
        self.next += 1;
        self.entries.push_back(RequestLog { seq, ..log });
        if self.entries.len() > KEEP {
            self.entries.pop_front();
        }
        seq
    }

    pub(super) fn entry(&mut self, seq: u64) -> Option<&mut RequestLog> {
        let first = self.entries.front()?.seq;
        self.entries.get_mut(usize::try_from(seq.checked_sub(first)?).ok()?)
    }
}
