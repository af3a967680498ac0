//! Approvals of calls: the request for one, the calls that wait for one, and the denials after
//! which nobody is asked again.

pub(in crate::task) mod denials;
pub(in crate::task) mod request;
pub mod waiters;
