//! OAuth 2.1: tokens are kept in the encrypted store and renewed before they expire and when they
//! are rejected.
//!
//! Discovery and registration are the protocol library's; the grants themselves are made here, so
//! that state, PKCE, issuer and resource are checked in one place. Every request is subject to the
//! upstream's own address policy.

pub(in crate::catalog) mod discovery;
mod documents;
mod grant;
pub(in crate::catalog) mod login;
mod probe;
mod token_answer;
pub(in crate::catalog) mod tokens;
mod web;
