use super::*;

#[test]
fn a_tier_needs_every_lock_of_the_tiers_below_it() {
    let restricted: Locks = RESTRICTED.into_iter().collect();
    assert_eq!(Locks::default().tier(), LockTier::Open);
    assert_eq!(restricted.tier(), LockTier::Restricted);
    for missing in RESTRICTED.into_iter().chain(JAILED) {
        let others = RESTRICTED.into_iter().chain(JAILED).filter(|lock| *lock != missing);
        let expected =
            if JAILED.contains(&missing) { LockTier::Restricted } else { LockTier::Open };
        assert_eq!(others.collect::<Locks>().tier(), expected, "without {missing:?}");
    }
    let mut jailed = restricted;
    jailed.extend(JAILED);
    assert_eq!(jailed.tier(), LockTier::Jailed);
}

#[test]
fn locks_are_a_list_of_names_and_a_sentence() {
    let locks: Locks = [Lock::NotDumpable, Lock::NoNewPrivileges].into_iter().collect();
    let json = r#"["no_new_privileges","not_dumpable"]"#;
    assert_eq!(serde_json::to_string(&locks).unwrap(), json);
    assert_eq!(serde_json::from_str::<Locks>(json).unwrap(), locks);
    assert_eq!(locks.to_string(), "no new privileges, not dumpable");
    assert!(serde_json::from_str::<Locks>(r#"["wishful_thinking"]"#).is_err());
}
