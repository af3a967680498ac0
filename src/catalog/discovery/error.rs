//! Errors of queries about tools.

use super::not_found::NotFound;
use crate::catalog::{arguments::ArgumentError, upstream::error::UpstreamError};

/// Reasons why a path leads to no tool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// There is none.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// Its upstream has not yet said what it offers.
    #[error(transparent)]
    Unavailable(#[from] UpstreamError),
}

/// Reasons why a discovery function failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// Its arguments do not fit.
    #[error(transparent)]
    Arguments(#[from] ArgumentError),
    /// `describe` of a path that leads to no tool.
    #[error(transparent)]
    Unresolved(#[from] ResolveError),
}
