//! What the two clouds remember: who was granted what, which nonces were used, which objects there are.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use uuid::Uuid;

use super::{
    fault::{Fault, Service},
    journal::Journal,
    options::SandboxOptions,
    plan::Plan,
    slot::Slot,
};

/// How far a client's clock may be off, and how long a nonce is remembered.
pub(super) const WINDOW: SignedDuration = SignedDuration::from_mins(15);

/// Expired grants are looked through only when so many are held, and then when there are twice as many as were left.
const GRANTS: usize = 10_000;

#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) access_key_id: String,
    pub(super) secret: String,
    pub(super) token: String,
    /// What the gateway says.
    pub(super) expires: Timestamp,
    /// When OSS stops taking it.
    pub(super) ends: Timestamp,
    pub(super) slot: Slot,
}

#[derive(Debug, Clone, Serialize)]
pub struct StoredObject {
    /// Only when objects are kept in memory.
    #[serde(skip)]
    pub bytes: Option<Bytes>,
    pub len: u64,
    pub md5_hex: String,
    pub sha256_hex: String,
    pub crc64: u64,
    pub content_type: Option<String>,
    /// How often it was put.
    pub puts: u32,
    /// What the last PUT's token was granted for.
    pub slot: Slot,
}

/// Both services; shared by all connections.
pub struct Cloud {
    pub(super) options: SandboxOptions,
    memory: Mutex<Memory>,
}

#[derive(Default)]
pub(super) struct Memory {
    pub(super) journal: Journal,
    pub(super) faults: Vec<Fault>,
    pub(super) objects: BTreeMap<String, StoredObject>,
    grants: HashMap<String, Grant>,
    /// Token to access key id: the two may be sent in the wrong pairs.
    tokens: HashMap<String, String>,
    look_through_at: usize,
    nonces: Nonces,
}

#[derive(Default)]
struct Nonces {
    seen: HashSet<String>,
    by_age: VecDeque<(Timestamp, String)>,
}

impl Cloud {
    pub fn new(options: SandboxOptions) -> Self {
        Self { options, memory: Mutex::default() }
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.options.time)()
    }

    /// A panic elsewhere leaves whole entries behind, never halves: the memory stays good.
    pub(super) fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn plan(&self, service: Service, label: &str) -> Plan {
        Plan::draw(&mut self.lock().faults, service, label)
    }

    pub(super) fn grant(&self, slot: Slot, already_over: bool) -> Grant {
        let now = self.now();
        let life = SignedDuration::try_from(self.options.token_life).unwrap_or(SignedDuration::MAX);
        let expires = now.saturating_add(life).unwrap_or(Timestamp::MAX);
        let grant = Grant {
            access_key_id: format!("STS.{}", random_hex(12)),
            secret: STANDARD.encode(random_bytes(2)),
            token: format!("CAIS{}", STANDARD.encode(random_bytes(6))),
            expires,
            ends: if already_over { now } else { expires },
            slot,
        };
        self.lock().remember(grant.clone(), now);
        grant
    }

    /// False when it was used within the window.
    pub(super) fn take_nonce(&self, nonce: &str) -> bool {
        let now = self.now();
        self.lock().nonces.take(nonce, now)
    }
}

impl Memory {
    pub(super) fn grant_of(&self, access_key_id: &str) -> Option<&Grant> {
        self.grants.get(access_key_id)
    }

    pub(super) fn owner_of(&self, token: &str) -> Option<&str> {
        self.tokens.get(token).map(String::as_str)
    }

    fn remember(&mut self, grant: Grant, now: Timestamp) {
        if self.grants.len() >= self.look_through_at.max(GRANTS) {
            // Kept for a while after their end, so that they are answered "expired" and not "unknown".
            self.grants.retain(|_, old| now.duration_since(old.expires) < SignedDuration::from_hours(1));
            let Self { grants, tokens, .. } = self;
            tokens.retain(|_, id| grants.contains_key(id));
            self.look_through_at = 2 * self.grants.len();
        }
        self.tokens.insert(grant.token.clone(), grant.access_key_id.clone());
        self.grants.insert(grant.access_key_id.clone(), grant);
    }

    pub(super) fn store(&mut self, key: String, object: StoredObject) {
        let puts = self.objects.get(&key).map_or(0, |old| old.puts) + 1;
        self.objects.insert(key, StoredObject { puts, ..object });
    }
}

impl Nonces {
    fn take(&mut self, nonce: &str, now: Timestamp) -> bool {
        while self.by_age.front().is_some_and(|(at, _)| now.duration_since(*at) > WINDOW) {
            if let Some((_, old)) = self.by_age.pop_front() {
                self.seen.remove(&old);
            }
        }
        let fresh = self.seen.insert(nonce.to_owned());
        if fresh {
            self.by_age.push_back((now, nonce.to_owned()));
        }
        fresh
    }
}

fn random_bytes(uuids: usize) -> Vec<u8> {
    (0..uuids).flat_map(|_| Uuid::new_v4().into_bytes()).collect()
}

fn random_hex(len: usize) -> String {
    let mut text = Uuid::new_v4().simple().to_string();
    text.truncate(len);
    text
}

/// As both services write a request's id.
pub(super) fn request_id() -> String {
    Uuid::new_v4().simple().to_string().to_uppercase()
}
