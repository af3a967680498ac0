//! Requests that a server accepted without an answer. Some send it on the stream of their own
//! messages; where a server has no such stream, or it ends, the caller gets the reason.

use std::{collections::BTreeSet, sync::Arc};

use futures::{StreamExt, stream};
use parking_lot::Mutex;
use rmcp::{model::RequestId, transport::streamable_http_client::SseError};
use sse_stream::Sse;

use super::{incoming, intake::Events, message::UNREADABLE, results::EXPECTED_MAX};

/// The requests of one connection that wait for such an answer. Clones share them.
#[derive(Clone, Default)]
pub(super) struct AnsweredElsewhere(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// True once the server has refused the stream, and until it opens one.
    is_refused: bool,
    /// True if its events have ids, so that it can go on after a break.
    is_resumable: bool,
    waiting: BTreeSet<i64>,
}

impl AnsweredElsewhere {
    /// Notes that this request waits, unless there is no stream on which its answer could come.
    pub(super) fn expect(&self, id: &RequestId) -> bool {
        let RequestId::Number(id) = id else { return false };
        let mut state = self.0.lock();
        if state.is_refused {
            return false;
        }
        state.waiting.insert(*id);
        if state.waiting.len() > EXPECTED_MAX {
            state.waiting.pop_first();
        }
        true
    }

    /// The stream was refused. Returns what the requests that wait get.
    pub(super) fn refused(&self) -> Vec<Result<Sse, SseError>> {
        let mut state = self.0.lock();
        state.is_refused = true;
        state.failed("and has no stream on which an answer could come")
    }

    /// The events of an open stream; at its end the requests that still wait fail.
    pub(super) fn watched(&self, events: Events) -> Events {
        let mut state = self.0.lock();
        (state.is_refused, state.is_resumable) = (false, false);
        drop(state);
        let shared = self.clone();
        let events = events.map(Some).chain(stream::once(std::future::ready(None)));
        events.flat_map(move |event| stream::iter(shared.looked_at(event))).boxed()
    }

    fn looked_at(&self, event: Option<Result<Sse, SseError>>) -> Vec<Result<Sse, SseError>> {
        let mut state = self.0.lock();
        match event {
            Some(Ok(event)) => {
                state.is_resumable |= event.id.is_some();
                if let Some(id) = event.data.as_deref().and_then(answered) {
                    state.waiting.remove(&id);
                }
                vec![Ok(event)]
            }
            end => {
                let mut rest = match state.is_resumable {
                    true => Vec::new(),
                    false => state.failed("and its stream of events ended without an answer"),
                };
                rest.extend(end);
                rest
            }
        }
    }
}

impl State {
    fn failed(&mut self, why: &str) -> Vec<Result<Sse, SseError>> {
        let why = format!("it accepted the request without an answer, {why}");
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        waiting.map(|id| Ok(Sse::default().data(incoming::error(id, UNREADABLE, &why)))).collect()
    }
}

/// The request that a message answers, as this side writes answers.
fn answered(message: &str) -> Option<i64> {
    let rest = message.strip_prefix(r#"{"jsonrpc":"2.0","id":"#)?;
    rest.split_once(',')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(events: &[Result<Sse, SseError>]) -> Vec<String> {
        let data = events.iter().filter_map(|event| event.as_ref().ok()?.data.clone());
        data.filter(|data| data.contains("without an answer")).collect()
    }

    async fn watched(waiting: &AnsweredElsewhere, events: Vec<Sse>) -> Vec<String> {
        let events = stream::iter(events.into_iter().map(Ok)).boxed();
        ids(&waiting.watched(events).collect::<Vec<_>>().await)
    }

    #[tokio::test]
    async fn what_was_accepted_fails_where_no_answer_can_come_any_more() {
        let waiting = AnsweredElsewhere::default();
        let (one, two) = (RequestId::Number(1), RequestId::Number(2));
        assert!(waiting.expect(&one) && waiting.expect(&two), "it may have a stream");
        let answer = Sse::default().data(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
        let failed = watched(&waiting, vec![answer]).await;
        assert_eq!(failed.len(), 1, "{failed:?}");
        assert!(failed[0].contains(r#""id":2"#), "{failed:?}");
        // What can be taken up again has not ended.
        assert!(waiting.expect(&one));
        assert_eq!(watched(&waiting, vec![Sse::default().id("5")]).await, [""; 0]);
        assert_eq!(ids(&waiting.refused()).len(), 1);
        assert!(!waiting.expect(&one), "there is no stream");
    }

    #[test]
    fn requests_that_were_given_up_do_not_pile_up() {
        let waiting = AnsweredElsewhere::default();
        for id in 0..=EXPECTED_MAX as i64 {
            assert!(waiting.expect(&RequestId::Number(id)));
        }
        assert_eq!(waiting.refused().len(), EXPECTED_MAX);
    }
}
