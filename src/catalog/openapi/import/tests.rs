use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;
use crate::{base::testing::CpuTimer, catalog::tool::Tool};

const ZOO: &str = include_str!("../../../../tests/openapi/zoo.yaml");
const PETS: &str = include_str!("../../../../tests/openapi/petstore.yaml");

mod renamed;

fn import(bytes: &[u8], setting: &Setting) -> Result<Imported, ConnectError> {
    super::import(bytes, setting, &CancelToken::after(std::time::Duration::from_secs(60)))
}

pub(in crate::catalog::openapi) fn zoo() -> Imported {
    import(ZOO.as_bytes(), &Setting::default()).unwrap()
}

fn read(document: &Value) -> Imported {
    import(document.to_string().as_bytes(), &Setting::default()).unwrap()
}

fn input(imported: &Imported, name: &str) -> Value {
    let tool = imported
        .tools
        .iter()
        .find(|tool| tool.name == name)
        .unwrap_or_else(|| panic!("{name}: {:?}", names_of(imported)));
    Value::Object(tool.input_schema.clone())
}

fn output(imported: &Imported, name: &str) -> Option<Value> {
    imported
        .tools
        .iter()
        .find(|tool| tool.name == name)
        .unwrap()
        .output_schema
        .clone()
        .map(Value::Object)
}

fn names_of(imported: &Imported) -> Vec<&str> {
    imported.tools.iter().map(|tool| tool.name.as_str()).collect()
}

fn accepts(schema: &Value, value: &Value) -> bool {
    jsonschema::validator_for(schema)
        .unwrap_or_else(|error| panic!("{error}: {schema}"))
        .is_valid(value)
}

#[test]
fn a_description_becomes_tools_and_what_is_wrong_is_counted() {
    let zoo = zoo();
    assert_eq!(
        names_of(&zoo),
        [
            "animals.list",
            "animals.create",
            "animals.get",
            "animals.putNode",
            "animals.addPhotos",
            "grid.getByPath",
            "upload.put",
            "search.post",
            "watch.get",
            "elsewhere.get",
        ]
    );
    assert_eq!(zoo.base.as_str(), "https://eu.zoo.example/v1");
    let note = zoo.note.as_deref().unwrap();
    let expected = "its OpenAPI document requires an API key in query `api_key`, and no credential is \
        configured; operations left out: 1, \
        the first `/lost`: its `$ref` leads nowhere or out of the document; ";
    assert!(note.starts_with(expected), "{note}");
    assert!(
        note.contains("references lead nowhere or out of the document, and stand for any value"),
        "{note}"
    );
    let get = zoo.tools.iter().find(|tool| tool.name == "animals.get").unwrap();
    assert_eq!(get.description, "Deprecated.\n\nGET /animals/{id}");
    assert_eq!((get.annotations.read_only, get.annotations.idempotent), (Some(true), Some(true)));
    let create = zoo.tools.iter().find(|tool| tool.name == "animals.create").unwrap();
    assert_eq!(
        (create.annotations.read_only, create.annotations.idempotent),
        (Some(false), Some(false))
    );
    assert_eq!(create.operation, Some(crate::model::Operation::Post));
}

#[test]
fn arguments_are_the_parameters_by_name_and_the_body_apart() {
    let zoo = zoo();
    let list = input(&zoo, "animals.list");
    let names: Vec<&String> = list["properties"].as_object().unwrap().keys().collect();
    // Neither the credential, which is the owner's, nor a header that is not a caller's.
    assert_eq!(
        names,
        ["filter", "ids", "tags", "where", "fields", "session", "theme", "X-Trace", "$response"]
    );
    assert_eq!(list["properties"]["X-Trace"]["description"], "Who asks");
    assert!(accepts(&list, &json!({"filter": {"kind": "cat", "age": {"min": 1}}, "ids": [1]})));
    assert!(
        !accepts(&list, &json!({"filter": {"kind": "cow"}}))
            && !accepts(&list, &json!({"fliter": {}}))
    );
    // One name in two places: the path has it, the other is told by its place.
    let get = input(&zoo, "animals.get");
    assert!(
        accepts(&get, &json!({"id": "a", "query_id": 1}))
            && !accepts(&get, &json!({"query_id": 1}))
    );
    let search = input(&zoo, "search.post");
    assert!(accepts(&search, &json!({"query_body": "x", "body": {"q": "y", "sort": ["a"]}})));
    let photos = input(&zoo, "animals.addPhotos");
    assert!(accepts(
        &photos,
        &json!({
            "id": "a", ";size": "b",
            "body": {"caption": "c", "photos": [{"base64": "AA=="}, "text"]}
        })
    ));
    assert!(!accepts(
        &photos,
        &json!({"id": "a", ";size": "b", "body": {"caption": "c", "photos": {"base64": "AA=="}}})
    ));
    assert_eq!(photos["properties"]["body"]["required"], json!(["caption", "photos"]));
    assert!(
        photos["properties"]["body"]["properties"].get("id").is_none(),
        "what is read-only is not sent"
    );
}

#[test]
fn what_the_owner_fills_in_is_not_asked_of_a_caller() {
    let owned = vec![
        ("header".to_owned(), "x-TRACE".to_owned()),
        ("cookie".to_owned(), "session".to_owned()),
    ];
    let setting = Setting { owned, has_credential: true, ..Setting::default() };
    let imported = import(ZOO.as_bytes(), &setting).unwrap();
    let list = input(&imported, "animals.list");
    let names: Vec<&String> = list["properties"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["filter", "ids", "tags", "where", "fields", "theme", "$response"]);
    assert!(!imported.note.unwrap().contains("credential"));
}

#[test]
fn alternatives_are_told_apart_and_circles_have_a_name() {
    let zoo = zoo();
    let create = input(&zoo, "animals.create");
    let fits = |animal: Value| accepts(&create, &json!({"body": animal}));
    assert!(
        fits(json!({"kind": "cat", "name": "Tom", "lives": 9}))
            && fits(json!({"kind": "dog", "name": "Rex", "good": true}))
    );
    assert!(
        !fits(json!({"kind": "cow", "name": "Ida"}))
            && !fits(json!({"kind": "cat", "name": "Tom", "lives": 0}))
    );
    assert!(!fits(json!({"kind": "cat", "name": ""})) && !fits(json!({"kind": "cat"})));
    let made = output(&zoo, "animals.create").unwrap();
    assert!(!made.to_string().contains("secret") && made.to_string().contains("\"id\""), "{made}");
    let put = input(&zoo, "animals.putNode");
    assert!(accepts(&put, &json!({"id": "a", "body": {"children": [{"children": []}]}})));
    assert!(!accepts(
        &put,
        &json!({"id": "a", "body": {"children": [{"children": [{"value": 1}]}]}})
    ));
    assert_eq!(put["$defs"].as_object().unwrap().keys().collect::<Vec<_>>(), ["Node"]);
    assert_eq!(put["properties"]["body"]["properties"]["value"]["description"], "What is known");
    // A range of statuses is an answer too.
    assert!(output(&zoo, "animals.get").is_some());
}

#[test]
fn swagger_is_read_as_what_it_would_be_today() {
    let pets = import(PETS.as_bytes(), &Setting::default()).unwrap();
    assert_eq!(names_of(&pets), ["pets.list", "pets.add", "pets.addPhoto", "users.login"]);
    assert_eq!(pets.base.as_str(), "https://pets.example/api");
    assert_eq!(
        pets.note.as_deref(),
        Some(
            "its OpenAPI document requires user and password (HTTP basic), and no credential is configured"
        )
    );
    let list = input(&pets, "pets.list");
    // What the operation says of `limit` goes before what the path says.
    assert!(accepts(
        &list,
        &json!({"limit": 100, "status": ["new"], "ids": [1, 2], "names": ["a"], "X-Lang": "de"})
    ));
    assert!(!accepts(&list, &json!({"limit": "many"})) && !accepts(&list, &json!({"limit": 101})));
    assert!(!accepts(&list, &json!({"status": ["old"]})));
    let add = input(&pets, "pets.add");
    assert!(accepts(
        &add,
        &json!({"body": {"name": null, "weight": 0.1, "mother": {"name": "x"}}})
    ));
    assert!(
        !accepts(&add, &json!({"body": {"name": "x", "weight": 0}}))
            && !accepts(&add, &json!({"body": {"weight": 1}}))
    );
    assert!(!accepts(&add, &json!({})));
    assert_eq!(add["properties"]["body"]["properties"]["weight"]["examples"], json!([3.5]));
    assert!(output(&pets, "pets.add").is_some());
    let photo = input(&pets, "pets.addPhoto");
    assert!(accepts(
        &photo,
        &json!({"petId": 1, "body": {"note": "n", "photo": {"base64": "AA==", "name": "a.png"}}})
    ));
    assert!(!accepts(&photo, &json!({"petId": 1, "body": {"photo": "x"}})));
    assert_eq!(photo["properties"]["body"]["properties"]["photo"]["description"], "A picture");
    assert_eq!(
        pets.plans["users.login"].credential.as_deref(),
        Some("user and password (HTTP basic)")
    );
}

#[test]
fn what_3_0_said_in_its_own_way_is_said_in_todays() {
    let document = json!({"openapi": "3.0.0", "servers": [{"url": "https://h.example"}], "paths": {"/x": {"post": {
        "requestBody": {"content": {"application/json": {"schema": {"type": "object", "properties": {
            "a": {"type": "integer", "nullable": true, "minimum": 1, "exclusiveMinimum": true},
            "b": {"type": "string", "enum": ["x"], "nullable": true},
            "c": {"nullable": true, "allOf": [{"$ref": "#/components/schemas/C"}]},
            "d": {"type": "array", "items": [{"type": "string"}]},
            "e": {
                "type": "nonsense", "required": true, "enum": [], "minLength": -1, "pattern": "(",
                "oneOf": []
            },
            "f": {"$ref": "#/components/schemas/C", "nullable": true},
            "g": {"type": "string", "pattern": "^[a-z]+$"},
        }}}}}}}},
        "components": {"schemas": {"C": {"type": "boolean"}}}});
    let imported = read(&document);
    let schema = input(&imported, "x.post");
    let fits = |body: Value| accepts(&schema, &json!({"body": body}));
    for good in [
        json!({"a": null}),
        json!({"a": 2}),
        json!({"b": null}),
        json!({"b": "x"}),
        json!({"c": null}),
        json!({"c": true}),
        json!({"d": ["s"]}),
        json!({"e": [1]}),
        json!({"f": null}),
        json!({"g": "abc"}),
    ] {
        assert!(fits(good.clone()), "{good}");
    }
    for bad in [
        json!({"a": 1}),
        json!({"b": "y"}),
        json!({"c": "t"}),
        json!({"d": [1]}),
        json!({"f": 1}),
        json!({"g": "A"}),
    ] {
        assert!(!fits(bad.clone()), "{bad}");
    }
}

#[test]
fn a_schema_that_is_too_large_says_less_before_its_tool_is_left_out() {
    let properties: Map<String, Value> = (0..3_000)
        .map(|n| (format!("p{n}"), json!({"type": "string", "description": "word ".repeat(30)})))
        .collect();
    let huge: Map<String, Value> =
        (0..40_000).map(|n| (format!("property_{n}"), json!({"type": "string"}))).collect();
    let post = |properties: &Map<String, Value>| {
        let schema = json!({"type": "object", "properties": properties});
        let content = json!({"application/json": {"schema": schema}});
        json!({"post": {
            "requestBody": {"content": content}, "responses": {"200": {"content": content}}
        }})
    };
    let document = json!({
        "openapi": "3.1.0", "servers": [{"url": "https://h.example"}],
        "paths": {"/large": post(&properties), "/huge": post(&huge)}
    });
    let imported = read(&document);
    assert_eq!(names_of(&imported), ["large.post"]);
    let schema = input(&imported, "large.post");
    assert_eq!(schema["properties"]["body"]["properties"]["p2999"], json!({"type": "string"}));
    assert!(output(&imported, "large.post").is_none());
    let note = imported.note.unwrap();
    assert!(
        note.contains(
            "operations left out: 1, the first `POST /huge`: the schema of its \
        arguments has more than"
        ),
        "{note}"
    );
}

#[test]
fn references_that_grow_without_end_stay_within_bounds() {
    // Each refers to the next ten times: inlined it would be ten to the thirtieth.
    let mut schemas: Map<String, Value> = Map::new();
    for n in 0..30 {
        let next = json!({"$ref": format!("#/components/schemas/S{}", n + 1)});
        let properties: Map<String, Value> =
            (0..10).map(|p| (format!("p{p}"), next.clone())).collect();
        schemas.insert(format!("S{n}"), json!({"type": "object", "properties": properties}));
    }
    schemas.insert("S30".to_owned(), json!({"$ref": "#/components/schemas/S30"}));
    let body =
        json!({"content": {"application/json": {"schema": {"$ref": "#/components/schemas/S0"}}}});
    let document = json!({"openapi": "3.0.0", "servers": [{"url": "https://h.example"}], "components": {"schemas": schemas},
        "paths": {"/a": {"post": {"requestBody": body, "responses": {"200": body}}}}});
    let imported = read(&document);
    let schema = input(&imported, "a.post");
    assert!(schema.to_string().len() < 64 * 1024);
    assert!(
        accepts(&schema, &json!({"body": {"p0": {"p1": {}}}}))
            && !accepts(&schema, &json!({"body": {"p0": {"p1": 1}}}))
    );
}

#[test]
fn a_document_that_is_none_says_what_is_wrong() {
    let schema_of_body = |text: &str| {
        let error = import(text.as_bytes(), &Setting::default()).unwrap_err();
        assert!(error.hint.is_some());
        error.to_string()
    };
    assert_eq!(
        schema_of_body("{}"),
        "its OpenAPI document cannot be read: it has neither `openapi` nor `swagger`, so it is not \
        an OpenAPI document"
    );
    assert_eq!(
        schema_of_body(r#"{"openapi": "4.0.0"}"#),
        "its OpenAPI document cannot be read: it is of version `4.0.0`; supported are OpenAPI 3.x and \
        Swagger 2.0"
    );
    assert!(schema_of_body("<html>").contains("it is not an object but a single value"));
}

/// Texts that a description is made of.
const WORDS: &str = "get string object #/components/schemas/A #/paths # x path query body \
    $response application/json multipart/form-data \
    /a/{x} { .. /.. 3.0.0 deepObject https://h.example/{v} \u{0} ü";
/// Keys that a description is made of.
const KEYS: &str = "$ref type properties items allOf oneOf required enum nullable schema content \
    parameters name in requestBody responses \
    200 tags operationId servers url variables v default application/json multipart/form-data \
    encoding discriminator mapping propertyName \
    additionalProperties style explode get x security format pattern example readOnly minimum \
    exclusiveMinimum description consumes \
    collectionFormat";

/// Both kinds combined at random.
fn anything() -> impl Strategy<Value = Value> {
    let some =
        |words: &'static str| prop::sample::select(words.split_whitespace().collect::<Vec<_>>());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        some(WORDS).prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        let entry = (some(KEYS), inner.clone()).prop_map(|(key, value)| (key.to_owned(), value));
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(Value::from),
            prop::collection::vec(entry, 0..6).prop_map(|entries| entries.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_description_does_harm(
        version in prop::sample::select(vec!["3.0.1", "3.1.0", "2.0"]),
        operations in prop::collection::vec(
            (
                prop::sample::select(vec!["get", "post", "put"]), ".{0,10}", anything(), anything(),
                anything()
            ),
            1..4
        ),
        components in anything(),
        servers in anything(),
    ) {
        let key = if version == "2.0" { "swagger" } else { "openapi" };
        let mut paths = Map::new();
        for (method, path, parameters, body, responses) in operations {
            let operation = json!({
                "parameters": parameters, "requestBody": body, "responses": responses,
                "tags": [path]
            });
            paths.insert(format!("/{path}/{{x}}"), json!({method: operation}));
        }
        let document = json!({key: version, "paths": paths, "components": {"schemas": {"A": components}}, "definitions": components,
            "parameters": components, "servers": servers});
        let setting = Setting {
            base: Some(Url::parse("https://h.example/base").unwrap()), ..Setting::default()
        };
        let imported = import(document.to_string().as_bytes(), &setting).unwrap();
        prop_assert!(imported.tools.len() <= 3);
        for tool in imported.tools {
            let admitted = Tool::admit(&Arc::from("up"), tool.clone());
            prop_assert!(admitted.is_ok(), "{:?}", admitted.err());
            let schema = Value::Object(tool.input_schema.clone());
            prop_assert!(schema.to_string().len() <= 256 * 1024);
            prop_assert!(jsonschema::options().offline().build(&schema).is_ok(), "{}", schema);
            if let Some(output) = &tool.output_schema {
                prop_assert!(jsonschema::options().offline().build(&Value::Object(output.clone())).is_ok());
            }
            // Whatever is given, the request stays below the base.
            let plan = &imported.plans[&tool.name];
            for value in [
                json!("../../x"), json!(".."), json!("a/b?c#d"), json!(["."]), json!({"a": ".."}),
                json!(7)
            ] {
                let names = tool.input_schema["properties"].as_object().unwrap().keys();
                let args = names.map(|name| (name.clone(), value.clone())).collect();
                if let Ok((request, _)) = super::super::request::request(plan, args) {
                    prop_assert_eq!(request.url.origin(), setting.base.as_ref().unwrap().origin());
                    prop_assert!(request.url.path().starts_with("/base/"), "{}", request.url);
                    prop_assert!(!request.url.path().contains("/../"));
                }
            }
        }
    }
}

#[test]
fn thousands_of_operations_that_refer_to_one_large_schema_do_not_each_find_out_that_it_is() {
    let fields: Map<String, Value> = (0..20_000)
        .map(|at| (format!("field{at}"), json!({"type": "string", "description": "x".repeat(60)})))
        .collect();
    let wrapped =
        json!({"type": "object", "properties": {"one": {"$ref": "#/components/schemas/Large"}}});
    let paths: Map<String, Value> = (0..10_000)
        .map(|at| {
            let schema = if at % 2 == 0 {
                json!({"$ref": "#/components/schemas/Large"})
            } else {
                wrapped.clone()
            };
            let content = json!({"application/json": {"schema": schema}});
            (
                format!("/p{at}"),
                json!({"post": {
                    "requestBody": {"content": content}, "responses": {"200": {"content": content}}
                }}),
            )
        })
        .collect();
    let document = json!({"openapi": "3.0.0", "servers": [{"url": "https://h/"}], "paths": paths,
        "components": {"schemas": {"Large": {"type": "object", "properties": fields}}}});
    let began = CpuTimer::start();
    let imported = read(&document);
    assert!(began.elapsed() < std::time::Duration::from_secs(30), "{:?}", began.elapsed());
    // What it is wrapped in is told, as far as it goes; alone it is left out.
    assert_eq!(imported.tools.len(), 5_000);
    assert!(imported.note.unwrap().contains("operations left out: 5000"));
}

#[test]
fn an_import_that_is_told_to_stop_stops() {
    let stopped = super::import(
        ZOO.as_bytes(),
        &Setting::default(),
        &CancelToken::after(std::time::Duration::ZERO),
    )
    .unwrap_err();
    assert_eq!(
        stopped.message,
        "its OpenAPI document cannot be read: reading it takes longer than 60 seconds"
    );
}

#[test]
fn operations_at_another_origin_are_told_with_the_way_to_reach_them() {
    let document = json!({"openapi": "3.0.0", "servers": [{"url": "https://api.example"}], "paths": {
        "/a": {"get": {}}, "/up": {"servers": [{"url": "https://uploads.example"}], "post": {}},
    }});
    let note = read(&document).note.unwrap();
    let expected = "operations that cannot be called here because they are at another origin: 1 \
        (`https://uploads.example`); for each of these, add an \
        upstream with the same `spec` and this address as its `server`";
    assert_eq!(note, expected);
    let setting =
        Setting { server: Some("https://uploads.example".to_owned()), ..Setting::default() };
    let uploads = import(document.to_string().as_bytes(), &setting).unwrap();
    assert_eq!(
        (names_of(&uploads), uploads.base.as_str()),
        (vec!["up.post"], "https://uploads.example/")
    );
    assert_eq!(
        uploads.note.unwrap(),
        "operations left out because they are not at the configured `server`: 1"
    );
}

#[test]
fn what_is_made_of_an_answer_that_is_no_json_is_told() {
    let answer = |status: &str, kind: &str| match kind {
        "" => json!({"responses": {status: {"description": "it"}}}),
        kind => json!({"responses": {status: {"description": "it", "content": {kind: {}}}}}),
    };
    let imported = read(&json!({
        "openapi": "3.0.3", "servers": [{"url": "https://h.example"}],
        "paths": {
            "/none": {"delete": answer("204", "")}, "/unsaid": {"get": answer("200", "")},
            "/file": {"get": answer("200", "application/pdf")},
            "/lines": {"get": answer("200", "application/x-ndjson")},
            "/text": {"get": answer("200", "text/plain")},
        },
    }));
    assert_eq!(output(&imported, "none.delete"), Some(json!({"type": "null"})));
    assert_eq!((output(&imported, "unsaid.get"), output(&imported, "text.get")), (None, None));
    let file = output(&imported, "file.get").unwrap();
    assert!(
        accepts(&file, &json!({"type": "application/pdf", "base64": "AA==", "bytes": 1}))
            && !accepts(&file, &json!("AA==")),
        "{file}"
    );
    let lines = output(&imported, "lines.get").unwrap();
    assert!(
        accepts(&lines, &json!({"items": [1, "a"], "truncated": false}))
            && !accepts(&lines, &json!([])),
        "{lines}"
    );
}

#[test]
fn a_document_of_very_many_operations_is_cut_unless_the_owner_chooses() {
    let paths: Map<String, Value> = (0..OPERATIONS_MAX + 5)
        .map(|n| {
            (format!("/p{n}"), json!({"get": {"operationId": format!("o{n}"), "tags": ["t"]}}))
        })
        .collect();
    let document = json!({
        "openapi": "3.0.0", "servers": [{"url": "https://h.example"}], "paths": paths
    });
    let imported = read(&document);
    assert_eq!(imported.tools.len(), OPERATIONS_MAX);
    let note = imported.note.unwrap();
    assert!(
        note.contains(
            "operations left out: 5, the first `GET /p10000`: there are more than 10000; \
            choose which with `only` or `except`"
        ),
        "{note}"
    );
    let only = vec!["/p1000*".parse().unwrap(), "t.o7".parse().unwrap()];
    let setting = Setting { only, ..Setting::default() };
    let imported = import(document.to_string().as_bytes(), &setting).unwrap();
    // `/p1000`, and `/p10000` to `/p10004`.
    assert_eq!(imported.tools.len(), 7, "{:?}", names_of(&imported));
    let note = imported.note.unwrap();
    assert!(note.contains("operations left out by `only` or `except`: 9998"), "{note}");
}

#[test]
fn more_media_types_than_eight_are_left_out() {
    let content: Map<String, Value> = (0..20)
        .map(|n| (format!("application/vnd.v{n}+json"), json!({"schema": {"type": "object"}})))
        .collect();
    let imported = read(&json!({
        "openapi": "3.0.0", "servers": [{"url": "https://h.example"}],
        "paths": {"/x": {"post": {"requestBody": {"content": content}}}}
    }));
    let schema = input(&imported, "x.post");
    let types = schema["properties"]["$contentType"]["enum"].as_array().unwrap();
    assert_eq!((types.len(), &types[7]), (8, &json!("application/vnd.v7+json")));
    assert!(imported.note.unwrap().contains(
        "bodies with more media types than are taken: 1, the first `POST /x`: the first 8"
    ));
}
