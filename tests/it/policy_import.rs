//! What was written for other systems, brought over: the imported file loads, and decides as the
//! original would.

mod corpus;
mod faults;
mod judge;
mod original;
mod others;
mod published;
