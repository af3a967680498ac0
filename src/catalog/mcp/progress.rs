//! Passes what a server says of how far a call is on to whoever made that call.

use std::collections::HashMap;

use parking_lot::Mutex;
use rmcp::model::{ProgressNotificationParam, ProgressToken};

use crate::{base::text::cut, catalog::upstream::CallNews};

/// Longest notice, in bytes.
const NOTICE_BYTES_MAX: usize = 200;

/// The calls that are on their way, by their tokens; as many as the supervisor in front admits.
#[derive(Default)]
pub(super) struct ProgressRouter(Mutex<HashMap<ProgressToken, CallNews>>);

impl ProgressRouter {
    /// Notices with this token go to `news` until what is returned is dropped.
    pub(super) fn follow(&self, token: ProgressToken, news: CallNews) -> Followed<'_> {
        self.0.lock().insert(token.clone(), news);
        Followed { desk: self, token }
    }

    /// A server told how far a call is. One that nobody follows is dropped.
    pub(super) fn route(&self, notice: &ProgressNotificationParam) {
        let news = self.0.lock().get(&notice.progress_token).cloned();
        if let Some(news) = news {
            news(&status_line(notice));
        }
    }
}

/// A call whose notices are passed on.
pub(super) struct Followed<'a> {
    desk: &'a ProgressRouter,
    token: ProgressToken,
}

impl Drop for Followed<'_> {
    fn drop(&mut self) {
        self.desk.0.lock().remove(&self.token);
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
