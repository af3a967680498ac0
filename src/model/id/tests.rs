use super::*;

#[test]
fn a_beginning_of_an_id_has_four_digits_at_least() {
    let id = TaskId::new().to_string();
    for text in [&id, &id[..9], &id[5..9], &id[5..], &id[..20].to_uppercase()[5..]] {
        let beginning = IdBeginning::of(IdKind::Task, text).unwrap();
        assert!(id.starts_with(beginning.as_str()), "{text}: {beginning:?}");
    }
    let long = format!("{id}0");
    for text in ["", "task_", "task_012", "012", "task_01zz", "apr_0192", "task_0192%", &long] {
        assert!(IdBeginning::of(IdKind::Task, text).is_err(), "{text}");
    }
    for (text, kind) in [
        ("task_0192", IdKind::Task),
        ("apr_0192", IdKind::Approval),
        ("art_0192", IdKind::Artifact),
    ] {
        assert_eq!(text.parse::<IdBeginning>().unwrap().kind(), kind);
    }
    for text in ["0192", "ins_0192", "xyz_0192"] {
        assert!(text.parse::<IdBeginning>().is_err(), "{text}");
    }
}

#[test]
fn the_kinds_have_the_prefixes_of_their_ids() {
    let ids =
        [TaskId::new().to_string(), ApprovalId::new().to_string(), ArtifactId::new().to_string()];
    for (kind, id) in IdKind::ALL.iter().zip(ids) {
        assert!(id.starts_with(kind.prefix()), "{id}");
    }
}
