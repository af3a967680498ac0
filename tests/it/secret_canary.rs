//! Credentials of every kind of upstream, whose servers say back whatever they got in every place
//! that there is, and programs that want them: searched for in everything that a run leaves and
//! shows, and in the memory of the process that ran it.

mod echo;

use std::{collections::BTreeMap, os::unix::fs::FileExt as _, path::Path, process::Stdio};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use serde_json::json;

use self::echo::Echo;
use crate::{
    cli::say,
    support::server::{TestServer, airlock, eventually, processes_of},
};

/// Characters of a beginning that count as found: what an upstream is left to say of a secret that
/// it cut must be less.
const PIECE: usize = 24;
/// What the programs hold, so that a search that finds nothing is known to have looked.
const MARKER: &str = "marker-5f1c9be2d7";

/// What the upstreams are given, by the name of its variable.
struct Canaries(BTreeMap<&'static str, String>);

impl Canaries {
    /// Long, random, and with characters that are written otherwise in addresses.
    fn new() -> Self {
        let names = ["CHILD", "STORED", "FILED", "QUERIED", "BASIC", "KEYED", "HEADER"];
        Self(names.map(|name| (name, format!("{}/+z", random(36)))).into())
    }

    fn of(&self, name: &str) -> &str {
        &self.0[name]
    }

    /// Those that the configuration takes from the environment.
    fn environment(&self) -> Vec<(&str, &str)> {
        let referred = self.0.iter().filter(|(name, _)| !["STORED", "FILED"].contains(*name));
        referred.map(|(name, value)| (*name, value.as_str())).collect()
    }

    /// What a text may hold of them: whole or the beginning, as it is and in usual encodings.
    fn forms(&self) -> Vec<(String, String)> {
        let basic = STANDARD.encode(format!("me:{}", self.of("BASIC")));
        let all = self
            .0
            .iter()
            .map(|(name, value)| (*name, value.clone()))
            .chain([("BASIC, sent", basic)]);
        let forms = all.flat_map(|(name, value)| {
            let head = &value[..PIECE];
            let mut in_base64 = Vec::new();
            for before in 0..3 {
                let bytes = [&[0u8; 2][..before], value.as_bytes()].concat();
                // From the first character that holds nothing of what stands before.
                in_base64.extend(
                    [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)]
                        .map(|text| text[4..4 + PIECE].to_owned()),
                );
            }
            let url: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
            let hex: String = head.bytes().map(|byte| format!("{byte:02x}")).collect();
            let plain = [head.to_owned(), url[..PIECE].to_owned(), hex.to_uppercase(), hex];
            plain.into_iter().chain(in_base64).map(move |form| (name.to_owned(), form))
        });
        forms.collect()
    }
}

fn random(bytes: usize) -> String {
    let random: Vec<u8> = (0..bytes.div_ceil(16))
        .flat_map(|_| uuid::Uuid::new_v4().into_bytes())
        .take(bytes)
        .collect();
    STANDARD.encode(random)
}

/// Finds any of the forms in one pass, in whatever case.
struct Search {
    any: regex::bytes::Regex,
    forms: Vec<(String, String)>,
}

impl Search {
    fn new(canaries: &Canaries) -> Self {
        let forms = canaries.forms();
        let pattern =
            forms.iter().map(|(_, form)| regex::escape(form)).collect::<Vec<_>>().join("|");
        let any = regex::bytes::RegexBuilder::new(&pattern)
            .case_insensitive(true)
            .unicode(false)
            .build()
            .unwrap();
        Self { any, forms }
    }

    /// Fails if any of the forms is anywhere in it.
    fn clean(&self, place: &str, bytes: &[u8]) {
        let Some(found) = self.any.find(bytes) else { return };
        let form = String::from_utf8_lossy(found.as_bytes()).into_owned();
        let name = self
            .forms
            .iter()
            .find(|(_, known)| known.eq_ignore_ascii_case(&form))
            .map_or("", |(name, _)| name);
        let around =
            &bytes[found.start().saturating_sub(200)..(found.end() + 100).min(bytes.len())];
        panic!(
            "the credential {name} is in {place} as {form:?}: … {} …",
            String::from_utf8_lossy(around)
        );
    }
}

/// The configuration: one upstream for each kind and each way to identify oneself.
fn config(echo: &Echo, folder: &Path, file: &Path) -> String {
    let at = echo.address();
    let child = format!(
        "echo \"I was given $CANARY\" >&2; exec 3<>/dev/tcp/127.0.0.1/{} 4<&0; echo \"$CANARY\" \
        >&3; cat <&4 >&3 & cat <&3; kill $!",
        echo.lines().port()
    );
    let openapi = |name: &str, auth: &str| {
        format!(
            "[upstreams.{name}]\nkind = \"openapi\"\nspec \
            = \"http://{at}/{name}/spec.json\"\nbase_url = \"http://{at}/{name}\"\nallow_private \
            = true\nauth = {auth}\n"
        )
    };
    let parts = [
        format!("[secrets]\nkey_file = {:?}\n", folder.join("secrets.key").display().to_string()),
        "[policy]\nprofile = \"open\"\nfiles = [\"policy.yaml\"]\n".to_owned(),
        format!(
            "[upstreams.child]\ncommand = \"bash\"\nargs = [\"-c\", {child:?}]\nenv = {{ CANARY = \
            {{ env = \"CHILD\" }} }}\n"
        ),
        format!(
            "[upstreams.web]\nurl = \"http://{at}/mcp\"\nallow_private = true\nauth = {{ bearer = \
            {{ secret = \"STORED\" }} }}\n"
        ),
        openapi("filed", &format!("{{ bearer = {{ file = {:?} }} }}", file.display().to_string())),
        openapi("queried", "{ api_key = { query = \"key\", value = { env = \"QUERIED\" } } }"),
        openapi("basic", "{ basic = { user = \"me\", password = { env = \"BASIC\" } } }"),
        format!(
            "[upstreams.graph]\nkind = \"graphql\"\nurl = \"http://{at}/graphql\"\nspec \
            = \"http://{at}/schema.graphql\"\nallow_private = true\n\
             auth = {{ api_key = {{ header = \"X-Key\", value = {{ env = \"KEYED\" }} }} \
            }}\nheaders = {{ X-More = {{ env = \"HEADER\" }} }}\n"
        ),
    ];
    parts.concat()
}

const POLICY: &str = r#"
version: "1"
default: allow
tools:
  web.asked:
    rules:
      - { name: needs-a-word, action: ask, message: a person decides }
"#;

/// Calls every tool in every way, shows and keeps what came, and asks the catalog too.
fn program(end: &str) -> String {
    format!(
        r#"
        const marker = "{MARKER}";
        const calls = [tools.child.echo, tools.web.echo, tools.filed.all.echo, tools.queried.all.echo, tools.basic.all.echo, tools.graph.query.echo];
        const seen = [marker];
        for (const call of calls) for (const how of {ways}) {{
            try {{ const value = await call({{ how, ...(call === calls[2] ? {{ $response: true }} : {{}}) }}); console.log(how, value); seen.push([how, value]); }}
            catch (error) {{ console.error(error); seen.push([how, error.name, error.message, error.stack, {{ ...error }}]); }}
        }}
        for (const name of ["child", "web", "filed", "queried", "basic", "graph"]) {{
            seen.push(await tools.discover({{ query: name + " echo", includeSchemas: true, compact: false, limit: 50 }}));
        }}
        for (const path of ["child.echo", "web.echo", "filed.all.echo", "graph.query.echo"]) seen.push(await tools.describe(path));
        seen.push(await tools.catalog.tools({{ limit: 200 }}), await tools.web.nothing().catch((error) => error.message));
        {end}
        "#,
        ways = json!(echo::WAYS)
    )
}

/// Everything that can be asked of the server.
async fn told(server: &TestServer, task: &str) -> Vec<(String, String)> {
    let mut told = Vec::new();
    for path in [
        format!("/v1/tasks/{task}"),
        format!("/v1/tasks/{task}/events?limit=1000"),
        "/v1/tasks".to_owned(),
        "/v1/tools?limit=200".to_owned(),
        "/v1/approvals".to_owned(),
        "/healthz".to_owned(),
    ] {
        told.push((path.clone(), server.owner(reqwest::Method::GET, &path).await.1.to_string()));
    }
    told.push((
        "task_get".to_owned(),
        server.call("task_get", json!({ "taskId": task })).await.to_string(),
    ));
    told.push(("task_list".to_owned(), server.call("task_list", json!({})).await.to_string()));
    told.push(("tools/list".to_owned(), server.request("tools/list", json!({})).await.to_string()));
    let metrics = server
        .stranger()
        .get(format!("{}/metrics", server.url))
        .bearer_auth(&server.token)
        .send()
        .await
        .unwrap();
    told.push(("/metrics".to_owned(), metrics.text().await.unwrap()));
    told
}

/// Every file below a folder, with the log and the database's side files.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => {
                found.push((path.display().to_string(), std::fs::read(&path).unwrap_or_default()))
            }
        }
    }
    found
}

/// What the workers of the server have in their memory; none where they may not be looked into.
fn memory(server: &TestServer) -> Option<Vec<u8>> {
    let command =
        |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut bytes = Vec::new();
    for pid in
        processes_of(server.pid()).into_iter().filter(|pid| command(pid).contains("__worker"))
    {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
        let memory = std::fs::File::open(format!("/proc/{pid}/mem")).ok()?;
        for line in maps
            .lines()
            .filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw")))
        {
            let (from, to) = line.split(' ').next()?.split_once('-')?;
            let (from, to) =
                (u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?);
            let mut at = from;
            let mut piece = vec![0; 1 << 20];
            while at < to {
                let wanted = piece.len().min(usize::try_from(to - at).ok()?);
                // Reserved and never touched, it cannot be read.
                let Ok(read @ 1..) = memory.read_at(&mut piece[..wanted], at) else { break };
                bytes.extend_from_slice(&piece[..read]);
                at += read as u64;
            }
        }
    }
    (!bytes.is_empty()).then_some(bytes)
}

async fn started(
    canaries: &Canaries,
    echo: &Echo,
    folder: tempfile::TempDir,
    keys: &Path,
) -> TestServer {
    let file = keys.join("token");
    std::fs::write(&file, format!("{}\n", canaries.of("FILED"))).unwrap();
    std::fs::write(folder.path().join("policy.yaml"), POLICY).unwrap();
    let more = config(echo, keys, &file);
    // The store of secrets is beside the database that the configuration names.
    let database = folder.path().join("airlock.db");
    let before = keys.join("airlock.toml");
    std::fs::write(
        &before,
        format!(
            "[store]\nurl = \"sqlite://{}\"\n[secrets]\nkey_file = {:?}\n",
            database.display(),
            keys.join("secrets.key")
        ),
    )
    .unwrap();
    let set =
        say(&before, &["secrets", "set", "STORED"], &format!("{}\n", canaries.of("STORED"))).await;
    assert_eq!(set.code, Some(0), "{}", set.beside);
    let mut environment = canaries.environment();
    environment.extend([("AIRLOCK_LOG", "trace"), ("RUST_LOG", "trace")]);
    TestServer::with_environment(folder, &more, &environment).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_is_nowhere_but_where_it_belongs_whatever_its_upstream_says() {
    let canaries = Canaries::new();
    let echo = Echo::start().await;
    let keys = tempfile::TempDir::new().unwrap();
    let server = started(&canaries, &echo, tempfile::TempDir::new().unwrap(), keys.path()).await;
    let search = Search::new(&canaries);
    let returned = server.run(&program("return seen")).await;
    assert_eq!(returned["status"], "completed", "{returned}");
    let shown = serde_json::to_string(&returned).unwrap();
    for (name, value) in &canaries.0 {
        assert!(
            echo.heard(value),
            "{name} was sent to its upstream: {}\n{}",
            returned,
            server.log()
        );
    }
    assert!(shown.matches("[redacted]").count() > 60, "it was said back: {shown}");
    search.clean("a result", shown.as_bytes());
    let thrown = server.run(&program("throw new Error(JSON.stringify(seen))")).await;
    assert_eq!(thrown["status"], "failed", "{thrown}");
    search.clean("an error", thrown.to_string().as_bytes());

    asked(&server, &canaries, &search).await;
    let task = returned["taskId"].as_str().unwrap();
    for (place, text) in told(&server, task)
        .await
        .into_iter()
        .chain(told(&server, thrown["taskId"].as_str().unwrap()).await)
    {
        search.clean(&place, text.as_bytes());
    }
    remembered(&server, &search).await;
    let folder = server.stop().await;
    let files = files(folder.path());
    let has = |name: &str, text: &str| {
        files.iter().any(|(path, bytes)| {
            path.contains(name) && String::from_utf8_lossy(bytes).contains(text)
        })
    };
    assert!(has("airlock.db", MARKER), "the record is searched");
    assert!(
        has("log.txt", "TRACE") && has("log.txt", "I was given [redacted]"),
        "the log tells all it can"
    );
    for (path, bytes) in &files {
        search.clean(path, bytes);
    }
}

/// A call that waits for a person shows none either, in its text and on its page.
async fn asked(server: &TestServer, canaries: &Canaries, search: &Search) {
    let code = "return await tools.web.asked({ how: 'plain' })";
    let task = server.execute(json!({ "code": code, "waitForResult": false })).await;
    let row = eventually("it waits", async || {
        server.owner(reqwest::Method::GET, "/v1/approvals?status=pending").await.1["approvals"]
            .get(0)
            .cloned()
    })
    .await;
    let id = row["id"].as_str().unwrap();
    let whole = server.owner(reqwest::Method::GET, &format!("/v1/approvals/{id}")).await.1;
    search.clean("an approval", format!("{row}{whole}").as_bytes());
    let mut open = airlock(&server.config_file());
    open.envs(canaries.environment()).arg("open").stderr(Stdio::null());
    let link = open.output().await.unwrap();
    let browser = server.stranger();
    let entered = browser.get(String::from_utf8(link.stdout).unwrap().trim()).send().await.unwrap();
    let cookie =
        entered.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    for path in ["/approvals".to_owned(), format!("/approvals/{id}")] {
        let page = browser
            .get(format!("{}{path}", server.url))
            .header("cookie", &cookie)
            .send()
            .await
            .unwrap();
        let text = page.text().await.unwrap();
        assert!(text.contains("web.asked"), "{text}");
        search.clean(&path, text.as_bytes());
    }
    let (status, _) = server.owner_post(&format!("/v1/approvals/{id}/approve"), json!({})).await;
    assert_eq!(status, 200);
    let end = server.call("task_get", json!({ "taskId": task["taskId"], "waitMs": 20000 })).await;
    assert_eq!(end["structuredContent"]["status"], "completed", "{end}");
    search.clean("what was approved", end.to_string().as_bytes());
}

/// While a program holds all that it could get, its process does not hold a credential.
async fn remembered(server: &TestServer, search: &Search) {
    let code = program(
        "console.log('all seen'); globalThis.kept = seen; await new Promise((done) => \
        setTimeout(done, 120000));",
    );
    let task =
        server.execute(json!({ "code": code, "waitForResult": false })).await["taskId"].clone();
    let path = format!("/v1/tasks/{}/events?limit=1000", task.as_str().unwrap());
    eventually("it holds everything", async || {
        let (_, events) = server.owner(reqwest::Method::GET, &path).await;
        let calls = |kind: &str| {
            events["events"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|event| event["type"] == kind)
                .count()
        };
        let ended = calls("tool.call.completed") + calls("tool.call.failed");
        (ended >= 6 * echo::WAYS.len() + 12).then_some(())
    })
    .await;
    match memory(server) {
        None => eprintln!(
            "skipped: the memory of workers cannot be read here, which takes root and no sandbox \
            around the tests"
        ),
        Some(bytes) => {
            eprintln!("{} MiB of memory are searched", bytes.len() >> 20);
            assert!(String::from_utf8_lossy(&bytes).contains(MARKER), "it is that of the program");
            search.clean("the memory of a worker", &bytes);
        }
    }
    server.call("task_cancel", json!({ "taskId": task })).await;
}
