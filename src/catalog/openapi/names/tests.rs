use super::*;

fn named<'a>((method, path, operation_id, tag): (&'a str, &'a str, &'a str, &'a str)) -> Named<'a> {
    let some = |text: &'a str| (!text.is_empty()).then_some(text);
    Named { method, path, operation_id: some(operation_id), tag: some(tag) }
}

#[test]
fn an_operation_is_called_by_its_tag_and_its_id_or_by_its_route() {
    for (method, path, id, tag, expected) in [
        // The id without what the group says already.
        ("get", "/repos/{o}/{r}/issues", "issues/list-for-repo", "issues", "issues.listForRepo"),
        ("get", "/a", "api-insights/get-route-stats", "orgs", "orgs.apiInsightsGetRouteStats"),
        ("get", "/a", "pull-request-stacks/list", "pulls", "pulls.pullRequestStacksList"),
        ("get", "/pets", "listPets", "pets", "pets.listPets"),
        ("get", "/pets", "pets_list", "Pet", "pet.list"),
        ("post", "/users", "UsersCreate", "Users & Groups", "usersGroups.usersCreate"),
        ("post", "/users", "usersCreate", "users", "users.create"),
        ("post", "/users", "users", "users", "users.users"),
        ("get", "/x", "getHTTPResponse2Code", "OAuth2 Tokens", "oAuth2Tokens.getHttpResponse2Code"),
        ("get", "/v1/pets", "v1_pets_list", "pets", "pets.list"),
        ("get", "/x", "api_20240101_pets_list", "pets", "pets.list"),
        // What frameworks make of a route.
        ("get", "/items/{item_id}", "read_item_items__item_id__get", "items", "items.readItem"),
        ("get", "/cats", "CatsController_findAll", "cats", "cats.findAll"),
        // Without a tag, by the path.
        ("get", "/api/v2/pets/{id}", "getPet", "", "pets.getPet"),
        ("get", "/{tenant}/pets", "getPets", "", "pets.getPets"),
        // Without an id, by the route.
        ("get", "/pets", "", "", "pets.get"),
        ("get", "/pets/{petId}", "", "", "pets.getByPetId"),
        ("delete", "/pets/{petId}/toys/{toyId}", "", "", "pets.deleteToysByToyId"),
        ("get", "/pets/{petId}/toys", "", "animals", "animals.getPetsToys"),
        ("get", "/pets/{petId}", "", "pets", "pets.getByPetId"),
        ("get", "/", "", "", "root.get"),
        ("get", "/v1", "", "", "v1.get"),
        // Always a segment that code can write behind a dot, and that is not taken for something
        // else.
        ("get", "/x", "2fa", "2fa-codes", "_2faCodes._2fa"),
        ("get", "/x", "then", "constructor", "constructor_.then_"),
        ("get", "/x", "größe/ändern", "größe", "größe.ändern"),
        ("get", "/x", "get/ᾶ/İ", "x", "x.getΑI"),
        ("get", "/x", "...", "///", "x.get"),
        ("get", "/x", "a.b\"c\n*/", "t", "t.aBC"),
    ] {
        assert_eq!(
            names(&[named((method, path, id, tag))]),
            [expected],
            "{method} {path} {id} {tag}"
        );
    }
}

#[test]
fn a_name_that_several_want_is_given_to_none_and_the_order_does_not_matter() {
    let table = [
        // By version.
        ("get", "/v1/pets", "listPets", "pets", "pets.listPetsV1"),
        ("get", "/v2/pets", "listPets", "pets", "pets.listPetsV2"),
        // By method.
        ("put", "/toys", "save", "toys", "toys.savePut"),
        ("post", "/toys", "save", "toys", "toys.savePost"),
        // By route.
        ("get", "/a/{x}", "read", "r", "r.getAByX"),
        ("get", "/b/{x}", "read", "r", "r.getBByX"),
        ("get", "/b", "read", "r", "r.getB"),
        // By digest, where the routes read alike.
        ("get", "/c-d", "e", "s", "s.e_2fa077b4"),
        ("get", "/c/d", "e", "s", "s.e_be50dfff"),
        // Different in what no name keeps.
        ("get", "/u1", "getURL", "t", "t.getU1"),
        ("get", "/u2", "get_url", "t", "t.getU2"),
        ("get", "/alone", "alone", "t", "t.alone"),
    ];
    let operations: Vec<Named<'_>> =
        table.iter().map(|(method, path, id, tag, _)| named((method, path, id, tag))).collect();
    let expected: Vec<&str> = table.iter().map(|row| row.4).collect();
    assert_eq!(names(&operations), expected);
    let backwards: Vec<Named<'_>> = operations.iter().rev().copied().collect();
    assert_eq!(names(&backwards), expected.iter().rev().copied().collect::<Vec<_>>());
}

#[test]
fn a_name_is_never_too_long_and_long_ones_stay_apart() {
    let long = "veryLongWord".repeat(30);
    let paths: Vec<String> = (0..50).map(|n| format!("/{}/{n}", "segment/".repeat(40))).collect();
    let operations: Vec<Named<'_>> =
        paths.iter().map(|path| named(("get", path, &long, &long))).collect();
    let names = names(&operations);
    assert!(names.iter().all(|name| name.chars().count() <= 128), "{names:?}");
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), 50);
}
