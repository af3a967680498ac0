use crate::policy::{tests::*, *};

#[test]
fn a_budget_is_the_minimum_over_all_layers() {
    let text = [
        "budgets: {calls: 100, wall_time: 5m}",
        "budgets: {calls: 50, bytes_returned: 1000}",
        "mode: shadow\nbudgets: {calls: 1}",
    ];
    let policy = Policy::load(text.iter().map(|text| layer(text)).collect(), ATTENDED).unwrap();
    let budget = policy.budget(&CALLER);
    assert_eq!(
        budget,
        Budget {
            calls: Some(50),
            bytes_returned: Some(1000),
            wall_time: Some(std::time::Duration::from_secs(300))
        }
    );
}

#[test]
fn a_revision_depends_on_all_inputs() {
    let revision = |text: &str, options| with(text, options).revision().to_owned();
    let one = revision("default: deny", ATTENDED);
    assert!(one.starts_with("sha256:") && one.len() == 71);
    assert_eq!(one, revision("default: deny", ATTENDED));
    assert_ne!(one, revision("default: deny ", ATTENDED));
    assert_ne!(one, revision("default: deny", Options { approvals: false, ..ATTENDED }));
    assert_ne!(one, revision("default: deny", Options { profile: Profile::Open, ..ATTENDED }));
}
