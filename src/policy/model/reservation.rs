//! Counters that must admit a call before it is sent.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use super::{
    amount::Amount,
    counter::{Count, CounterKey, Window},
    verdict::{AskTerms, Denial, DenialCode, RuleRef},
};

/// Outcome for a call that a counter does not admit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnExceed {
    /// The call is denied with `rate_limited`.
    Deny,
    /// The call waits until the counter admits it; when the wait runs out it is denied.
    Wait {
        /// Longest wait, at most 5 minutes.
        max: Duration,
    },
    /// A person is asked.
    Ask(AskTerms),
}

/// Amount that a call adds to one counter. The store reserves all reservations of a call together,
/// or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reservation {
    /// The counter. No two reservations of one decision have the same key.
    pub key: CounterKey,
    /// Window of the counter.
    pub window: Window,
    /// Highest value that the counter may reach.
    pub max: Amount,
    /// Amount that this call adds.
    pub cost: Amount,
    /// Calls that count.
    pub count: Count,
    /// Outcome for a call that is not admitted.
    pub on_exceed: OnExceed,
    /// Rule that sets the limit.
    pub rule: RuleRef,
    /// Message of the rule to the caller.
    pub message: Option<Arc<str>>,
}

impl Reservation {
    /// Builds the denial of a call that this counter does not admit.
    pub fn denial(&self, retry_after: Option<Duration>) -> Denial {
        let message = match &self.message {
            Some(message) => message.to_string(),
            None => format!(
                "limit of {} per {} reached (rule `{}`)",
                self.max, self.window, self.rule.name
            ),
        };
        Denial { code: DenialCode::RateLimited, message, hidden: false, retry_after }
    }

    /// Returns the reason for asking about a call beyond the limit: sentences for the person who
    /// decides.
    pub fn used_up(&self) -> String {
        let Self { max, window, rule, .. } = self;
        let used_up = format!("The limit of {max} per {window} is used up (rule `{}`).", rule.name);
        match &self.message {
            Some(message) => format!("{message} {used_up}"),
            None => used_up,
        }
    }
}
