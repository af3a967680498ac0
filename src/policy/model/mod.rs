//! Plain data of policy: what a decision is about and what it consists of. Must not know policy
//! files, conditions or rules.

pub(super) mod amount;
pub(super) mod call;
pub(super) mod class;
pub(super) mod counter;
pub(super) mod decision;
pub(super) mod explanation;
pub(super) mod layer;
pub(super) mod pattern;
pub(super) mod problem;
pub(super) mod reservation;
pub(super) mod verdict;
