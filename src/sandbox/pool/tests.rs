use super::*;
use crate::sandbox::locks::{Lock, Locks};

fn armed(version: u32, locks: Locks) -> Armed {
    Armed { version, engine: "V8".into(), locks, engine_pid: None }
}

#[test]
fn a_worker_below_the_required_tier_of_locks_is_refused() {
    let locks: Locks =
        [Lock::NoNewPrivileges, Lock::NoCapabilities, Lock::DiesWithBroker, Lock::LimitedResources]
            .into_iter()
            .collect();
    let armed = armed(protocol::VERSION, locks);
    assert_eq!(check_armed(&armed, LockTier::Restricted), Ok(()));
    let refusal = check_armed(&armed, LockTier::Jailed).unwrap_err();
    assert_eq!(
        refusal,
        "its locks are of the tier `restricted`, not `jailed`: no new privileges, no \
        capabilities, dies with its broker, limited resources"
    );
}

#[test]
fn a_worker_of_another_version_is_refused() {
    let refusal = check_armed(&armed(99, Locks::default()), LockTier::Open).unwrap_err();
    assert!(refusal.starts_with("it speaks frames of version 99"), "{refusal}");
}
