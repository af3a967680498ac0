//! Results of calls on their way past the protocol library, whose types have no place for much that
//! servers send, and round its numbers. The library gets an empty result in their place.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use rmcp::model::RequestId;

use crate::{catalog::upstream::response::MemoryPermit, model::RawJson};

/// Calls of one connection whose results are expected. The supervisor in front has at most 64 on
/// their way; more are left over only from calls that were given up before they were sent, and of
/// these the oldest make room.
pub(super) const EXPECTED_MAX: usize = 1_024;

/// A result as the server sent it.
#[derive(Debug)]
pub(super) struct CallResult {
    /// The member `result` of its message.
    pub(super) json: RawJson,
    /// True if its message had an error beside it, which says nothing.
    pub(super) has_error: bool,
    /// Repairs that made its message JSON, if it was none.
    pub(super) repairs: Option<String>,
    /// Its place, where the message is a large one.
    pub(super) permit: Option<MemoryPermit>,
}

/// The results that calls of one connection wait for. Clones share them.
#[derive(Clone, Default)]
pub(super) struct CallResults(Arc<Mutex<BTreeMap<i64, Option<CallResult>>>>);

impl CallResults {
    /// Notes that a call with this id is being sent.
    pub(super) fn expect(&self, id: &RequestId) {
        let RequestId::Number(id) = id else { return };
        let mut expected = self.0.lock();
        expected.insert(*id, None);
        if expected.len() > EXPECTED_MAX {
            expected.pop_first();
        }
    }

    /// Keeps what `result` makes if the call with this id waits for its result; else returns false.
    pub(super) fn keep(&self, id: i64, result: impl FnOnce() -> CallResult) -> bool {
        match self.0.lock().get_mut(&id) {
            // The first answer counts.
            Some(Some(_)) => true,
            Some(kept @ None) => {
                *kept = Some(result());
                true
            }
            None => false,
        }
    }

    /// Takes the result of this call, if it is there.
    pub(super) fn take(&self, id: &RequestId) -> Option<CallResult> {
        let RequestId::Number(id) = id else { return None };
        self.0.lock().remove(id).flatten()
    }

    /// Nobody waits for it any more.
    pub(super) fn forget(&self, id: &RequestId) {
        drop(self.take(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(json: &str) -> CallResult {
        let json = serde_json::value::RawValue::from_string(json.to_owned()).unwrap();
        CallResult { json, has_error: false, repairs: None, permit: None }
    }

    #[test]
    fn a_result_is_kept_for_the_call_that_waits_and_for_nobody_else() {
        let results = CallResults::default();
        let id = RequestId::Number(7);
        assert!(!results.keep(7, || unreachable!("nobody asked")));
        results.expect(&id);
        assert!(results.keep(7, || result("1")));
        assert!(results.keep(7, || unreachable!("the first counts")));
        assert_eq!(results.take(&id).unwrap().json.get(), "1");
        assert!(results.take(&id).is_none());
        results.expect(&id);
        results.forget(&id);
        assert!(!results.keep(7, || result("2")));
    }

    #[test]
    fn calls_that_were_given_up_do_not_pile_up() {
        let results = CallResults::default();
        for id in 0..=EXPECTED_MAX as i64 {
            results.expect(&RequestId::Number(id));
        }
        assert!(!results.keep(0, || result("1")), "the oldest made room");
        assert!(results.keep(1, || result("1")));
        assert_eq!(results.0.lock().len(), EXPECTED_MAX);
    }
}
