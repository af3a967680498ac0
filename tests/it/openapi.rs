//! Services with an OpenAPI description, against a real server that records what it is asked.

mod encoding;
mod files;
mod github;
mod leftovers;
mod meaning;
mod names;
mod service;

use airlock::catalog::{
    Catalog, Credential, HttpAccess, OpenApiConfig, SecretSource, UpstreamConfig, UpstreamError,
    UpstreamErrorCode, UpstreamKind, UpstreamState,
};
use airlock::model::Document;
use serde_json::{Value, json};

use self::service::{Asked, Service, answered};
use crate::support::upstream::{PATIENCE, eventually, open};

const ZOO: &str = include_str!("../openapi/zoo.yaml");
const PETS: &str = include_str!("../openapi/petstore.yaml");

/// An upstream with this description, at this address.
fn upstream(name: &str, spec: Document, base_url: Option<String>) -> UpstreamConfig {
    let access = HttpAccess { allow_private: true, ..HttpAccess::default() };
    let config = OpenApiConfig {
        spec,
        base_url,
        server: None,
        server_variables: Default::default(),
        only: Vec::new(),
        except: Vec::new(),
        access,
    };
    UpstreamConfig::new(name.parse().unwrap(), UpstreamKind::OpenApi(config))
}

fn access(config: &mut UpstreamConfig) -> &mut HttpAccess {
    match &mut config.kind {
        UpstreamKind::OpenApi(config) => &mut config.access,
        _ => panic!("it is of another kind"),
    }
}

fn written(folder: &tempfile::TempDir, text: &str) -> Document {
    let path = folder.path().join("spec.yaml");
    std::fs::write(&path, text).unwrap();
    Document::File(path)
}

async fn started(config: UpstreamConfig) -> Catalog {
    crate::support::upstream::install_crypto();
    let catalog = Catalog::start(vec![config], &Default::default());
    assert!(catalog.settled(PATIENCE).await, "{:?}", catalog.status());
    catalog
}

async fn call(catalog: &Catalog, path: &str, args: Value) -> Result<Value, UpstreamError> {
    let tool = catalog
        .resolve(path, &open)
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}", catalog.status()));
    let args =
        catalog.check(&tool, &args.to_string()).await.unwrap_or_else(|error| panic!("{error}"));
    catalog.call(&tool, args).await.map(|json| serde_json::from_str(json.get()).unwrap())
}

/// The zoo, each of whose operations answers with what its path asks for.
async fn zoo() -> (Service, Catalog, tempfile::TempDir) {
    let service = Service::start(|asked: &Asked| match asked.target.split('?').next().unwrap() {
        "/v9/animals" if asked.method == "POST" => {
            answered(201, "application/json", asked.body.clone())
        }
        "/v9/animals" => answered(200, "application/json; charset=utf-8", r#"[{"id":1}]"#),
        "/v9/animals/gone" => {
            answered(404, "application/problem+json", r#"{"title": "no such animal"}"#)
        }
        "/v9/upload" => answered(200, "image/png", asked.body.clone()),
        "/v9/search" => answered(200, "application/x-ndjson", "{\"a\":1}\n{\"a\":2}\n"),
        "/v9/watch" => answered(
            200,
            "text/event-stream",
            "data: {\"n\":1}\n\nevent: bye\ndata: x\n\n".repeat(900),
        ),
        _ => answered(204, "application/json", ""),
    })
    .await;
    let folder = tempfile::TempDir::new().unwrap();
    let catalog = started(upstream("zoo", written(&folder, ZOO), Some(service.url("/v9/")))).await;
    (service, catalog, folder)
}

#[tokio::test]
async fn operations_are_called_as_their_description_says() {
    let (service, catalog, _folder) = zoo().await;
    let args =
        json!({"filter": {"kind": "cat"}, "tags": ["a b"], "session": "s 1", "X-Trace": "me"});
    assert_eq!(call(&catalog, "zoo.animals.list", args).await, Ok(json!([{"id": 1}])));
    let asked = service.asked().remove(0);
    assert_eq!(asked.line(), "GET /v9/animals?filter%5Bkind%5D=cat&tags=a%20b");
    assert_eq!(
        (asked.header("cookie"), asked.header("x-trace"), asked.header("accept")),
        ("session=s%201", "me", "application/json, */*;q=0.1")
    );
    let animal = json!({"kind": "dog", "name": "Rex"});
    assert_eq!(
        call(&catalog, "zoo.animals.create", json!({"body": animal})).await,
        Ok(animal.clone())
    );
    let asked = service.asked().remove(0);
    assert_eq!(
        (asked.header("content-type"), asked.text()),
        ("application/json", animal.to_string())
    );
    let form = json!({"body": {"q": "x y", "sort": ["a", "b"]}});
    let items = json!({"items": [{"a": 1}, {"a": 2}], "truncated": false});
    assert_eq!(call(&catalog, "zoo.search.post", form).await, Ok(items));
    let asked = service.asked().remove(0);
    assert_eq!(
        (asked.header("content-type"), asked.text().as_str()),
        ("application/x-www-form-urlencoded", "q=x%20y&sort=a,b")
    );
    assert_eq!(
        call(&catalog, "zoo.animals.putNode", json!({"id": "a/b", "body": {"children": []}})).await,
        Ok(Value::Null)
    );
    assert_eq!(service.asked().remove(0).line(), "PUT /v9/animals/a%2Fb");
    catalog.shutdown().await;
}

#[tokio::test]
async fn files_go_both_ways() {
    let (service, catalog, _folder) = zoo().await;
    let photos = json!([{"base64": "iVBORw0KGgo=", "type": "image/png", "name": "a.png"}]);
    let args = json!({
        "id": "1", ";size": "small",
        "body": {"caption": "Tom", "photos": photos, "facts": {"born": null}}
    });
    call(&catalog, "zoo.animals.addPhotos", args).await.unwrap();
    let asked = service.asked().remove(0);
    assert!(
        asked.header("content-type").starts_with("multipart/form-data; boundary="),
        "{asked:?}"
    );
    let text = asked.text();
    for part in [
        "name=\"caption\"\r\n\r\nTom\r\n",
        "name=\"photos\"; filename=\"a.png\"\r\ncontent-type: image/png\r\n\r\n",
        "name=\"facts\"\r\ncontent-type: application/json\r\n\r\n{\"born\":null}\r\n",
    ] {
        assert!(text.to_lowercase().contains(&part.to_lowercase()), "{part:?} is not in {text:?}");
    }
    assert!(
        asked.body.windows(8).any(|bytes| bytes == b"\x89PNG\r\n\x1a\n"),
        "the file arrives byte for byte"
    );
    // What was answered can be sent as it is.
    let file = call(
        &catalog,
        "zoo.upload.put",
        json!({"body": {"base64": "iVBORw0KGgo=", "type": "image/png"}}),
    )
    .await
    .unwrap();
    assert_eq!(file, json!({"type": "image/png", "base64": "iVBORw0KGgo=", "bytes": 8}));
    assert_eq!(call(&catalog, "zoo.upload.put", json!({"body": file})).await.unwrap(), file);
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_stream_is_cut_and_says_so() {
    let (_service, catalog, _folder) = zoo().await;
    let events = call(&catalog, "zoo.watch.get", json!({})).await.unwrap();
    assert_eq!(
        (events["items"].as_array().unwrap().len(), &events["truncated"]),
        (1_000, &json!(true))
    );
    assert_eq!(
        (&events["items"][0], &events["items"][1]),
        (&json!({"data": {"n": 1}}), &json!({"event": "bye", "data": "x"}))
    );
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_stream_that_falls_silent_gives_what_has_come_and_says_that_there_may_be_more() {
    let service = Service::start(|asked: &Asked| {
        let (kind, begun) = match asked.target.as_str() {
            "/v9/watch" => ("text/event-stream", "data: {\"n\":1}\n\ndata: 2\n\ndata: hal"),
            _ => ("application/x-ndjson", "{\"a\":1}\n{\"a\""),
        };
        let begun = futures::stream::iter([Ok::<_, std::io::Error>(begun)]);
        let body = axum::body::Body::from_stream(futures::StreamExt::chain(
            begun,
            futures::stream::pending(),
        ));
        answered(200, kind, body)
    })
    .await;
    let folder = tempfile::TempDir::new().unwrap();
    let mut config = upstream("zoo", written(&folder, ZOO), Some(service.url("/v9/")));
    config.call_timeout = std::time::Duration::from_millis(500);
    let catalog = started(config).await;
    let events = call(&catalog, "zoo.watch.get", json!({})).await;
    assert_eq!(events, Ok(json!({"items": [{"data": {"n": 1}}, {"data": 2}], "truncated": true})));
    let lines = call(&catalog, "zoo.search.post", json!({"body": {"q": "x"}})).await;
    assert_eq!(lines, Ok(json!({"items": [{"a": 1}], "truncated": true})));
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_refusal_is_an_error_and_the_whole_response_can_be_had() {
    let (service, catalog, _folder) = zoo().await;
    let error = call(&catalog, "zoo.animals.get", json!({"id": "gone"})).await.unwrap_err();
    assert_eq!(
        (error.code, error.status, error.retryable),
        (UpstreamErrorCode::ToolFailed, Some(404), false)
    );
    assert_eq!(
        error.message,
        r#"`zoo.animals.get` answered 404 Not Found: {"title":"no such animal"}"#
    );
    let whole = call(&catalog, "zoo.animals.list", json!({"$response": true})).await.unwrap();
    assert_eq!((&whole["status"], &whole["body"]), (&json!(200), &json!([{"id": 1}])));
    assert_eq!(whole["headers"]["content-type"], "application/json; charset=utf-8");
    service.asked();
    for id in ["..", "../admin", ""] {
        let error = call(&catalog, "zoo.animals.get", json!({"id": id})).await.unwrap_err();
        assert_eq!(error.code, UpstreamErrorCode::InvalidArguments, "{error:?}");
    }
    let error = call(&catalog, "zoo.elsewhere.get", json!({})).await.unwrap_err();
    assert!(error.message.contains("`https://other.example/`"), "{error:?}");
    assert!(service.asked().is_empty(), "nothing of that was sent");
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_file_that_changes_is_read_again_and_a_broken_one_is_told_and_not_used() {
    let (service, catalog, folder) = zoo().await;
    let list = |text: &str| written(&folder, text);
    let swagger = PETS.replace("host: pets.example", "").replace("basePath: /api", "basePath: /v9");
    list("openapi: [");
    let wants = "its OpenAPI document requires user and password (HTTP basic), and no credential is configured";
    let message = || catalog.status()[0].message.clone().unwrap_or_default();
    eventually("the broken one is told", || {
        message()
            .contains("its new OpenAPI document cannot be used, so the last one stays in force")
    })
    .await;
    assert_eq!(call(&catalog, "zoo.animals.list", json!({})).await, Ok(json!([{"id": 1}])));
    list(&swagger);
    eventually("the new tools are there", || catalog.status()[0].tools == 4).await;
    call(&catalog, "zoo.pets.list", json!({"status": ["new", "sold"], "ids": [1, 2]}))
        .await
        .unwrap();
    assert_eq!(
        service.asked().pop().unwrap().line(),
        "GET /v9/pets?status=new&status=sold&ids=1,2"
    );
    assert_eq!((catalog.status()[0].status, message()), (UpstreamState::Ready, wants.to_owned()));
    std::fs::remove_file(folder.path().join("spec.yaml")).unwrap();
    eventually("the lost one is told", || message().contains("cannot be read: No such file")).await;
    list(&swagger);
    eventually("that it is back", || message() == wants).await;
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_name_that_means_something_else_by_now_is_not_called_for_what_it_meant() {
    let (service, catalog, folder) = zoo().await;
    let tool = catalog.resolve("zoo.animals.list", &open).await.unwrap();
    assert!(catalog.call(&tool, Default::default()).await.is_ok());
    written(&folder, &ZOO.replace("  /animals:", "  /animals/everything:"));
    eventually("the name means another path", || {
        let present = catalog.route(&tool).unwrap_or_default();
        present.ends_with("/animals/everything")
    })
    .await;
    service.asked();
    let error = catalog.call(&tool, Default::default()).await.unwrap_err();
    assert!(
        error.message.contains("it is another operation since `zoo` changed; call it again"),
        "{error}"
    );
    assert_eq!(error.code, UpstreamErrorCode::Refused);
    assert!(service.asked().is_empty(), "nothing was sent");
    assert!(catalog.refresh(Some("zoo")).await.is_some());
    call(&catalog, "zoo.animals.list", json!({})).await.unwrap();
    assert_eq!(service.asked()[0].line(), "GET /v9/animals/everything");
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_description_at_an_address_is_fetched_and_its_server_counts_from_there() {
    let spec = json!({
        "openapi": "3.0.3", "servers": [{"url": "v1"}],
        "paths": {"/ping": {"get": {"responses": {"200": {"description": "ok"}}}}}
    });
    let service = Service::start(move |asked: &Asked| match asked.target.as_str() {
        "/docs/api.json" => answered(200, "application/json", spec.to_string()),
        _ => answered(200, "text/plain", "pong"),
    })
    .await;
    let mut config = upstream("up", Document::Url(service.url("/docs/api.json")), None);
    access(&mut config).credential =
        Credential::Bearer(SecretSource::Value("tok-123456".to_owned()));
    let catalog = started(config).await;
    assert_eq!(call(&catalog, "up.ping.get", json!({})).await, Ok(json!("pong")));
    let asked: Vec<(String, String)> = service
        .asked()
        .iter()
        .map(|asked| (asked.line(), asked.header("authorization").to_owned()))
        .collect();
    // The credential is for the service; whoever serves its description need not be the same.
    let expected = [("GET /docs/api.json", ""), ("GET /docs/v1/ping", "Bearer tok-123456")];
    assert_eq!(asked, expected.map(|(line, credential)| (line.to_owned(), credential.to_owned())));
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_description_has_no_say_in_where_a_credential_goes() {
    let elsewhere = Service::start(|_: &Asked| answered(200, "text/plain", "thanks")).await;
    let server = elsewhere.url("/");
    let service = Service::start(move |_: &Asked| {
        let spec = json!({
            "openapi": "3.0.3", "servers": [{"url": server}], "paths": {"/ping": {"get": {}}}
        });
        answered(200, "application/json", spec.to_string())
    })
    .await;
    let mut config = upstream("up", Document::Url(service.url("/api.json")), None);
    access(&mut config).headers.insert("X-Key".to_owned(), "tok-123456".to_owned());
    let catalog = started(config).await;
    let status = catalog.status().remove(0);
    assert_eq!(status.status, UpstreamState::Failed);
    let message = status.message.unwrap();
    assert!(
        message.contains("sends calls and their credential to") && message.contains("`base_url`"),
        "{message}"
    );
    assert!(elsewhere.asked().is_empty());
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_description_that_cannot_be_had_says_which_and_why() {
    let service = Service::start(|_: &Asked| answered(404, "text/plain", "no")).await;
    for (spec, part) in [
        (Document::Url(service.url("/x.json?key=tok-123456")), "/x.json` cannot be fetched: "),
        (
            Document::File("/nowhere/spec.yaml".into()),
            "its OpenAPI document `/nowhere/spec.yaml` cannot be read: No such file",
        ),
        (
            Document::File("/".into()),
            "its OpenAPI document `/` cannot be read: it is a folder, not a file",
        ),
    ] {
        let catalog = started(upstream("up", spec, Some(service.url("/")))).await;
        let status = catalog.status().remove(0);
        let message = status.message.unwrap();
        assert!(
            status.status == UpstreamState::Failed
                && message.contains(part)
                && !message.contains("tok-"),
            "{message}"
        );
        catalog.shutdown().await;
    }
}

#[tokio::test]
async fn a_program_calls_operations_by_name_and_reads_what_went_wrong() {
    let service = Service::start(|asked: &Asked| match asked.target.as_str() {
        "/animals" => answered(201, "application/json", asked.body.clone()),
        _ => answered(429, "application/json", r#"{"error": "slow down"}"#),
    })
    .await;
    let folder = tempfile::TempDir::new().unwrap();
    let Document::File(spec) = written(&folder, ZOO) else { panic!("it is a file") };
    let config = format!(
        "[upstreams.zoo]\nkind = \"openapi\"\nspec = {:?}\nbase_url = {:?}\nallow_private = \
        true\nauth = {{ bearer = {{ file = {:?} }} }}\n",
        spec.display().to_string(),
        service.url("/"),
        folder.path().join("token").display().to_string()
    );
    std::fs::write(folder.path().join("token"), "tok-123456\n").unwrap();
    let server = crate::support::server::TestServer::with(&config).await;
    let code = r#"
        const found = await tools.discover("create an animal");
        const made = await tools.zoo.animals.create({ body: { kind: "cat", name: "Tom" } });
        const errors = [];
        for (const call of [
            () => tools.zoo.animals.create({ name: "Tom" }),
            () => tools.zoo.animals.putNode({ id: "../x" }),
            () => tools.zoo.animals.addPhotos({ id: "1", ";size": "s", body: { caption: "c", photos: [new TextEncoder().encode("hi")] } }),
        ]) {
            try { await call(); errors.push(null); } catch (error) { errors.push({ message: error.message, status: error.status, retryable: error.retryable }); }
        }
        return { path: found.results[0].path, hint: found.results[0].hint, made, errors };
    "#;
    let answer = server.run(code).await;
    assert_eq!(answer["status"], "completed", "{answer}");
    let result = &answer["result"];
    assert_eq!(
        (&result["path"], &result["made"]["name"]),
        (&json!("zoo.animals.create"), &json!("Tom")),
        "{result}"
    );
    let errors = &result["errors"];
    let message = |at: usize| errors[at]["message"].as_str().unwrap_or_default().to_owned();
    assert!(message(0).contains("field `body` is missing"), "{errors}");
    assert!(message(1).contains("field `id` holds a segment `.` or `..`"), "{errors}");
    assert!(message(2).contains("answered 429") && message(2).contains("slow down"), "{errors}");
    assert_eq!((&errors[2]["status"], &errors[2]["retryable"]), (&json!(429), &json!(true)));
    let asked = service.asked();
    assert!(asked.iter().all(|asked| asked.header("authorization") == "Bearer tok-123456"));
    let photos = asked.iter().find(|asked| asked.target.contains("photos")).unwrap();
    assert!(photos.text().contains("\r\n\r\nhi\r\n"), "bytes arrive as they were: {photos:?}");
    server.stop().await;
}
