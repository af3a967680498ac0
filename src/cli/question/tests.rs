use super::*;

#[test]
fn only_a_clear_yes_approves() {
    for yes in ["y", "Y", "yes", " YES "] {
        assert_eq!(understood(yes), Some(Answer::Approve), "{yes:?}");
    }
    for no in ["", "  ", "n", "No"] {
        assert_eq!(understood(no), Some(Answer::Deny), "{no:?}");
    }
    for unclear in ["ye", "yes please", "y y", "1", "ok", "\u{1b}[?1;2c", "approve", "yn", "n y"] {
        assert_eq!(understood(unclear), None, "{unclear:?}");
    }
    assert_eq!(understood("d"), Some(Answer::DenyBecause(String::new())));
    assert_eq!(
        understood("deny  not on a Friday"),
        Some(Answer::DenyBecause("not on a Friday".into()))
    );
}
