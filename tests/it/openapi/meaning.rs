//! Schemas, parameters and paths as services mean them, where to the letter they say less.

use airlock::catalog::{ApiKey, Catalog, Credential, KeyPlace, SecretSource};
use serde_json::{Value, json};

use super::{Asked, Service, access, answered, call, eventually, open, started, upstream, written};

/// A service that answers with what it was asked, and an upstream with these operations.
pub(super) struct Echo {
    service: Service,
    catalog: Catalog,
    _folder: tempfile::TempDir,
}

impl Echo {
    pub(super) async fn with(paths: Value, schemas: Value, credential: Credential) -> Self {
        Self::of_version("3.0.3", paths, schemas, credential).await
    }

    pub(super) async fn of_version(
        version: &str,
        paths: Value,
        schemas: Value,
        credential: Credential,
    ) -> Self {
        let service = Service::start(|asked: &Asked| {
            let seen = json!({
                "line": asked.line(), "type": asked.header("content-type"), "body": asked.text()
            });
            answered(200, "application/json", seen.to_string())
        })
        .await;
        let document = json!({
            "openapi": version, "info": {"title": "z", "version": "1"}, "paths": paths,
            "components": {"schemas": schemas}
        });
        let folder = tempfile::TempDir::new().unwrap();
        let spec = written(&folder, &document.to_string());
        let mut config = upstream("svc", spec, Some(service.url("")));
        access(&mut config).credential = credential;
        let catalog = started(config).await;
        Self { service, catalog, _folder: folder }
    }

    pub(super) async fn of(paths: Value, schemas: Value) -> Self {
        Self::with(paths, schemas, Credential::None).await
    }

    /// What the service saw of a call: `GET /x`, the media type and the body.
    pub(super) async fn seen(&self, name: &str, args: Value) -> (String, String, String) {
        call(&self.catalog, &format!("svc.z.{name}"), args.clone())
            .await
            .unwrap_or_else(|error| panic!("{name} {args}: {}", error.message));
        let asked = self.service.asked().remove(0);
        (asked.line(), asked.header("content-type").to_owned(), asked.text())
    }

    /// Why a call is refused before anything is sent.
    pub(super) async fn refused(&self, name: &str, args: Value) -> String {
        let tool = self.catalog.resolve(&format!("svc.z.{name}"), &open).await.unwrap();
        let message = match self.catalog.check(&tool, &args.to_string()).await {
            Err(error) => error.message,
            Ok(args) => self.catalog.call(&tool, args).await.unwrap_err().message,
        };
        assert_eq!(self.service.asked().len(), 0, "{message}");
        message
    }

    pub(super) async fn described(&self, name: &str) -> String {
        self.catalog.describe(&format!("svc.z.{name}"), &open).await.unwrap().typescript
    }

    fn note(&self) -> String {
        self.catalog.status().remove(0).message.unwrap_or_default()
    }
}

pub(super) fn operation(id: &str, more: Value) -> Value {
    let mut operation = json!({"operationId": id, "tags": ["z"], "responses": {"200": {
        "description": "ok", "content": {"application/json": {"schema": {}}}}}});
    operation.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    operation
}

pub(super) fn body(schema: Value) -> Value {
    json!({"requestBody": {"content": {"application/json": {"schema": schema}}}})
}

pub(super) fn parameter(name: &str, place: &str, more: Value) -> Value {
    let mut parameter =
        json!({"name": name, "in": place, "required": true, "schema": {"type": "string"}});
    parameter.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    parameter
}

/// Operations whose schemas say less to the letter than is meant.
async fn odd_schemas() -> Echo {
    let text = json!({"type": "string"});
    let title = json!({"type": "object", "properties": {"title": text}});
    let sized =
        json!({"type": "object", "properties": {"title": text, "size": {"type": "integer"}}});
    let part = json!({
        "type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"],
        "additionalProperties": false
    });
    let base = json!({"$ref": "#/components/schemas/Base"});
    let with_id = json!({"$ref": "#/components/schemas/WithId"});
    let new = json!({"type": "object", "required": ["id", "label"], "properties": {"label": text}});
    let outer = json!({"type": "object", "required": ["id"], "allOf": [with_id]});
    let defaults = json!({"type": "object", "required": ["scale", "name"], "properties": {
        "name": text, "scale": {"type": "string", "default": "css"}}});
    let number = json!({"oneOf": [{"type": "integer"}, {"type": "number"}]});
    Echo::of(
        json!({
            "/a": {"post": operation("forms", body(json!({"oneOf": [title, sized]})))},
            "/b": {"get": operation("number", json!({
                "parameters": [parameter("n", "query", json!({"schema": number}))]
            }))},
            "/c": {"post": operation("parts", body(json!({"allOf": [base, part]})))},
            "/d": {"post": operation("created", body(json!({"allOf": [with_id, new]})))},
            "/e": {"post": operation("outer", body(outer))},
            "/f": {"post": operation("defaults", body(defaults))},
            "/g": {"post": operation("never", body(json!({"type": "object", "properties": {
                "count": {"allOf": [{"type": "string"}, {"type": "integer"}]}, "name": text
            }})))},
            "/h": {"get": operation("numbers", json!({"parameters": [
                parameter("size", "query", json!({"schema": {"type": "string", "enum": [1, 2]}}))
            ]}))},
        }),
        json!({
            "Base": {
                "type": "object", "properties": {"key": text}, "additionalProperties": false
            },
            "WithId": {"type": "object", "properties": {"id": {"type": "string", "readOnly": true}}},
        }),
    )
    .await
}

#[tokio::test]
async fn what_a_service_may_take_is_sent_and_what_it_surely_refuses_is_not() {
    let echo = odd_schemas().await;
    for (name, args) in [
        ("forms", json!({"title": "x"})),
        ("forms", json!({"title": "x", "size": 1})),
        ("parts", json!({"key": "a", "count": 1})),
        ("created", json!({"label": "x"})),
        ("outer", json!({})),
        ("outer", json!({"id": "as it came"})),
        ("defaults", json!({"name": "x"})),
        ("never", json!({"count": 7})),
    ] {
        let (_, _, sent) = echo.seen(name, json!({"body": args})).await;
        assert_eq!(serde_json::from_str::<Value>(&sent).unwrap(), args, "{name}");
    }
    assert_eq!(echo.seen("number", json!({"n": 3})).await.0, "GET /b?n=3");
    assert_eq!(echo.seen("numbers", json!({"size": "2"})).await.0, "GET /h?size=2");
    for (name, args, why) in [
        ("forms", json!({"title": 1}), "`body`"),
        ("parts", json!({"key": "a", "count": "x"}), "`body.count` must be integer"),
        ("parts", json!({"key": "a", "count": 1, "other": 1}), "there is no field `body.other`"),
        ("parts", json!({"key": "a"}), "field `body.count` is missing"),
        ("created", json!({}), "field `body.label` is missing"),
        ("defaults", json!({}), "field `body.name` is missing"),
        ("never", json!({"count": 7, "name": 1}), "`body.name` must be string"),
    ] {
        let message = echo.refused(name, json!({"body": args})).await;
        assert!(message.contains(why), "{name} {args}: {message}");
    }
    let described = echo.described("created").await;
    assert!(!described.contains("id:"), "{described}");
    assert!(echo.described("defaults").await.contains("scale?:"));
    let note = echo.note();
    assert!(
        note.contains(
            "arguments that are not checked, because their schema admits nothing: 1, the first \
            `POST /g`: body.count"
        ),
        "{note}"
    );
}

/// Operations that take a body in several media types.
async fn several_types() -> Echo {
    let patches = |schema: Value| {
        json!({"requestBody": {"required": true, "content": {
            "application/json-patch+json": {"schema": schema},
            "application/merge-patch+json": {"schema": schema},
            "application/strategic-merge-patch+json": {"schema": schema},
            "application/apply-patch+yaml": {"schema": schema},
        }}})
    };
    let object = json!({"type": "object", "properties": {"name": {"type": "string"}}});
    let upload = json!({"type": "object", "properties": {"name": {"type": "string"},
        "file": {"type": "string", "format": "binary"}}});
    Echo::of(
        json!({
            // As Kubernetes describes them: all alike.
            "/a": {"patch": operation("change", patches(json!({"type": "object"})))},
            "/b": {"patch": operation("loose", patches(json!({})))},
            "/c": {"post": operation("pet", json!({"requestBody": {"content": {
                "application/xml": {"schema": object}, "application/json": {"schema": object},
                "application/x-www-form-urlencoded": {"schema": object},
            }}}))},
            "/d": {"post": operation("upload", json!({"requestBody": {"content": {
                "application/json": {"schema": upload}, "multipart/form-data": {"schema": upload},
            }}}))},
            "/e": {"put": operation("one", body(object))},
            "/f": {"post": operation("versions", json!({"requestBody": {"content": {
                "application/vnd.a.v1+json": {"schema": {"type": "object", "required": ["title"],
                    "properties": {"title": {"type": "string"}}}},
                "application/vnd.a.v2+json": {"schema": {"type": "object", "required": ["heading"],
                    "properties": {"heading": {"type": "string"}}}},
            }}}))},
        }),
        json!({}),
    )
    .await
}

#[tokio::test]
async fn the_media_type_of_a_body_is_the_one_that_fits_it_or_the_chosen_one() {
    let echo = several_types().await;
    let change = json!([{"op": "add", "path": "/x", "value": 1}]);
    for name in ["change", "loose"] {
        let seen = echo.seen(name, json!({"body": {"spec": {"copies": 2}}})).await;
        assert_eq!(seen.1, "application/merge-patch+json", "{name}");
        assert_eq!(seen.2, r#"{"spec":{"copies":2}}"#);
        let seen = echo.seen(name, json!({"body": change})).await;
        assert_eq!(seen.1, "application/json-patch+json", "{name}");
        let kind = "application/strategic-merge-patch+json";
        let seen = echo.seen(name, json!({"body": {}, "$contentType": kind})).await;
        assert_eq!(seen.1, kind, "{name}");
    }
    let yaml = json!({"body": "a: 1", "$contentType": "application/apply-patch+yaml"});
    assert_eq!(echo.seen("change", yaml).await.2, "a: 1");
    // A text may be a slip: it is sent as such only where that was chosen.
    let message = echo.refused("pet", json!({"body": "<pet/>"})).await;
    assert!(message.contains("unless `$contentType` chooses one"), "{message}");
    let xml = json!({"body": "<pet/>", "$contentType": "application/xml"});
    assert_eq!(echo.seen("pet", xml).await.1, "application/xml");
    let form = "application/x-www-form-urlencoded";
    let seen = echo.seen("pet", json!({"body": {"name": "a b"}, "$contentType": form})).await;
    assert_eq!((seen.1.as_str(), seen.2.as_str()), (form, "name=a%20b"));
    assert_eq!(echo.seen("pet", json!({"body": {"name": "x"}})).await.1, "application/json");
    let message = echo.refused("pet", json!({"body": {}, "$contentType": "text/html"})).await;
    assert!(message.contains("`$contentType` must be one of \"application/json\""), "{message}");
    for (field, kind) in
        [("title", "application/vnd.a.v1+json"), ("heading", "application/vnd.a.v2+json")]
    {
        assert_eq!(echo.seen("versions", json!({"body": {field: "x"}})).await.1, kind);
    }
    // A file goes where files go.
    let file = json!({"body": {"file": {"text": "x", "name": "a.txt"}}});
    assert!(echo.seen("upload", file).await.1.starts_with("multipart/form-data"));
    let described = echo.described("change").await;
    assert!(described.contains("application/merge-patch+json"), "{described}");
    assert!(!echo.described("one").await.contains("$contentType"));
}

#[tokio::test]
async fn a_credential_is_no_argument_beside_the_one_that_goes_along() {
    let token = |place: &str| json!({"parameters": [parameter("token", place, json!({}))]});
    let fields = json!({"type": "object", "required": ["token", "room"],
        "properties": {"token": {"type": "string"}, "room": {"type": "string"}}});
    let form = |schema: &Value| {
        json!({"requestBody": {"required": true, "content": {
            "application/x-www-form-urlencoded": {"schema": schema}}}})
    };
    let paths = json!({
        "/h": {"post": operation("head", token("header"))},
        "/q": {"post": operation("query", token("query"))},
        "/c": {"post": operation("cookie", json!({"parameters": [
            parameter("api_key", "cookie", json!({"required": false}))]}))},
        "/f": {"post": operation("form", form(&fields))},
        "/j": {"post": operation("json", body(fields.clone()))},
        "/devices": {"post": operation("registerDevice", form(&fields))},
        "/page": {"get": operation("page", json!({"parameters": [
            parameter("token", "query", json!({"required": false})),
            parameter("page_token", "query", json!({}))]}))},
    });
    let bearer = Credential::Bearer(SecretSource::Value("tok-in-config-123".to_owned()));
    let echo = Echo::with(paths.clone(), json!({}), bearer).await;
    assert_eq!(echo.seen("head", json!({})).await.0, "POST /h");
    assert_eq!(echo.seen("query", json!({})).await.0, "POST /q");
    assert_eq!(echo.seen("form", json!({"body": {"room": "a"}})).await.2, "room=a");
    assert_eq!(echo.seen("json", json!({"body": {"room": "a"}})).await.2, r#"{"room":"a"}"#);
    for name in ["head", "query", "cookie", "form"] {
        let described = echo.described(name).await;
        assert!(!described.contains("token") && !described.contains("api_key"), "{described}");
    }
    assert!(echo.refused("query", json!({"token": "x"})).await.contains("no field `token`"));
    // Where the call may be about that token, or a token is that of a page, it can be given.
    let device = json!({"body": {"room": "a", "token": "push-1"}});
    assert_eq!(echo.seen("registerDevice", device).await.2, "room=a&token=push-1");
    assert_eq!(echo.seen("registerDevice", json!({"body": {"room": "a"}})).await.2, "room=a");
    let page = json!({"token": "n", "page_token": "p"});
    assert_eq!(echo.seen("page", page).await.0, "GET /page?token=n&page_token=p");
    // Without any credential the description is all there is to go by.
    let echo = Echo::of(paths.clone(), json!({})).await;
    assert!(echo.refused("query", json!({})).await.contains("field `token` is missing"));
    // The configuration fills in a field of a body, whatever a caller gives.
    let value = SecretSource::Value("tok-in-config-123".to_owned());
    let key = ApiKey { place: KeyPlace::Field, name: "token".to_owned(), value };
    let key = Credential::ApiKeys(vec![key]);
    let echo = Echo::with(paths, json!({}), key).await;
    let sent = echo.seen("form", json!({"body": {"room": "a"}})).await.2;
    assert_eq!(sent, "room=a&token=tok-in-config-123");
    let sent = echo.seen("json", json!({"body": {"room": "a", "token": "mine"}})).await.2;
    assert_eq!(sent, r#"{"room":"a","token":"tok-in-config-123"}"#);
    assert_eq!(echo.seen("page", json!({"page_token": "p"})).await.2, "");
    let described = echo.described("json").await;
    assert!(!described.contains("token"), "{described}");
}

#[tokio::test]
async fn a_credential_is_told_by_its_place_and_by_the_name_of_any_service() {
    let with = |name: &str, place: &str| json!({"parameters": [parameter(name, place, json!({}))]});
    let headers = [
        "Ocp-Apim-Subscription-Key",
        "X-Goog-Api-Key",
        "X-Shopify-Access-Token",
        "PRIVATE-TOKEN",
        "DD-APPLICATION-KEY",
        "X-Acme-Auth-Token",
        "jwt",
        "key",
        "app_id",
    ];
    let queries = ["subscription-key", "consumer_key", "idToken", "jwt"];
    let mut paths = serde_json::Map::new();
    for (at, name) in headers.iter().enumerate() {
        let operation = operation(&format!("h{at}"), with(name, "header"));
        paths.insert(format!("/h{at}"), json!({ "get": operation }));
    }
    for (at, name) in queries.iter().enumerate() {
        let operation = operation(&format!("q{at}"), with(name, "query"));
        paths.insert(format!("/q{at}"), json!({ "get": operation }));
    }
    let fields = json!({"type": "object", "required": ["key", "secret"],
        "properties": {"key": {"type": "string"}, "secret": {"type": "string"}}});
    for (path, of) in [
        ("/object", json!({"get": operation("object", with("key", "query"))})),
        ("/csrf", json!({"get": operation("csrf", with("X-CSRF-Token", "header"))})),
        ("/named/{key}", json!({"get": operation("named", with("key", "path"))})),
        ("/put", json!({"post": operation("put", body(fields))})),
    ] {
        paths.insert(path.to_owned(), of);
    }
    let bearer = Credential::Bearer(SecretSource::Value("tok-in-config-123".to_owned()));
    let echo = Echo::with(paths.clone().into(), json!({}), bearer).await;
    let of_headers = (0..headers.len()).map(|at| format!("h{at}"));
    for name in of_headers.chain((0..queries.len()).map(|at| format!("q{at}"))) {
        // Before a call, whose answer would be described as well.
        let described = echo.described(&name).await.to_lowercase();
        let words = ["key", "token", "jwt", "app_id"];
        assert!(!words.iter().any(|word| described.contains(word)), "{described}");
        assert_eq!(echo.seen(&name, json!({})).await.0, format!("GET /{name}"));
    }
    // What may be data can be given, and must be where it stands in a body or a path.
    assert_eq!(echo.seen("object", json!({})).await.0, "GET /object");
    assert_eq!(echo.seen("object", json!({"key": "a/b"})).await.0, "GET /object?key=a%2Fb");
    assert!(echo.refused("csrf", json!({})).await.contains("`X-CSRF-Token` is missing"));
    assert!(echo.refused("named", json!({})).await.contains("`key` is missing"));
    assert!(echo.refused("put", json!({"body": {"key": "k"}})).await.contains("`body.secret`"));
    // Nothing goes along: the description is all there is to go by.
    let echo = Echo::of(paths.into(), json!({})).await;
    for (name, asked) in [("h1", "X-Goog-Api-Key"), ("q0", "subscription-key"), ("object", "key")] {
        assert!(echo.refused(name, json!({})).await.contains(&format!("`{asked}` is missing")));
    }
}

/// Operations whose paths are written in every way.
async fn odd_paths() -> Echo {
    let text = |name: &str| parameter(name, "path", json!({}));
    let raw = parameter("where", "path", json!({"allowReserved": true}));
    Echo::of(
        json!({
            "/v1/{+res}": {"get": operation("plus", json!({"parameters": [text("res")]}))},
            "/v2/{+res}:publish": {"post": operation("verb", json!({"parameters": [text("res")]}))},
            "/proxy/{rest+}": {"get": operation("greedy", json!({}))},
            "/all/{*rest}": {"get": operation("catchAll", json!({}))},
            "/files/{where}": {"get": operation("reserved", json!({"parameters": [raw]}))},
            "/plain/{id}": {"get": operation("plain", json!({"parameters": [text("id")]}))},
            "/reports/{id}.{format}": {"get": operation("export", json!({"parameters": [
                text("id"), text("format")]}))},
            "/{section}.{format}": {"get": operation("section", json!({}))},
            "/parcels?status={status}&kind=open&from={since}": {"get": operation("parcels", json!({
                "parameters": [text("status"), text("since"),
                    parameter("page", "query", json!({"required": false}))]}))},
            "/depots{?near,far}": {"get": operation("depots", json!({}))},
            "/depots/{depot}#copy": {"put": operation("copy", json!({"parameters": [text("depot")]}))},
            "/rows/{row:[0-9]{3}}/x": {"get": operation("row", json!({"parameters": [text("row")]}))},
            "/kinds/{kind:int}": {"get": operation("kind", json!({}))},
            "/colon/:id/y": {"get": operation("colon", json!({"parameters": [text("id")]}))},
            "/flask/<int:id>": {"get": operation("flask", json!({"parameters": [text("id")]}))},
            "/angle/<id>/:verb": {"get": operation("angle", json!({"parameters": [text("id")]}))},
            "/odd?a=b{c}d": {"get": operation("odd", json!({}))},
            "/up/../x": {"get": operation("up", json!({}))},
        }),
        json!({}),
    )
    .await
}

#[tokio::test]
async fn paths_are_read_as_real_descriptions_write_them() {
    let echo = odd_paths().await;
    for (name, args, line) in [
        ("plus", json!({"res": "areas/a/lists/b c"}), "GET /v1/areas/a/lists/b%20c"),
        ("verb", json!({"res": "areas/a"}), "POST /v2/areas/a:publish"),
        ("greedy", json!({"rest": "a/b"}), "GET /proxy/a/b"),
        ("catchAll", json!({"rest": "a/b"}), "GET /all/a/b"),
        ("reserved", json!({"where": "a/b@1,c"}), "GET /files/a/b@1,c"),
        ("plain", json!({"id": "a/b"}), "GET /plain/a%2Fb"),
        ("export", json!({"id": "7", "format": "csv"}), "GET /reports/7.csv"),
        ("section", json!({"section": "a.b", "format": "json"}), "GET /a.b.json"),
        (
            "parcels",
            json!({"status": "a&b", "since": "x", "page": "2"}),
            "GET /parcels?kind=open&status=a%26b&from=x&page=2",
        ),
        ("depots", json!({"far": "1"}), "GET /depots?far=1"),
        ("copy", json!({"depot": "d"}), "PUT /depots/d"),
        ("row", json!({"row": "007"}), "GET /rows/007/x"),
        ("kind", json!({"kind": "7"}), "GET /kinds/7"),
        ("colon", json!({"id": "a/b"}), "GET /colon/a%2Fb/y"),
        ("flask", json!({"id": "7"}), "GET /flask/7"),
        ("angle", json!({"id": "7"}), "GET /angle/7/:verb"),
        // What would end the path, or what some servers cut segments at, stays within its value.
        ("plus", json!({"res": "a?x=1#y;z"}), "GET /v1/a%3Fx=1%23y%3Bz"),
        ("plus", json!({"res": "a/%2e%2e/x"}), "GET /v1/a/%252e%252e/x"),
    ] {
        assert_eq!(echo.seen(name, args.clone()).await.0, line, "{name} {args}");
    }
    for (name, args) in [
        ("plus", json!({"res": "areas/../../x"})),
        ("plus", json!({"res": "."})),
        ("greedy", json!({"rest": "a\\..\\b"})),
        ("reserved", json!({"where": "../x"})),
        ("export", json!({"id": ".", "format": "csv"})),
        ("section", json!({"section": "..", "format": ".."})),
    ] {
        let message = echo.refused(name, args.clone()).await;
        assert!(message.contains("`.` or `..`"), "{name} {args}: {message}");
    }
    let note = echo.note();
    assert!(
        note.contains(
            "operations left out: 2, the first `GET /odd?a=b{c}d`: the query in its path"
        ),
        "{note}"
    );
}

#[tokio::test]
async fn one_bad_parameter_takes_only_itself_and_is_named() {
    let echo = Echo::of(
        json!({
            "/notes/{id}": {"get": operation("note", json!({"parameters": [
                parameter("id", "path", json!({})), {"schema": {"type": "string"}},
                {"name": "odd", "in": "somewhere"}, {"name": "lost", "schema": {}},
                {"$ref": "other.yaml#/Page"}, 7,
                parameter("tag", "Query", json!({"required": false})),
            ]}))},
            "/places/{at}": {"get": operation("place", json!({"parameters": [
                {"name": "at", "schema": {"type": "integer"}}]}))},
            "/old": {"post": operation("old", json!({"parameters": [{"name": "b", "in": "body"}]}))},
            "/other": {"get": operation("other", json!({}))},
        }),
        json!({}),
    )
    .await;
    assert_eq!(echo.seen("note", json!({"id": "1", "tag": "t"})).await.0, "GET /notes/1?tag=t");
    // The path says where it is.
    assert_eq!(echo.seen("place", json!({"at": 3})).await.0, "GET /places/3");
    assert_eq!(echo.seen("other", json!({})).await.0, "GET /other");
    let note = echo.note();
    assert!(
        note.contains(
            "parameters left out: 5, the first `GET /notes/{id}`: a parameter has no `name`"
        ) && note
            .contains("operations left out: 1, the first `POST /old`: parameter `b` is in `body`"),
        "{note}"
    );
}

#[tokio::test]
async fn the_owner_chooses_the_operations_of_a_large_description() {
    let path = |id: &str| json!({"get": operation(id, json!({}))});
    let document = json!({
        "openapi": "3.0.3", "info": {"title": "z", "version": "1"},
        "servers": [{"url": "//127.0.0.1:9/v1"}],
        "paths": {"/users": path("listUsers"), "/users/{id}": path("getUser"),
            "/users/{id}/mails": path("listMails"), "/groups": path("listGroups")}
    });
    let folder = tempfile::TempDir::new().unwrap();
    let mut config = upstream("svc", written(&folder, &document.to_string()), None);
    if let airlock::catalog::UpstreamKind::OpenApi(config) = &mut config.kind {
        config.only = vec!["/users/**".parse().unwrap()];
        config.except = vec!["z.listMails".parse().unwrap(), "DELETE /**".parse().unwrap()];
    }
    let catalog = started(config).await;
    eventually("the tools are there", || catalog.status()[0].tools == 2).await;
    for (path, is_there) in [
        ("svc.z.listUsers", true),
        ("svc.z.getUser", true),
        ("svc.z.listMails", false),
        ("svc.z.listGroups", false),
    ] {
        assert_eq!(catalog.resolve(path, &open).await.is_ok(), is_there, "{path}");
    }
    let note = catalog.status().remove(0).message.unwrap();
    assert!(note.contains("operations left out by `only` or `except`: 2"), "{note}");
    catalog.shutdown().await;
}
