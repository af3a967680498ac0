//! Tests of the keys that choose operations of a document.

use super::*;

#[test]
fn what_is_wrong_with_a_filter_of_operations_is_told() {
    let folder = Folder::with(
        "[upstreams.a]\nkind = \"openapi\"\nspec = \"a.json\"\nonly = [\"/users/**\", \"GET \
        /groups/*\"]\nexcept = [\"users.delete*\"]\nauth = { api_key = { field = \"token\", value \
        = { secret = \"T\" } } }\n",
    );
    let config = folder.load(&[], &[]).unwrap();
    let Transport::OpenApi { only, except, .. } = &config.upstreams[0].transport else {
        panic!("it is of its kind")
    };
    let only: Vec<&str> = only.iter().map(|pattern| pattern.as_str()).collect();
    assert_eq!(only, ["/users/**", "GET /groups/*"]);
    assert!(except[0].matches("delete", "/users/{id}", "users.deleteUser"));
    let openapi = "[upstreams.a]\nkind = \"openapi\"\nspec = \"a.json\"\n";
    let many = format!("only = [{}]", vec!["\"/x\""; 201].join(", "));
    for (keys, expected) in [
        (
            "only = [\"users/x\"]",
            "\"users/x\" in `upstreams.a.only` is not a pattern of operations",
        ),
        ("except = [\"FETCH /x\"]", "in `upstreams.a.except` is not a pattern of operations"),
        (&many, "`upstreams.a.only` has 201 patterns; the limit is 200"),
    ] {
        let error = problems_of(&format!("{openapi}{keys}\n"));
        assert!(error.contains(expected), "{keys}: {error}");
    }
    for (keys, expected) in [
        ("url = \"https://h/\"\nonly = [\"/x\"]", "`upstreams.a.only` is not a key"),
        ("kind = \"graphql\"\nurl = \"https://h/\"\nexcept = [\"/x\"]", "a policy file can deny"),
        (
            "url = \"https://h/\"\nauth = { api_key = { field = \"t\", value = { secret = \"T\" } } }",
            "needs an upstream of kind \"openapi\"",
        ),
    ] {
        let error = problems_of(&format!("[upstreams.a]\n{keys}\n"));
        assert!(error.contains(expected), "{keys}: {error}");
    }
}
