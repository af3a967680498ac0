//! OAuth 2.1: tokens that were granted, kept in the encrypted store, renewed before they run out
//! and when they are refused.
//!
//! Discovery and registration are the protocol library's; the grants themselves are made here, so
//! that state, PKCE, issuer and resource are checked in one place. Every request goes through the
//! upstream's own guard.

pub(in crate::catalog) mod discovery;
mod grant;
pub(in crate::catalog) mod login;
pub(in crate::catalog) mod tokens;
mod web;
