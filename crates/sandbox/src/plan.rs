//! Which of the faults in force touch one request.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::fault::{Fault, FaultAction, Service};

/// At most one answer in place of the right one, and any number of twists of it.
#[allow(clippy::struct_excessive_bools, reason = "each is a fault that does or does not apply")]
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) names: Vec<&'static str>,
    pub(super) instead: Option<FaultAction>,
    pub(super) delay: Duration,
    pub(super) skew: i64,
    pub(super) slow_read: Option<u64>,
    pub(super) wrong_etag: bool,
    pub(super) wrong_crc: bool,
    pub(super) expired_token: bool,
    pub(super) cut_body: bool,
    pub(super) reset_after: bool,
    pub(super) expiration: Option<Value>,
    pub(super) url_life: Option<i64>,
    pub(super) upload_url: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) forbid_overwrite: bool,
    pub(super) set_headers: BTreeMap<String, String>,
    pub(super) remove_headers: Vec<String>,
}

impl Plan {
    /// Picks from the faults in force and counts them down. Every twist counts, but only the first that
    /// replaces the answer: the others of that sort are left for later requests.
    pub(super) fn draw(faults: &mut Vec<Fault>, service: Service, label: &str) -> Self {
        let mut plan = Self::default();
        for fault in faults.iter_mut().filter(|fault| fault.concerns(service, label)) {
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if !(fault.action.replaces_answer() && plan.instead.is_some()) {
                fault.times = fault.times.map(|times| times.saturating_sub(1));
                plan.add(fault.action.clone());
            }
        }
        faults.retain(|fault| fault.times != Some(0));
        plan
    }

    /// How long a body of `bytes` takes that has been read already.
    pub(super) fn reading_time(&self, bytes: usize) -> Duration {
        let micros = |pace: u64| (bytes as u64).saturating_mul(1_000_000) / pace;
        self.slow_read.map_or(Duration::ZERO, |pace| Duration::from_micros(micros(pace)))
    }

    fn add(&mut self, action: FaultAction) {
        self.names.push(action.name());
        match action {
            FaultAction::Delay { ms } => self.delay += Duration::from_millis(ms),
            FaultAction::Skew { seconds } => self.skew += seconds,
            FaultAction::SlowRead { bytes_per_second } => self.slow_read = Some(bytes_per_second.max(1)),
            FaultAction::WrongEtag => self.wrong_etag = true,
            FaultAction::WrongCrc => self.wrong_crc = true,
            FaultAction::ExpiredToken => self.expired_token = true,
            FaultAction::CutBody => self.cut_body = true,
            FaultAction::ResetAfterStore => self.reset_after = true,
            FaultAction::BadExpiration { value } => self.expiration = Some(value),
            FaultAction::UploadUrl { value } => self.upload_url = Some(value),
            FaultAction::ShortUrl { seconds } => self.url_life = Some(seconds),
            FaultAction::Endpoint { value } => self.endpoint = Some(value),
            FaultAction::ForbidOverwrite => self.forbid_overwrite = true,
            FaultAction::Headers { set, remove } => {
                self.set_headers.extend(set);
                self.remove_headers.extend(remove);
            }
            replacing => self.instead = Some(replacing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(faults: &mut Vec<Fault>, label: &str) -> Vec<&'static str> {
        Plan::draw(faults, Service::Oss, label).names
    }

    #[test]
    fn skip_and_times_are_counted_on_matching_requests_only() {
        let mut faults = vec![Fault::oss(FaultAction::Hang).skip(1).times(2).matching("a/")];
        assert!(draw(&mut faults, "b/1").is_empty());
        assert!(draw(&mut faults, "a/1").is_empty());
        assert_eq!(draw(&mut faults, "a/1"), ["hang"]);
        assert_eq!(draw(&mut faults, "a/2"), ["hang"]);
        assert!(draw(&mut faults, "a/3").is_empty());
        assert!(faults.is_empty());
    }

    #[test]
    fn one_answer_a_request_but_every_twist() {
        let mut faults = vec![
            Fault::oss(FaultAction::Reset).times(1),
            Fault::oss(FaultAction::Delay { ms: 1 }),
            Fault::oss(FaultAction::Hang).times(1),
            Fault::gateway(FaultAction::Hang),
        ];
        assert_eq!(draw(&mut faults, "k"), ["reset", "delay"]);
        assert_eq!(draw(&mut faults, "k"), ["delay", "hang"]);
        assert_eq!(draw(&mut faults, "k"), ["delay"]);
    }
}
