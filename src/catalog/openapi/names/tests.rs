use super::*;

type Row<'a> = (&'a str, &'a str, &'a str, &'a str);

fn named<'a>((method, path, operation_id, tag): Row<'a>) -> Named<'a> {
    let some = |text: &'a str| (!text.is_empty()).then_some(text);
    Named { method, path, operation_id: some(operation_id), tag: some(tag) }
}

fn present(operations: &[Named<'_>], title: &str) -> Vec<String> {
    names(operations, title).into_iter().map(|name| name.present).collect()
}

/// Each operation is alone in its document.
fn called<const N: usize>(rows: [(&str, &str, &str, &str, &str); N]) {
    for (method, path, id, tag, expected) in rows {
        assert_eq!(
            present(&[named((method, path, id, tag))], ""),
            [expected],
            "{method} {path} {id} {tag}"
        );
    }
}

#[test]
fn an_operation_is_called_by_its_tag_and_its_id_or_by_its_route() {
    called([
        // The id without what the group says already.
        ("get", "/repos/{o}/{r}/issues", "issues/list-for-repo", "issues", "issues.listForRepo"),
        ("get", "/a", "api-insights/get-route-stats", "orgs", "orgs.apiInsightsGetRouteStats"),
        ("get", "/a", "pull-request-stacks/list", "pulls", "pulls.pullRequestStacksList"),
        ("get", "/pets", "listPets", "pets", "pets.list"),
        ("get", "/pets", "pets_list", "Pet", "pet.list"),
        ("get", "/policies", "listPolicies", "Policy", "policy.list"),
        ("get", "/data-sets", "listDatasets", "DataSets", "dataSets.list"),
        ("get", "/pets/search", "findPetsByStatus", "pets", "pets.findByStatus"),
        ("post", "/issues/{n}/labels", "addLabelsToIssue", "issues", "issues.addLabels"),
        ("get", "/pet", "petByName", "pet", "pet.getByName"),
        ("get", "/metrics/im", "dashboardIM", "Dashboards", "dashboards.getIm"),
        (
            "get",
            "/user/emails",
            "users/list-emails-for-authenticated-user",
            "users",
            "users.listEmailsForAuthenticatedUser",
        ),
        ("post", "/users", "UsersCreate", "Users & Groups", "usersGroups.usersCreate"),
        ("post", "/v2/r", "domains_create_record", "Domain Records", "domainRecords.createRecord"),
        ("post", "/users", "usersCreate", "users", "users.create"),
        ("post", "/users", "users", "users", "users.post"),
        ("get", "/x", "getHTTPResponse2Code", "OAuth2 Tokens", "oAuth2Tokens.getHttpResponse2Code"),
        // What frameworks make of a route.
        ("get", "/items/{item_id}", "read_item_items__item_id__get", "items", "items.read"),
        ("get", "/cats", "CatsController_findAll", "cats", "cats.findAll"),
        // Without a tag, by the path.
        ("get", "/api/v2/pets/{id}", "getPet", "", "pets.get"),
        ("get", "/{tenant}/pets", "getPets", "", "pets.get"),
        // Without an id, by the route.
        ("get", "/pets", "", "", "pets.get"),
        ("get", "/pets/{petId}", "", "", "pets.getById"),
        ("delete", "/pets/{petId}/toys/{toyId}", "", "", "pets.deleteToysByToyId"),
        ("get", "/pets/{petId}/toys", "", "animals", "animals.getPetsToys"),
        ("get", "/pets/{petId}", "", "pets", "pets.getById"),
        ("get", "/", "", "", "root.get"),
        ("get", "/v1", "", "", "root.get"),
    ]);
}

#[test]
fn dates_and_numbers_are_versions_and_dots_are_segments() {
    called([
        ("get", "/v1/pets", "v1_pets_list", "pets", "pets.list"),
        ("get", "/x", "api_20240101_pets_list", "pets", "pets.list"),
        ("get", "/api/v1/p", "listCoreV1NamespacedPod", "core_v1", "coreV1.listNamespacedPod"),
        ("get", "/2015-03-31/widgets", "ListWidgets", "", "widgets.list"),
        ("get", "/2020-05-31/hosts/{id}", "AssociateAlias20200531", "", "hosts.associateAlias"),
        ("post", "/api/2/issue", "createIssue", "", "issue.create"),
        ("get", "/1/boards", "", "", "boards.get"),
        ("get", "/404", "", "", "root.get"),
        ("get", "/x", "ListCredentialList", "Api20100401CredentialList", "credentialList.list"),
        ("post", "/v1/add_password", "addPasswordV1", "", "addPassword.post"),
        // Ids with dots.
        ("get", "/u", "gmail.users.settings.cse.get", "users", "users.settings.cse.get"),
        (
            "patch",
            "/me/calendars/{id}",
            "me.calendars.calendarView.UpdateEvents",
            "me.calendar",
            "me.calendars.calendarView.updateEvents",
        ),
        ("delete", "/d", "drives.drive.items.driveItem.delete", "drives.x", "drives.items.delete"),
        ("get", "/x", "Get.Count.things", "stuff", "stuff.getCountThings"),
        // Always a segment that code can write behind a dot, and that is not taken for something
        // else.
        ("get", "/x", "2fa", "2fa-codes", "_2faCodes._2fa"),
        ("get", "/x", "then", "constructor", "constructor_.then_"),
        ("get", "/x", "größe/ändern", "größe", "größe.ändern"),
        ("get", "/x", "get/ᾶ/İ", "x", "x.getΑI"),
        ("get", "/x", "...", "///", "x.get"),
    ]);
}

#[test]
fn the_name_of_the_api_is_no_group_and_no_part_of_a_name() {
    let plaid = [
        named(("post", "/item/get", "itemGet", "plaid")),
        named(("post", "/accounts/balance/get", "accountsBalanceGet", "plaid")),
    ];
    assert_eq!(present(&plaid, "The Plaid API"), ["item.get", "accounts.balanceGet"]);
    let depot = [named(("get", "/v1/crates", "depotCratesList", "crates"))];
    assert_eq!(present(&depot, "Depot API v2"), ["crates.list"]);
    // Where it is what the API is about, it is a group like others.
    let pets = [named(("get", "/pets", "listPets", "pets"))];
    assert_eq!(present(&pets, "Pets"), ["pets.list"]);
}

#[test]
fn a_name_that_several_want_is_given_to_none_and_the_order_does_not_matter() {
    let table = [
        // By version.
        ("get", "/v1/pets", "listPets", "pets", "pets.listV1"),
        ("get", "/v2/pets", "listPets", "pets", "pets.listV2"),
        // By what the path ends in.
        ("get", "/fish/{id}", "getFish", "fish", "fish.getById"),
        ("get", "/fish", "getFishes", "fish", "fish.get"),
        // By method.
        ("put", "/toys", "save", "toys", "toys.savePut"),
        ("post", "/toys", "save", "toys", "toys.savePost"),
        // By path.
        ("get", "/a/{x}", "read", "r", "r.readAByX"),
        ("get", "/b/{x}", "read", "r", "r.readBByX"),
        ("get", "/b", "read", "r", "r.readB"),
        ("post", "/cups", "createCup", "cups", "cups.create"),
        ("post", "/cups/batch", "createCups", "cups", "cups.createBatch"),
        // By a number in the id, where no word is left.
        ("get", "/w/{a}/x", "look_1", "w", "w.look1"),
        ("get", "/w/{a}/x/", "look_2", "w", "w.look2"),
        // By digest, where everything reads alike.
        ("get", "/c-d", "go", "s", "s.go_2fa077b4"),
        ("get", "/c/d", "go", "s", "s.go_be50dfff"),
        // Different in what no name keeps.
        ("get", "/u1", "getURL", "t", "t.getUrlU1"),
        ("get", "/u2", "get_url", "t", "t.getUrlU2"),
        ("get", "/alone", "alone", "t", "t.alone"),
    ];
    let operations: Vec<Named<'_>> =
        table.iter().map(|(method, path, id, tag, _)| named((method, path, id, tag))).collect();
    let expected: Vec<&str> = table.iter().map(|row| row.4).collect();
    assert_eq!(present(&operations, ""), expected);
    let backwards: Vec<Named<'_>> = operations.iter().rev().copied().collect();
    assert_eq!(present(&backwards, ""), expected.iter().rev().copied().collect::<Vec<_>>());
}

#[test]
fn no_operation_gets_a_name_that_another_had_before() {
    // `list` would be the first one's, but it was the second one's name.
    let operations = [
        named(("get", "/pets", "listPets", "pets")),
        named(("post", "/pets/names", "list", "pets")),
    ];
    let found = names(&operations, "");
    let former: Vec<&str> = found
        .iter()
        .map(|name| name.former.as_ref().map_or(name.present.as_str(), |former| &former.name))
        .collect();
    assert_eq!(former, ["pets.listPets", "pets.list"]);
    for (at, name) in found.iter().enumerate() {
        assert!(
            former.iter().enumerate().all(|(other, before)| other == at || *before != name.present),
            "{found:?}"
        );
    }
}

#[test]
fn a_name_tells_from_where_on_its_place_is_new() {
    let operations = [
        named(("get", "/2015-03-31/widgets", "ListWidgets", "")),
        named(("get", "/v1/u/messages", "mail.users.messages.list", "users")),
        named(("get", "/v1/u", "mail.users.listUsers", "users")),
    ];
    let found: Vec<(String, usize)> = names(&operations, "")
        .into_iter()
        .map(|name| (name.present, name.former.map_or(0, |former| former.new_from)))
        .collect();
    assert_eq!(
        found,
        [
            ("widgets.list".to_owned(), 1),
            ("users.messages.list".to_owned(), 2),
            ("users.list".to_owned(), 2),
        ]
    );
    let filter = |text: &str| text.parse::<crate::model::OperationPattern>().unwrap();
    let name = names(&operations, "").remove(1);
    for (pattern, is_meant) in [
        ("users.messages.*", true),
        ("users.messages.list", true),
        ("users.*", false),
        ("*.list", false),
        ("/v1/**", true),
    ] {
        assert_eq!(name.is_meant_by(filter(pattern).literal_name()), is_meant, "{pattern}");
    }
}

#[test]
fn a_name_is_never_too_long_and_long_ones_stay_apart() {
    let long = "veryLongWord".repeat(30);
    let paths: Vec<String> = (0..50).map(|n| format!("/{}/{n}", "segment/".repeat(40))).collect();
    let operations: Vec<Named<'_>> =
        paths.iter().map(|path| named(("get", path, &long, &long))).collect();
    let names = present(&operations, &long);
    assert!(names.iter().all(|name| name.chars().count() <= 128), "{names:?}");
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), 50);
    // What is done stands at the end of some ids, and is kept.
    let id = format!("drives.{}.Delete", ["workbookWorksheetCollection"; 6].join("."));
    let kept = present(&[named(("delete", "/drives/x", &id, "drives.y"))], "").remove(0);
    assert!(kept.ends_with("elete") && kept.chars().count() <= 128, "{kept}");
}

#[test]
fn thousands_of_operations_that_want_one_name_take_moments() {
    let paths: Vec<String> = (0..10_000).map(|n| format!("/a/{n}")).collect();
    let operations: Vec<Named<'_>> =
        paths.iter().map(|path| named(("get", path, "same", "t"))).collect();
    let began = std::time::Instant::now();
    let names = present(&operations, "");
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), 10_000);
    assert!(began.elapsed() < std::time::Duration::from_secs(30), "{:?}", began.elapsed());
}
