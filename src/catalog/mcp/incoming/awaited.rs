//! A request whose answer is read in a place where no other can come: the response to its POST.

use rmcp::model::RequestId;

use super::envelope::{error, number};
use crate::{
    base::text::cut,
    catalog::mcp::message::{SAID_BYTES_MAX, UNREADABLE},
};

/// A request that waits for its answer.
#[derive(Debug, Clone)]
pub(in crate::catalog::mcp) struct Awaited {
    id: RequestId,
    is_answered: bool,
    /// The first answer that came and names another request, in words.
    other: Option<String>,
}

impl Awaited {
    pub(in crate::catalog::mcp) fn new(id: RequestId) -> Self {
        Self { id, is_answered: false, other: None }
    }

    /// Its answer is here. Returns its id, which is a number as all of this side are.
    pub(super) fn answered(&mut self) -> Option<i64> {
        self.is_answered = true;
        number(&self.id)
    }

    /// It is answered from here.
    pub(in crate::catalog::mcp) fn settle(&mut self) -> RequestId {
        self.is_answered = true;
        self.id.clone()
    }

    /// The id, if an answer that names this request, or none, is for it. One that names another is
    /// noted.
    pub(super) fn addressed(&mut self, named: Option<i64>, words: &str) -> Option<i64> {
        let own = number(&self.id);
        if named.is_none() || named == own {
            return self.answered();
        }
        let named = named.unwrap_or_default();
        let own = own.unwrap_or_default();
        let words = match words {
            "" => String::new(),
            words => format!(": {}", cut(words, SAID_BYTES_MAX)),
        };
        self.other.get_or_insert(format!("it names request {named} instead of {own}{words}"));
        None
    }

    /// Returns true if its answer came.
    pub(in crate::catalog::mcp) fn is_answered(&self) -> bool {
        self.is_answered
    }

    /// The error in place of an answer that names another request, if only such a one came.
    pub(in crate::catalog::mcp) fn mistaken(&self) -> Option<String> {
        let other = self.other.as_ref().filter(|_| !self.is_answered)?;
        Some(error(number(&self.id)?, UNREADABLE, other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_names_another_request_is_none_until_the_right_one_comes() {
        let mut awaited = Awaited::new(RequestId::Number(7));
        assert_eq!(awaited.mistaken(), None);
        assert_eq!(awaited.addressed(Some(1), "no such row"), None);
        assert_eq!(awaited.addressed(Some(2), ""), None);
        let mistaken = awaited.mistaken().unwrap();
        assert!(mistaken.contains("names request 1 instead of 7: no such row"), "{mistaken}");
        assert_eq!(awaited.addressed(None, ""), Some(7));
        assert!(awaited.is_answered() && awaited.mistaken().is_none());
    }
}
