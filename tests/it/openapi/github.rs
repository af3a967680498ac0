//! The real description of GitHub's REST interface: read whole, and called against a server that
//! holds requests to it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use airlock::{
    catalog::Catalog,
    model::{Document, ToolsQuery},
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{
    call,
    service::{Asked, Service, answered},
    started, upstream,
};
use crate::support::{description, upstream::open};

/// Longest import in a build without optimisation, its index included; it takes about a second.
const IMPORT_MAX: Duration = Duration::from_secs(5);

fn all_paths(catalog: &Catalog) -> Vec<String> {
    let (mut paths, mut cursor) = (Vec::new(), None);
    loop {
        let query: ToolsQuery =
            serde_json::from_value(json!({"limit": 200, "cursor": cursor})).unwrap();
        let page = serde_json::to_value(catalog.tools(&query, &open).unwrap()).unwrap();
        paths.extend(
            page["results"]
                .as_array()
                .unwrap()
                .iter()
                .map(|found| found["path"].as_str().unwrap().to_owned()),
        );
        match page["nextCursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return paths,
        }
    }
}

/// Time of processors that this process took: unlike that of the clock it does not count what
/// others do on a busy machine.
fn spent() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

#[tokio::test]
async fn every_operation_of_github_has_a_name_of_its_own() {
    let Some(file) = description::github() else { return };
    let document: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
    let items = document["paths"].as_object().unwrap().values();
    let operations: usize =
        items.map(|item| methods.iter().filter(|method| item.get(method).is_some()).count()).sum();
    drop(document);
    let began = spent();
    let catalog = started(upstream("github", Document::File(file), None)).await;
    let took = spent() - began;
    eprintln!("{operations} operations in {took:?}");
    let status = catalog.status().remove(0);
    // One is at another origin, and how to reach it is told.
    let told = "operations that cannot be called here because they are at another origin: 1 \
        (`https://uploads.github.com`); for each of these, add an \
        upstream with the same `spec` and this address as its `server`";
    assert_eq!((status.tools, status.message.as_deref()), (operations, Some(told)));
    assert!(operations > 1_000 && took < IMPORT_MAX, "{operations} operations in {took:?}");
    let paths = all_paths(&catalog);
    assert_eq!(paths.iter().collect::<HashSet<_>>().len(), operations);
    let is_segment = |segment: &str| {
        segment.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && segment.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    for path in &paths {
        let segments: Vec<&str> = path.split('.').collect();
        assert!(
            segments.len() == 3 && segments.iter().all(|segment| is_segment(segment)),
            "{path}"
        );
    }
    for expected in [
        "github.issues.create",
        "github.pulls.list",
        "github.repos.getContent",
        "github.codeScanning.listAlertsForRepo",
    ] {
        assert!(paths.iter().any(|path| path == expected), "{expected}");
    }
    // None of their schemas is more work than there is time for: all are used.
    for path in &paths {
        let tool = catalog.resolve(path, &open).await.unwrap();
        let error = catalog.check(&tool, r#"{"no such field": 1}"#).await.expect_err(path);
        assert!(error.message.contains("there is no field `no such field`"), "{path}: {error}");
    }
    catalog.shutdown().await;
}

/// Holds requests to the description: route, parameters and body.
struct Judge {
    document: Value,
    faults: Mutex<Vec<String>>,
}

impl Judge {
    /// What is wrong with a request, if anything; and which operation it is.
    fn judge(&self, asked: &Asked) -> Result<String, String> {
        let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
        let given: Vec<&str> = path.split('/').collect();
        let fits = |template: &str| {
            let wanted: Vec<&str> = template.split('/').collect();
            wanted.len() == given.len()
                && wanted
                    .iter()
                    .zip(&given)
                    .all(|(wanted, given)| wanted.starts_with('{') || wanted == given)
        };
        let method = asked.method.to_lowercase();
        let paths = self.document["paths"].as_object().unwrap();
        let found =
            paths.iter().filter(|(template, item)| fits(template) && item.get(&method).is_some());
        // A literal path goes before one with variables.
        let (template, item) = found
            .min_by_key(|(template, _)| template.matches('{').count())
            .ok_or(format!("no route: {}", asked.line()))?;
        let operation = &item[&method];
        let id = operation["operationId"].as_str().unwrap().to_owned();
        let listed = operation["parameters"].as_array().into_iter().flatten();
        let parameters: Vec<&Value> = listed.map(|parameter| self.resolved(parameter)).collect();
        let check = |place: &str, name: &str, text: &str| {
            let parameter = parameters.iter().find(|one| one["in"] == place && one["name"] == name);
            let schema =
                &parameter.ok_or(format!("{id}: no {place} parameter `{name}`"))?["schema"];
            let plain = Value::from(text);
            let read: Value = serde_json::from_str(text).unwrap_or_else(|_| plain.clone());
            let ok = self.is_valid(schema, &plain) || self.is_valid(schema, &read);
            ok.then_some(()).ok_or(format!("{id}: `{name}` is {text:?}"))
        };
        for (wanted, given) in
            template.split('/').zip(&given).filter(|(wanted, _)| wanted.starts_with('{'))
        {
            let decoded = url::form_urlencoded::parse(format!("x={given}").as_bytes())
                .next()
                .unwrap()
                .1
                .into_owned();
            check("path", wanted.trim_matches(['{', '}']), &decoded)?;
        }
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            check("query", &name, &value)?;
        }
        let body = &operation["requestBody"];
        match (body["content"].get("application/json"), asked.body.is_empty()) {
            (Some(_), true) if body["required"] == true => return Err(format!("{id}: no body")),
            (Some(_), true) | (None, true) => {}
            (None, false) => return Err(format!("{id}: a body that is not wanted")),
            (Some(media), false) => {
                let value = serde_json::from_slice(&asked.body)
                    .map_err(|error| format!("{id}: {error}"))?;
                if asked.header("content-type") != "application/json"
                    || !self.is_valid(&media["schema"], &value)
                {
                    return Err(format!(
                        "{id}: body {value} of type {}",
                        asked.header("content-type")
                    ));
                }
            }
        }
        Ok(id)
    }

    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        value["$ref"].as_str().map_or(value, |reference| {
            self.document.pointer(reference.trim_start_matches('#')).unwrap()
        })
    }

    fn is_valid(&self, schema: &Value, value: &Value) -> bool {
        // Exclusive limits are flags in 3.0, as in draft 4.
        let mut whole = json!({"allOf": [schema], "components": {"schemas": {}}});
        whole["components"]["schemas"] = self.document["components"]["schemas"].clone();
        jsonschema::draft4::new(&whole).unwrap().is_valid(value)
    }
}

/// Calls, and the operations that they lead to.
fn calls() -> Vec<(&'static str, Value, &'static str)> {
    let repo = |more: Value| {
        let mut args = json!({"owner": "octo", "repo": "hello world"});
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        args
    };
    vec![
        (
            "github.issues.create",
            repo(json!({"body": {"title": "It breaks", "labels": ["bug"], "assignee": "me"}})),
            "issues/create",
        ),
        (
            "github.pulls.list",
            repo(json!({"state": "all", "per_page": 100, "page": 2, "head": "octo:fix&ref=x"})),
            "pulls/list",
        ),
        (
            "github.repos.getContent",
            repo(json!({"path": "docs/a b.md", "ref": "main"})),
            "repos/get-content",
        ),
        (
            "github.issues.setLabels",
            repo(json!({"issue_number": 7, "body": {"labels": ["bug"]}})),
            "issues/set-labels",
        ),
        (
            "github.search.repos",
            json!({"q": "tetris language:rust", "sort": "stars"}),
            "search/repos",
        ),
        ("github.repos.delete", repo(json!({})), "repos/delete"),
        (
            "github.gists.create",
            json!({"body": {
                "description": "d", "public": true, "files": {"a.md": {"content": "# a"}}
            }}),
            "gists/create",
        ),
    ]
}

#[tokio::test]
async fn calls_of_github_are_what_its_description_says() {
    let Some(file) = description::github() else { return };
    let document = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let judge = Arc::new(Judge { document, faults: Mutex::default() });
    let judging = judge.clone();
    let service = Service::start(move |asked: &Asked| match judging.judge(asked) {
        Ok(id) => answered(200, "application/json", json!({"operation": id}).to_string()),
        Err(fault) => {
            judging.faults.lock().push(fault.clone());
            answered(400, "text/plain", fault)
        }
    })
    .await;
    let catalog = started(upstream("github", Document::File(file), Some(service.url("/")))).await;
    for (path, args, id) in calls() {
        assert_eq!(
            call(&catalog, path, args).await,
            Ok(json!({"operation": id})),
            "{path}: {:?}",
            judge.faults.lock()
        );
    }
    // What the description forbids never gets there.
    service.asked();
    let tool = catalog.resolve("github.pulls.list", &open).await.unwrap();
    let error = catalog
        .check(&tool, r#"{"owner": "o", "repo": "r", "state": "shut", "perPage": 1}"#)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(r#"field `state` must be one of "open", "closed", "all""#)
            && error.contains("did you mean `per_page`?"),
        "{error}"
    );
    assert!(service.asked().is_empty());
    catalog.shutdown().await;
}
