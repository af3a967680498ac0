//! The runtime `local-deno`: the jail around Deno, how Deno is found and judged, and what the
//! broker does with its process.

mod impostor;

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use airlock::sandbox::{
    Jail,
    deno::{self, SearchPaths},
};
use serde_json::{Value, json};

use crate::support::{
    runtime,
    server::{TestServer, airlock, eventually, lives, processes_of},
    worker::{Worker, limits},
};

/// A process with a secret, ended when dropped.
struct Victim(Child);

impl Victim {
    fn start() -> Self {
        Self(
            Command::new("sleep").arg("600").env("SECRET", "canary-of-the-victim").spawn().unwrap(),
        )
    }

    fn is_alive(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Runs `attack.js` with all permissions; what it reached.
fn attack(deno: &Path, is_jailed: bool) -> Value {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let file = folder.path().join("secret.txt");
    fs::write(&file, "canary in a file").unwrap();
    let mut victim = Victim::start();
    let main = format!(
        "data:text/javascript;base64,{}",
        base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            include_str!("deno/attack.js")
        )
    );
    let port = listener.local_addr().unwrap().port().to_string();
    let (file_name, folder_name) =
        (file.to_str().unwrap().to_owned(), folder.path().to_str().unwrap().to_owned());
    let mut arguments = ["run", "-A", "--quiet", "--no-prompt", "--no-config", "--no-lock", &main]
        .map(str::to_owned)
        .to_vec();
    arguments.extend([port, victim.0.id().to_string(), file_name, folder_name]);
    let environment = [("DENO_DIR", "/nonexistent"), ("NO_COLOR", "1")];
    let program = File::open(deno).unwrap();
    let mut command = if is_jailed {
        arguments.push("jailed".into());
        Jail::for_deno(&program, 1 << 30).unwrap().command(&arguments, &environment).unwrap()
    } else {
        let mut command = Command::new(deno);
        command.args(&arguments).env_clear().envs(environment);
        command
    };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let words = String::from_utf8_lossy(&output.stderr);
    let reached: Value = serde_json::from_str(told.trim())
        .unwrap_or_else(|error| panic!("{error}: {told}\n{words}\n{:?}", output.status));
    if is_jailed {
        assert!(victim.is_alive());
        assert_eq!(fs::read_to_string(&file).unwrap(), "canary in a file");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
    reached
}

fn cached() -> Option<PathBuf> {
    runtime::find_deno().or_else(|| {
        assert!(
            std::env::var_os("CI").is_none(),
            "Deno is not here: `./x setup --tests` fetches it"
        );
        eprintln!("skipped: Deno is not here (./x setup --tests)");
        None
    })
}

#[test]
fn deno_with_all_permissions_reaches_nothing_from_its_jail() {
    let Some(deno) = cached() else { return };
    let jailed = attack(&deno, true);
    assert_eq!(jailed["reached"], json!([]));
    assert_eq!(
        jailed["libc"], true,
        "the C library could not be called, so nothing was tried with it"
    );
    assert!(jailed["tried"].as_u64().is_some_and(|tried| tried >= 80), "{jailed}");
    // The same attacks succeed where there is no jail: they are real ones.
    let free = attack(&deno, false);
    let reached = free["reached"].to_string();
    for one in [
        "read /etc/passwd",
        "write a file",
        "connect over TCP",
        "run /bin/true",
        "environ",
        "libc socket AF_INET",
        "libc open /etc/passwd",
    ] {
        assert!(reached.contains(one), "{one}: {reached}");
    }
}

/// Programs that found a way out of their realm, or that made the worker or its process stand still
/// or die.
const TROUBLE: &[(&str, &str)] = &[
    (
        "replaces `Error` to get call sites of Deno's realm",
        "const Real = Error; let sites; globalThis.Error = Object.assign(function () {}, { \
        prepareStackTrace(_, given) { sites = given; return '' } });
         new Real('x').stack; try { delete globalThis.Error } catch {} return sites === undefined && Error === Real",
    ),
    ("calls the formatter of stacks itself", "return typeof Error.prepareStackTrace(new \
        Error('x'), [{}]) === 'string'"),
    (
        "no error of the host is one of another realm",
        "const foreign = []; const dive = () => { try { dive() } catch (error) { if (!(error \
        instanceof Error)) foreign.push(1) }
         for (const risky of [() => new URL('x'), () => tools.a.b({}), () => btoa('a'), () => console.log('a')]) try { risky() } catch (error) { if (!(error instanceof Error)) foreign.push(2) } };
         dive(); return foreign.length === 0",
    ),
    ("a name as long as a book", "try { throw { name: 'N'.repeat(300000), message: 'x' } } catch \
        {} Promise.reject({ name: 'N'.repeat(300000), message: 'x' }); await 1; return true"),
    ("a stack as long as a library", "const error = new Error('x'.repeat(7e6)); return \
        error.stack.length < 20000"),
];

#[test]
fn known_ways_out_of_a_realm_and_known_stumbles_lead_nowhere() {
    if !runtime::is_deno() {
        return;
    }
    let mut worker = Worker::start(&limits());
    for (what, code) in TROUBLE {
        let ran = worker.run(code);
        assert_eq!(*ran.value(), json!(true), "{what}");
        assert!(!ran.head.spent, "{what}");
    }
    // What is too large is told as such, and the process goes on.
    for (code, told) in [
        ("return '\\u00e9'.repeat(40e6)", "result_limit"),
        ("throw { name: 'N'.repeat(300000), message: 'x' }", "uncaught_exception"),
        ("throw new Error('x'.repeat(3e6))", "uncaught_exception"),
    ] {
        let ran = worker.run(code);
        if let airlock::sandbox::protocol::DoneOutcome::MemoryLimit { .. } = ran.head.outcome {
            worker = Worker::start(&limits());
            continue;
        }
        assert_eq!(ran.error().code, told, "{code}");
        assert_eq!(*worker.run("return 1").value(), json!(1), "{code}");
    }
    // A program's own words are no limit of ours.
    let ran = worker.run("throw new RangeError('Array buffer allocation failed')");
    assert_eq!(ran.error().message, "Array buffer allocation failed");
}

#[test]
fn a_deno_is_taken_only_if_it_is_a_known_one_or_named_by_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deno");
    fs::write(&file, b"\x7fELF but not Deno").unwrap();
    let refused = deno::check(&file, None).unwrap_err().to_string();
    assert!(refused.contains("is not Deno 2.9.6"), "{refused}");
    let found = refused.split("SHA-256 is ").nth(1).unwrap().split(',').next().unwrap();
    assert_eq!(found.len(), 64, "{refused}");
    assert!(deno::check(&file, Some(found)).is_ok());
    // One that is unfit is passed over; where all are, the first is told.
    let other = folder.path().join("other");
    fs::write(&other, b"\x7fELF and not Deno either").unwrap();
    assert_eq!(deno::choose(&[other.clone(), file.clone()], Some(found)).unwrap().path, file);
    assert!(
        deno::choose(&[other.clone(), file.clone()], None)
            .unwrap_err()
            .to_string()
            .contains(&*other.to_string_lossy())
    );
    assert!(
        deno::check(&folder.path().join("none"), None)
            .unwrap_err()
            .to_string()
            .contains("cannot be read")
    );
}

#[test]
fn deno_is_found_where_packages_put_it() {
    let folder = tempfile::tempdir().unwrap();
    let place = |path: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, b"\x7fELF").unwrap();
        path
    };
    let package = if cfg!(target_arch = "x86_64") {
        "@deno/linux-x64-glibc"
    } else {
        "@deno/linux-arm64-glibc"
    };
    let npm = place(&format!("npm/node_modules/{package}/deno"));
    let beside = SearchPaths {
        beside: Some(folder.path().join("npm/node_modules/@airlock-mcp/linux-x64/bin")),
        ..SearchPaths::default()
    };
    assert_eq!(beside.find(), std::slice::from_ref(&npm));
    assert_eq!(
        SearchPaths { beside: Some(folder.path().join("npm")), ..SearchPaths::default() }.find(),
        std::slice::from_ref(&npm)
    );
    // Another version beside it is passed over for the one that npm put into the package itself.
    let nested =
        place(&format!("npm/node_modules/@airlock-mcp/linux-x64/node_modules/{package}/deno"));
    assert_eq!(beside.find(), [nested, npm]);
    let pip = place("venv/bin/deno");
    assert_eq!(
        SearchPaths { beside: Some(folder.path().join("venv/bin")), ..SearchPaths::default() }
            .find(),
        std::slice::from_ref(&pip)
    );
    let path = Some(
        std::env::join_paths([folder.path().join("empty"), folder.path().join("venv/bin")])
            .unwrap(),
    );
    assert_eq!(
        SearchPaths { path: path.clone(), ..SearchPaths::default() }.find(),
        std::slice::from_ref(&pip)
    );
    let cached = place("cache/bin/deno");
    assert_eq!(
        SearchPaths { cache: Some(folder.path().join("cache")), path, ..SearchPaths::default() }
            .find(),
        [cached, pip]
    );
    // npm's own command is a script beside the package with the executable.
    let executable = place(&format!("global/lib/node_modules/{package}/deno"));
    let script = place("global/lib/node_modules/deno/bin.cjs");
    fs::write(&script, "#!/usr/bin/env node\n").unwrap();
    fs::create_dir_all(folder.path().join("global/bin")).unwrap();
    std::os::unix::fs::symlink(&script, folder.path().join("global/bin/deno")).unwrap();
    let global = SearchPaths {
        path: Some(folder.path().join("global/bin").into()),
        ..SearchPaths::default()
    };
    assert_eq!(global.find(), [executable]);
    assert_eq!(SearchPaths::default().find(), Vec::<PathBuf>::new());
    let chosen = SearchPaths {
        configured: Some("/opt/deno".into()),
        beside: Some(folder.path().join("npm")),
        ..SearchPaths::default()
    };
    assert_eq!(
        chosen.find(),
        [PathBuf::from("/opt/deno")],
        "the owner's choice is not passed over, even if it is not there"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deno_that_may_not_be_used_stops_a_server_that_runs_on_it() {
    let folder = tempfile::tempdir().unwrap();
    let deno = folder.path().join("deno");
    fs::write(&deno, b"\x7fELF but not Deno").unwrap();
    let file = folder.path().join("airlock.toml");
    let database = folder.path().join("airlock.db");
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = \"sqlite://{}\"\n[sandbox]\nruntime \
        = \"local-deno\"\ndeno = {deno:?}\n",
        database.display()
    );
    fs::write(&file, config).unwrap();
    let output = airlock(&file).arg("serve").stdin(Stdio::null()).output().await.unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        words.contains("is not Deno 2.9.6") && words.contains("sandbox.deno_sha256"),
        "{words}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_runtime_serves_and_says_how_one_is_got() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().to_str().unwrap().to_owned();
    // A Deno that may not be used, in the place that is looked at first: as good as none.
    let unfit = home.path().join("airlock/deno/bin/deno");
    fs::create_dir_all(unfit.parent().unwrap()).unwrap();
    fs::write(&unfit, b"\x7fELF but not Deno").unwrap();
    let environment = [
        ("HOME", folder.as_str()),
        ("XDG_CACHE_HOME", folder.as_str()),
        ("PATH", "/nonexistent"),
        ("AIRLOCK_SANDBOX_RUNTIME", "local-deno"),
    ];
    let server = TestServer::with_environment(tempfile::tempdir().unwrap(), "", &environment).await;
    let answer = server.call("execute", json!({ "code": "return 1" })).await;
    let text = answer["content"][0]["text"].as_str().unwrap();
    let is_alone = !cfg!(feature = "v8");
    assert!(
        text.contains(if is_alone {
            "no code can be run here"
        } else {
            "there is no runtime `local-deno` here; there is only `local-v8`"
        }),
        "{text}"
    );
    assert!(text.contains("airlock doctor"), "{text}");
    assert!(server.log().contains("deno@2.9.6"), "{}", server.log());
}

/// The child of a worker that runs Deno.
fn child_of(worker: &Worker) -> u32 {
    worker.armed.engine_pid.expect("a worker with Deno names it")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deno_dies_with_its_worker_whatever_it_is_doing() {
    if !runtime::is_deno() {
        return;
    }
    let mut worker = Worker::start(&limits());
    let deno = child_of(&worker);
    let parent = fs::read_to_string(format!("/proc/{deno}/status")).unwrap();
    assert!(parent.contains(&format!("PPid:\t{}", worker.pid())), "{parent}");
    worker.begin("while (true) {}", 60_000);
    // SAFETY: a signal to a child of this test.
    assert_eq!(unsafe { libc::kill(worker.pid().cast_signed(), libc::SIGKILL) }, 0);
    eventually("Deno is gone", async || (!lives(deno)).then_some(())).await;
    // One that is stopped is gone before its end is told.
    for (code, cpu_ms_max) in [
        ("while (true) {}", 100),
        ("const all = []; for (;;) all.push(new Array(1e4).fill(1))", 60_000),
    ] {
        let mut worker = Worker::start(&limits());
        let deno = child_of(&worker);
        let head = worker.run_with(code, cpu_ms_max, |_| Ok(json!(null))).head;
        assert!(head.spent && !lives(deno), "{code}: {head:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_counts_and_ends_the_processes_of_deno() {
    if !runtime::is_deno() {
        return;
    }
    let server = TestServer::with("").await;
    let answer =
        server.run("let n = 0; for (let i = 0; i < 3e8; i++) n += i % 7; return n > 0").await;
    assert_eq!(answer["result"], true);
    assert!(answer["usage"]["cpuMs"].as_u64().is_some_and(|ms| ms >= 100), "{}", answer["usage"]);
    let pids = descendants(server.pid());
    assert!(pids.len() >= 2, "{pids:?}");
    server.kill().await;
    eventually("no process is left", async || pids.iter().all(|pid| !lives(*pid)).then_some(()))
        .await;
}

/// All processes below one.
fn descendants(of: u32) -> Vec<u32> {
    let mut all = processes_of(of);
    let mut at = 0;
    while at < all.len() {
        all.extend(processes_of(all[at]));
        at += 1;
    }
    all
}
