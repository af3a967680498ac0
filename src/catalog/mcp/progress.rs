//! Routes progress notifications of a server to the callers they concern.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;
use rmcp::model::{NumberOrString, ProgressNotificationParam, ProgressToken};

use crate::{base::text::cut, catalog::upstream::CallNews};

/// Longest notice, in bytes.
const NOTICE_BYTES_MAX: usize = 200;

/// Most notices that are kept for calls which nobody follows yet.
const EARLY_NOTICES_MAX: usize = 64;

/// Knows who follows which call.
#[derive(Default)]
pub(super) struct ProgressRouter(Mutex<Routes>);

#[derive(Default)]
struct Routes {
    /// The calls that are on their way, by their tokens; as many as the supervisor in front admits.
    followed: HashMap<ProgressToken, CallNews>,
    /// The latest notices with other tokens. The library gives out a call's token once the call was
    /// sent, and a server can have reported before that.
    early: VecDeque<(ProgressToken, String)>,
}

impl ProgressRouter {
    /// Notices with this token go to `news` until what is returned is dropped.
    pub(super) fn follow(&self, token: ProgressToken, news: CallNews) -> Followed<'_> {
        let mut routes = self.0.lock();
        let early = routes.early.iter().position(|(of, _)| *of == token);
        if let Some((_, notice)) = early.and_then(|at| routes.early.remove(at)) {
            // Under the lock, so that no later notice comes before it.
            news(&notice);
        }
        routes.followed.insert(token.clone(), news);
        drop(routes);
        Followed { router: self, token }
    }

    /// Passes on how far a call is, or keeps it for a moment if nobody follows the call.
    pub(super) fn route(&self, notice: &ProgressNotificationParam) {
        let token = &notice.progress_token;
        let mut routes = self.0.lock();
        if let Some(news) = routes.followed.get(token).cloned() {
            drop(routes);
            news(&status_line(notice));
            return;
        }
        // Airlock's tokens are numbers; a text of the server's can be as long as it likes.
        if !matches!(token.0, NumberOrString::Number(_)) {
            return;
        }
        routes.early.retain(|(of, _)| of != token);
        if routes.early.len() == EARLY_NOTICES_MAX {
            routes.early.pop_front();
        }
        routes.early.push_back((token.clone(), status_line(notice)));
    }
}

/// A call whose notices are passed on.
pub(super) struct Followed<'a> {
    router: &'a ProgressRouter,
    token: ProgressToken,
}

impl Drop for Followed<'_> {
    fn drop(&mut self) {
        self.router.0.lock().followed.remove(&self.token);
    }
}

/// `3 of 10, indexing`.
fn status_line(notice: &ProgressNotificationParam) -> String {
    let number = |value: f64| cut(&value.to_string(), 20).to_owned();
    let mut text = number(notice.progress);
    if let Some(total) = notice.total {
        text = format!("{text} of {}", number(total));
    }
    if let Some(message) =
        notice.message.as_deref().map(str::trim).filter(|message| !message.is_empty())
    {
        text = format!("{text}, {}", cut(message, NOTICE_BYTES_MAX).replace(char::is_control, " "));
    }
    cut(&text, NOTICE_BYTES_MAX).to_owned()
}

#[cfg(test)]
mod tests;
