//! Tests of the configuration, with maps and files in a temporary folder.

mod credentials;
mod operations;

use std::{collections::BTreeMap, fs, path::Path};

use super::*;

mod files;

struct Folder(tempfile::TempDir);

impl Folder {
    fn with(file: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::write(folder.0.path().join("airlock.toml"), file).unwrap();
        folder
    }

    fn load(&self, variables: &[(&str, &str)], flags: &[Flag]) -> Result<Config, String> {
        let mut environment: BTreeMap<String, String> =
            variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        environment
            .entry("HOME".into())
            .or_insert_with(|| self.0.path().join("home").display().to_string());
        let sources = Sources {
            file: None,
            flags,
            environment: &environment,
            folder: self.0.path(),
            search_folder: true,
        };
        // The folder differs from run to run; the messages under test do not.
        Config::load(&sources).map_err(|error| {
            error.to_string().replace(&format!("{}/", self.0.path().display()), "")
        })
    }
}

fn problems_of(file: &str) -> String {
    Folder::with(file).load(&[], &[]).expect_err("the configuration is not valid")
}

#[test]
fn without_a_file_it_listens_on_loopback_and_keeps_its_record_in_the_users_data_folder() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let config = folder.load(&[("HOME", "/home/me")], &[]).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:7411");
    assert_eq!(config.store.path, Path::new("/home/me/.local/share/airlock/airlock.db"));
    assert_eq!(config.file, None);
    assert!(config.upstreams.is_empty());
    assert_eq!(
        (config.limits.timeout_ms, config.limits.heap_mb, config.limits.requests_per_minute),
        (300_000, 64, 100)
    );
    let config = folder.load(&[("HOME", "/home/me"), ("XDG_DATA_HOME", "/data")], &[]).unwrap();
    assert_eq!(config.store.path, Path::new("/data/airlock/airlock.db"));
}

#[test]
fn the_file_yields_to_the_environment_and_that_to_a_flag() {
    let folder = Folder::with(
        "[server]\nlisten = \"127.0.0.1:1\"\n[limits]\nheap_mb = 32\ntimeout_ms = 5\n",
    );
    let flag = Flag { name: "--listen", key: "server.listen", value: "127.0.0.1:3".into() };
    let variables = [("AIRLOCK_SERVER_LISTEN", "127.0.0.1:2"), ("AIRLOCK_LIMITS_HEAP_MB", "16")];
    let config = folder.load(&variables, &[flag]).unwrap();
    assert_eq!(config.server.listen.port(), 3);
    assert_eq!(
        (config.limits.heap_mb, config.limits.timeout_ms, config.limits.cpu_ms),
        (16, 5, 30_000)
    );
    let origin = |key: &str| {
        config.settings.iter().find(|setting| setting.key == key).unwrap().origin.clone()
    };
    assert_eq!(origin("server.listen"), "flag --listen");
    assert_eq!(origin("limits.heap_mb"), "environment variable AIRLOCK_LIMITS_HEAP_MB");
    assert!(origin("limits.timeout_ms").ends_with("airlock.toml:5"));
    assert_eq!(origin("limits.cpu_ms"), "default");
}

#[test]
fn all_problems_are_reported_at_once_with_their_origins_and_the_allowed_values() {
    let file = "[server]\nlisten = \"0.0.0.0:80\"\nport = 3\n[limits]\nheap_mbs = 64\ntimeout_ms \
        = 0\ncpu_ms = \"long\"\n\n[sandboxes]\nx = 1\n[sandbox]\nisolation = \"vm\"\n";
    let error = Folder::with(file)
        .load(&[("AIRLOCK_LIMITS_QUEUE", "many"), ("AIRLOCK_LIMITS_QUEUES", "3")], &[])
        .unwrap_err();
    insta::assert_snapshot!(error, @r#"
    the configuration has 9 problems
      airlock.toml:2: `server.listen` is "0.0.0.0:80", which is not a loopback address; others need authentication, which this version does not have; allowed: an address of 127.0.0.0/8 or [::1]; use an SSH tunnel to connect from another machine
      airlock.toml:3: unknown key `server.port`; the known keys are `listen`, `allowed_hosts`, `allowed_origins`
      airlock.toml:5: unknown key `limits.heap_mbs`; did you mean `limits.heap_mb`?
      airlock.toml:6: `limits.timeout_ms` is 0; allowed: an integer from 1 to 600000
      airlock.toml:7: `limits.cpu_ms` is "long"; allowed: an integer from 10 to 600000
      airlock.toml:9: unknown key `sandboxes`; did you mean `sandbox`?
      airlock.toml:12: `sandbox.isolation` is "vm"; allowed: "tenant" or "task"
      environment variable AIRLOCK_LIMITS_QUEUE: `limits.queue` is "many"; allowed: an integer from 1 to 100000
      environment variable AIRLOCK_LIMITS_QUEUES: is not a configuration key; did you mean `AIRLOCK_LIMITS_QUEUE`?
    "#);
}

#[test]
fn a_file_that_is_not_toml_is_refused_with_the_line() {
    insta::assert_snapshot!(problems_of("[limits]\nheap_mb = = 3\n"), @r#"
    the configuration has a problem
      airlock.toml:2: is not valid TOML: extra `=`, expected nothing
    "#);
}

#[test]
fn an_address_is_numeric_or_localhost() {
    insta::assert_snapshot!(problems_of("[server]\nlisten = \"7411\"\nallowed_origins = \
        [\"example.com\"]\n"), @r#"
    the configuration has 2 problems
      airlock.toml:2: `server.listen` is "7411"; allowed: ADDRESS:PORT, such as "127.0.0.1:7411"
      airlock.toml:3: `server.allowed_origins` contains "example.com"; allowed: origins as clients send them, such as "https://name:port", "app://name", "file://" or "null"
    "#);
    let config = Folder::with("[server]\nlisten = \"localhost:0\"\n").load(&[], &[]).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:0");
}

#[test]
fn a_postgres_database_is_reported_as_not_supported() {
    let file = "[store]\nurl = \"postgres://db/airlock\"\n";
    insta::assert_snapshot!(problems_of(file), @r#"
    the configuration has a problem
      airlock.toml:2: `store.url` is a Postgres database, which this version does not support; allowed: "sqlite://PATH"
    "#);
}

#[test]
fn an_upstream_is_a_program_or_a_url_and_has_only_keys_of_its_kind() {
    let file = "[upstreams.a]\n[upstreams.b]\ncommand = \"x\"\nurl \
        = \"http://h/\"\n[upstreams.describe]\ncommand = \"x\"\n\
                [upstreams.\"c d\"]\ncommand = \"x\"\n[upstreams.e]\nurl \
        = \"ftp://h/\"\n[upstreams.f]\nurl = \"https://me:pw@h/\"\n\
                [upstreams.g]\nurl = \"https://h/\"\nargs = [\"x\"]\n[upstreams.i]\ncommand \
        = \"x\"\nauth = { bearer = \"t\" }\n";
    insta::assert_snapshot!(problems_of(file), @r#"
    the configuration has 8 problems
      airlock.toml:1: `upstreams.a` has neither `command` (a program to start) nor `url` (a server to connect to)
      airlock.toml:2: `upstreams.b` has both `command` and `url`; keep one of them
      airlock.toml:5: `describe` is not a valid name of an upstream, because `tools.describe` is a built-in function; choose another name
      airlock.toml:7: `c d` is not a valid name of an upstream; allowed: a letter or `_`, then letters, digits, `_` or `-`, at most 64 characters
      airlock.toml:10: `upstreams.e.url` is not a URL; allowed: "https://HOST/PATH" or "http://HOST/PATH"
      airlock.toml:12: `upstreams.f.url` contains a user or a password; set them in `auth` or `headers` instead
      airlock.toml:15: `upstreams.g.args` needs an upstream with `command`; this one has `url`
      airlock.toml:18: `upstreams.i.auth` needs an upstream with `url`; for one with `command` use `env`
    "#);
}

#[test]
fn secrets_come_from_the_environment_and_are_shown_nowhere() {
    let folder = Folder::with(
        "[upstreams.linear]\nurl = \"https://mcp.linear.app/mcp?key=hunter2\"\nauth = { bearer = \
        { env = \"LINEAR_TOKEN\" } }\nheaders = { X-Team = \"hunter2\" }\n\
         [upstreams.files]\ncommand = \"files\"\nenv = { KEY = \"hunter2\", OTHER = { env \
        = \"LINEAR_TOKEN\" } }\n",
    );
    let config = folder.load(&[("LINEAR_TOKEN", "hunter2")], &[]).unwrap();
    let access = config.upstreams[1].access.as_ref().expect("a URL was given");
    assert_eq!(access.credential, Credential::Bearer(SecretSource::Value("hunter2".into())));
    let Transport::Stdio { env, env_secret, .. } = &config.upstreams[0].transport else {
        panic!("a program was given")
    };
    let hunter = SecretSource::Value("hunter2".into());
    assert_eq!((env["KEY"].expose(), &env_secret["OTHER"], env.len()), ("hunter2", &hunter, 1));
    let shown =
        format!("{:?} {}", config.settings, serde_json::to_string(&config.settings).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(!format!("{:?}", config.upstreams[0]).contains("hunter2"));

    let without = folder.load(&[], &[]).unwrap();
    let unset: Vec<String> = without
        .upstreams
        .iter()
        .flat_map(|upstream| upstream.unset.iter().map(move |unset| (upstream, unset)))
        .map(|(upstream, unset)| {
            let UnsetVariable { key, variable, origin } = unset;
            let place = origin.to_string();
            let (_, place) = place.rsplit_once('/').unwrap_or(("", &place));
            format!("{} {key} {variable} {place}", upstream.name)
        })
        .collect();
    assert_eq!(
        unset,
        ["files env.OTHER LINEAR_TOKEN airlock.toml:7", "linear auth LINEAR_TOKEN airlock.toml:3",]
    );
}

#[test]
fn an_invalid_secret_is_not_repeated() {
    let error = problems_of(
        "[upstreams.a]\ncommand = \"x\"\nenv = { KEY = { envv = \"hunter2\" } }\nheaders = \
        [\"hunter2\"]\n",
    );
    assert!(!error.contains("hunter2"), "{error}");
    assert!(error.contains("`upstreams.a.env.KEY`") && error.contains("airlock.toml:3"), "{error}");
}

#[test]
fn an_upstream_can_be_set_from_the_environment() {
    let folder = Folder::with("[upstreams.my-files]\ncommand = \"old\"\n");
    let variables = [
        ("AIRLOCK_UPSTREAMS_MY_FILES_COMMAND", "new"),
        ("AIRLOCK_UPSTREAMS_MY_FILES_ARGS", "a, b"),
        ("AIRLOCK_UPSTREAMS_OTHER_URL", "http://127.0.0.1:1/mcp"),
        ("AIRLOCK_UPSTREAMS_OTHER_CALL_TIMEOUT_MS", "7"),
        ("AIRLOCK_UPSTREAMS_OTHER_HEADERS", "{ X-Team = \"a\" }"),
    ];
    let config = folder.load(&variables, &[]).unwrap();
    let names: Vec<_> = config
        .upstreams
        .iter()
        .map(|upstream| (upstream.name.as_str(), upstream.call_timeout_ms))
        .collect();
    assert_eq!(names, [("my-files", 60_000), ("other", 7)]);
    let Transport::Stdio { command, args, .. } = &config.upstreams[0].transport else {
        panic!("a program was given")
    };
    assert_eq!(
        (command.as_str(), args.as_slice()),
        ("new", ["a".to_string(), "b".to_string()].as_slice())
    );
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let folder = Folder::with(
        "[sandbox]\ndeno = \"/opt/deno\"\n[limits]\nheap_mb = 16\n[server]\nallowed_hosts = \
        [\"a\"]\n",
    );
    let names = [
        "SANDBOX_DENO",
        "SANDBOX_RUNTIME",
        "SANDBOX_OPTIMIZE",
        "LIMITS_HEAP_MB",
        "STORE_URL",
        "SERVER_ALLOWED_HOSTS",
    ];
    let names: Vec<_> = names.iter().map(|name| format!("AIRLOCK_{name}")).collect();
    let config = folder
        .load(&names.iter().map(|name| (name.as_str(), "")).collect::<Vec<_>>(), &[])
        .unwrap();
    assert_eq!((config.sandbox.deno, config.limits.heap_mb), (Some("/opt/deno".into()), 16));
    assert_eq!(config.sandbox.runtime, None);
    assert!(config.server.allowed_hosts.is_empty(), "an empty list");
    let error = folder.load(&[("AIRLOCK_LIMITS_HEAP", "")], &[]).unwrap_err();
    assert!(error.contains("AIRLOCK_LIMITS_HEAP"), "{error}");
}

#[test]
fn variables_that_kubernetes_sets_for_a_service_of_our_name_are_left_alone() {
    let folder = Folder::with("");
    let variables = [
        ("AIRLOCK_PORT", "tcp://10.0.0.1:80"),
        ("AIRLOCK_SERVICE_HOST", "10.0.0.1"),
        ("AIRLOCK_PORT_80_TCP", "x"),
    ];
    folder.load(&variables, &[]).unwrap();
}

#[test]
fn a_relative_database_is_relative_to_the_folder_of_its_file() {
    let folder = Folder::with("");
    fs::create_dir(folder.0.path().join("etc")).unwrap();
    let file = folder.0.path().join("etc/airlock.toml");
    fs::write(&file, "[store]\nurl = \"sqlite://data/a.db\"\n").unwrap();
    let environment = BTreeMap::new();
    let mut sources = Sources {
        file: Some(&file),
        flags: &[],
        environment: &environment,
        folder: folder.0.path(),
        search_folder: true,
    };
    assert_eq!(Config::load(&sources).unwrap().store.path, folder.0.path().join("etc/data/a.db"));
    let environment =
        BTreeMap::from([("AIRLOCK_STORE_URL".to_string(), "sqlite://b.db".to_string())]);
    sources.environment = &environment;
    assert_eq!(Config::load(&sources).unwrap().store.path, folder.0.path().join("b.db"));
}

#[test]
fn state_files_are_beside_the_database_or_in_a_folder_of_their_own() {
    let folder = Folder::with("");
    let files = |config: &Config| {
        [config.store.instance_file(), config.store.tool_cache(), config.secrets.file.clone()]
    };
    let url = ("AIRLOCK_STORE_URL", "sqlite:///data/a.db");
    let home = ("HOME", "/home/me");
    let names = ["a.db.instance.json", "a.db.catalog", "a.db.secrets"];
    let config = folder.load(&[url, home], &[]).unwrap();
    assert_eq!(files(&config), names.map(|name| Path::new("/data").join(name)));
    let config = folder.load(&[url, home, ("AIRLOCK_STORE_STATE_DIR", "/state")], &[]).unwrap();
    let apart = |name: &str| name.replace("a.db", "a.db.9d7df3c04174");
    assert_eq!(files(&config), names.map(|name| Path::new("/state").join(apart(name))));
    // Another database of that name has files of its own.
    let other = ("AIRLOCK_STORE_URL", "sqlite:///other/a.db");
    let other = folder.load(&[other, home, ("AIRLOCK_STORE_STATE_DIR", "/state")], &[]).unwrap();
    assert!(files(&other).iter().zip(files(&config)).all(|(one, two)| *one != two));
    assert_eq!(config.store.path, Path::new("/data/a.db"));
}

#[test]
fn a_requested_file_must_exist_and_a_foreign_folder_is_not_searched() {
    let folder = Folder::with("[limits]\nheap_mb = 32\n");
    let environment = BTreeMap::from([("HOME".to_string(), "/nowhere".to_string())]);
    let missing = folder.0.path().join("missing.toml");
    let mut sources = Sources {
        file: Some(&missing),
        flags: &[],
        environment: &environment,
        folder: folder.0.path(),
        search_folder: true,
    };
    assert!(
        Config::load(&sources).unwrap_err().to_string().contains("missing.toml: cannot be read")
    );
    sources.file = None;
    assert_eq!(Config::load(&sources).unwrap().limits.heap_mb, 32);
    sources.search_folder = false;
    assert_eq!(Config::load(&sources).unwrap().limits.heap_mb, 64);
}

#[test]
fn every_range_holds_at_both_ends() {
    let shape = Shape::new();
    for section in ["limits", "sandbox"] {
        let keys = shape.schema()["properties"][section]["properties"].as_object().unwrap();
        for (key, schema) in keys {
            let (Some(least), Some(most)) =
                (schema["minimum"].as_i64(), schema["maximum"].as_i64())
            else {
                assert!(schema["type"] != "integer", "{section}.{key} has no range");
                continue;
            };
            let load = |value: i64| {
                Folder::with(&format!("[{section}]\n{key} = {value}\n")).load(&[], &[])
            };
            assert!(load(least).is_ok() && load(most).is_ok(), "{section}.{key}");
            let error = format!("{}{}", load(least - 1).unwrap_err(), load(most + 1).unwrap_err());
            assert!(
                error.contains(&format!("allowed: an integer from {least} to {most}")),
                "{section}.{key}: {error}"
            );
        }
    }
}

#[test]
fn every_key_has_a_description() {
    fn walk(node: &Value, path: &str) {
        for (key, inner) in node["properties"].as_object().into_iter().flatten() {
            assert!(
                inner["description"].as_str().is_some_and(|text| text.len() > 8),
                "{path}.{key} has no description"
            );
            walk(inner, &format!("{path}.{key}"));
            walk(&inner["additionalProperties"], &format!("{path}.{key}.*"));
        }
    }
    walk(Shape::new().schema(), "");
}

#[test]
fn an_account_is_an_upstream_of_its_own_with_the_same_service() {
    let folder = Folder::with(
        "[upstreams.github]\nkind = \"openapi\"\nspec = \"github.json\"\nheaders = { X-Team \
        = \"a\", Accept = \"x\" }\ntrusted = true\n\
         [upstreams.github.accounts.work]\nauth = { bearer = { secret = \"WORK\" } }\nheaders = { \
        x-team = \"b\" }\n",
    );
    let config = folder.load(&[], &[]).unwrap();
    let names: Vec<_> = config
        .upstreams
        .iter()
        .map(|upstream| (upstream.name.as_str(), upstream.trusted))
        .collect();
    assert_eq!(names, [("github", true), ("github-work", true)]);
    let Transport::OpenApi { spec, .. } = &config.upstreams[1].transport else {
        panic!("it is of the same kind")
    };
    let access = config.upstreams[1].access.as_ref().expect("it has a URL");
    assert!(matches!(spec, Document::File(path) if *path == folder.0.path().join("github.json")));
    assert_eq!(access.credential, Credential::Bearer(SecretSource::Stored("WORK".into())));
    let headers: Vec<_> =
        access.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(headers, [("Accept", "x"), ("x-team", "b")]);
    for (file, expected) in [
        (
            "[upstreams.a]\ncommand = \"x\"\n[upstreams.a.accounts.b]\nauth = { bearer = { secret \
            = \"X\" } }\n",
            "pass the account of a program in `env`",
        ),
        (
            "[upstreams.a]\nurl = \"https://h/\"\n[upstreams.a.accounts.b]\n",
            "so it is not another account",
        ),
        (
            "[upstreams.a]\nurl = \"https://h/\"\n[upstreams.a.accounts.\"b c\"]\nauth = { bearer \
            = { secret = \"X\" } }\n",
            "is not a valid name of an account",
        ),
        (
            "[upstreams.a-b]\ncommand = \"x\"\n[upstreams.a]\nurl \
            = \"https://h/\"\n[upstreams.a.accounts.b]\nauth = { bearer = { secret = \"X\" } }\n",
            "rename one of them",
        ),
    ] {
        let error = problems_of(file);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn each_kind_of_upstream_has_its_own_keys() {
    let file = "[upstreams.a]\nkind = \"openapi\"\nurl = \"https://h/\"\n[upstreams.b]\nkind \
        = \"graphql\"\nspec = \"s.graphql\"\n\
                [upstreams.c]\nkind = \"mcp\"\nurl = \"https://h/\"\nspec \
        = \"x\"\n[upstreams.d]\nkind = \"graphql\"\nurl = \"https://h/\"\nbase_url \
        = \"https://h/\"\n\
                [upstreams.e]\nkind = \"openapi\"\nspec = \"x\"\ncommand \
        = \"x\"\n[upstreams.f]\ncommand = \"x\"\nallow_private = true\n";
    insta::assert_snapshot!(problems_of(file), @r#"
    the configuration has 7 problems
      airlock.toml:1: `upstreams.a` is of kind "openapi" and needs `spec`, the file or URL of its OpenAPI document
      airlock.toml:3: `upstreams.a.url` is not a key of an upstream of kind "openapi"; set the URL of calls with `base_url`
      airlock.toml:4: `upstreams.b` is of kind "graphql" and needs `url`, the URL of its endpoint
      airlock.toml:10: `upstreams.c.spec` is not a key of an upstream of kind "mcp"; remove it, or change `kind`
      airlock.toml:14: `upstreams.d.base_url` is not a key of an upstream of kind "graphql"; its endpoint is `url`
      airlock.toml:18: `upstreams.e.command` is a key of an upstream of kind "mcp"; remove it, or change `kind`
      airlock.toml:21: `upstreams.f.allow_private` needs an upstream with `url`; Airlock does not restrict the connections of a program
    "#);
}

#[test]
fn a_server_of_an_openapi_document_is_chosen_for_openapi_alone_and_without_a_base_url() {
    let file = "[upstreams.a]\nkind = \"openapi\"\nspec = \"x\"\nserver = \"test\"\nbase_url \
        = \"https://h/\"\n\
                [upstreams.b]\nurl = \"https://h/\"\nserver = \"test\"\n[upstreams.c]\nkind \
        = \"graphql\"\nurl = \"https://h/\"\nserver = \"test\"\n";
    let error = problems_of(file);
    assert!(
        error.contains("`upstreams.a` has both `base_url` and `server`; keep one of them"),
        "{error}"
    );
    assert!(
        error.contains("`upstreams.b.server` is not a key of an upstream of kind \"mcp\""),
        "{error}"
    );
    assert!(
        error.contains("`upstreams.c.server` is not a key of an upstream of kind \"graphql\""),
        "{error}"
    );
}

#[test]
fn policy_files_name_the_callers_they_apply_to() {
    let file = "[policy]\nprofile = \"strict\"\nfiles = [\"a.yaml\", { path = \"/b.yaml\", layer \
        = \"workspace\", workspace = \"w\" }, \
                { path = \"c.yaml\", layer = \"key\", key = \"ci\", upstream = \"stripe\" \
        }]\n[sandbox]\nworkers_max = 10\n";
    let folder = Folder::with(file);
    let config = folder.load(&[], &[]).unwrap();
    let files = &config.policy.files;
    assert_eq!(
        files[0],
        PolicyFile {
            path: folder.0.path().join("a.yaml"),
            scope: PolicyScope::Organisation,
            upstream: None
        }
    );
    assert_eq!(
        (files[1].path.as_path(), &files[1].scope),
        (Path::new("/b.yaml"), &PolicyScope::Workspace("w".into()))
    );
    assert_eq!(
        (&files[2].scope, files[2].upstream.as_deref()),
        (&PolicyScope::Key("ci".into()), Some("stripe"))
    );
    assert_eq!((config.policy.profile, config.policy.record_values), (Profile::Strict, false));
    let approvals = &config.approvals;
    assert_eq!(
        (approvals.timeout_ms, approvals.tasks_max, approvals.spill_after_ms),
        (1_800_000, 1_000, 30_000)
    );
    let wrong = "[policy]\nprofile = \"yolo\"\nfiles = [{ path = \"a\", layer = \"key\" }, { path \
        = \"b\", workspace = \"w\" }, \"\"]\n";
    insta::assert_snapshot!(problems_of(wrong), @r#"
    the configuration has 4 problems
      airlock.toml:2: `policy.profile` is "yolo"; allowed: "readonly" or "auto" or "open" or "strict"
      airlock.toml:3: `a` in `policy.files` has the layer `key`, which needs `key` and takes no `workspace`
      airlock.toml:3: `b` in `policy.files` has the layer `organisation`, which takes no `workspace` and no `key`
      airlock.toml:3: `policy.files` contains an empty path; name a file
    "#);
}

#[test]
fn the_reference_names_every_reserved_namespace() {
    let reference = include_str!("../../docs/configuration.md");
    let line = reference.lines().find(|line| line.starts_with("Services whose tools")).unwrap();
    for name in crate::model::reserved_namespaces() {
        assert!(line.contains(&format!("`{name}`")), "{name}: {line}");
    }
}
