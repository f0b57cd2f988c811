//! Alerts: messages to operators.

use super::word::words;

words! {
    /// What alerts are about.
    pub enum AlertTopic("topic of alerts") {
        /// Files are refused.
        Refused = "refused",
        /// Nothing moves any more, or something else needs an operator.
        Trouble = "paused",
        /// It moves again.
        Resumed = "resumed",
        /// All of a brand's files that waited are uploaded.
        Complete = "complete",
    }
}
