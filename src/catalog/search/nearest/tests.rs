use super::*;

fn suggested<'a>(wrong: &str, known: &[&'a str]) -> Vec<&'a str> {
    let folds: Vec<String> = known.iter().map(|path| fold(path)).collect();
    let letters: Vec<Letters> = folds.iter().map(|folded| Letters::of(folded)).collect();
    nearest(wrong, &folds, &letters, |_| true).into_iter().map(|at| known[at]).collect()
}

#[test]
fn at_most_three_names_are_suggested_and_only_near_ones() {
    let known = ["git.issues.create", "git.issues.list", "git.repos.get"];
    assert_eq!(suggested("git.issues.creat", &known), ["git.issues.create"]);
    assert_eq!(suggested("git.pulls.merge", &["shop.orders.add"]), Vec::<&str>::new());
    let alike = ["up.get_a", "up.get_b", "up.get_c", "up.get_d", "up.get_e"];
    assert_eq!(suggested("up.get_x", &alike), ["up.get_a", "up.get_b", "up.get_c"]);
}

#[test]
fn no_path_is_more_like_another_than_its_letters_allow() {
    let known = [
        "git.issues.create",
        "shop.orders.add",
        "größe.äöü.ß",
        "a",
        "up.aaaaaaaa",
        "x.é",
        "日本.語",
    ];
    for one in known {
        for other in known {
            let most = Counted::of(one).likeness_max(&Counted::of(other), same_head(one, other));
            let is = strsim::jaro_winkler(one, other);
            assert!(is <= most + 1e-9, "`{one}` and `{other}`: {is}, at most {most}");
        }
    }
}

#[test]
fn a_slip_is_found_among_ten_thousand_paths_of_which_few_are_compared() {
    let areas = ["issues", "pulls", "repos", "teams", "users", "gists", "actions", "checks"];
    let verbs = ["create", "list", "delete", "update", "get", "merge", "close", "search"];
    let folds: Vec<String> = (0..10_000)
        .map(|n| {
            format!(
                "service{}.{}.{}{}",
                n % 4,
                areas[n / 4 % 8],
                verbs[n / 32 % 8],
                ["", "all", "one", "for"][n / 256 % 4]
            ) + &"x".repeat(n / 1024)
        })
        .collect();
    let letters: Vec<Letters> = folds.iter().map(|folded| Letters::of(folded)).collect();
    for right in folds.iter().step_by(97) {
        let last = right.len() - 1;
        for wrong in [
            right[..last].to_owned(),
            format!("{right}e"),
            right.replacen('i', "j", 1),
            right.replacen("se", "es", 1),
        ] {
            let found = nearest(&wrong, &folds, &letters, |_| true);
            let likeness = |path: &str| {
                strsim::jaro_winkler(&wrong, path)
                    .max(strsim::jaro_winkler(leaf(&wrong), leaf(path)) * LEAF_FACTOR)
            };
            let most_similar = folds.iter().map(|path| likeness(path)).fold(0.0, f64::max);
            assert_eq!(
                found.first().map(|at| likeness(&folds[*at])),
                Some(most_similar),
                "{wrong}"
            );
        }
    }
    let hidden = |at: usize| folds[at] != "service0.issues.create";
    assert!(
        !nearest("service0.issues.create", &folds, &letters, hidden).iter().any(|at| !hidden(*at))
    );
}

#[test]
fn the_operations_of_a_group_that_exists_are_suggested_for_one_that_does_not() {
    let known = [
        "do.domainrecords.createrecord",
        "do.domainrecords.deleterecord",
        "do.domainrecords.listrecords",
        "do.domainrecords.getrecord",
        "do.droplets.create",
        "do.droplets.listall",
        "other.domainrecords.create",
    ];
    let folds: Vec<String> = known.iter().map(|path| fold(path)).collect();
    let among = |wrong: &str| -> Vec<&str> {
        siblings(wrong, &folds, |at| at != 3).into_iter().map(|at| known[at]).collect()
    };
    assert_eq!(among("do.domainRecords.create")[0], "do.domainrecords.createrecord");
    assert_eq!(among("do.droplets.creat"), ["do.droplets.create"]);
    let any = among("do.domainRecords.zzz");
    assert_eq!(any.len(), 3);
    assert!(any.iter().all(|path| path.starts_with("do.domainrecords.")), "{any:?}");
    assert!(!any.contains(&known[3]), "what is hidden is not told");
    for wrong in ["do.create", "create", "do.volumes.create"] {
        assert_eq!(among(wrong), Vec::<&str>::new(), "{wrong}");
    }
}
