//! A catalog in a process of its own, as after a start of the server: how soon it answers, and what
//! it holds in memory.
//!
//! What it consists of lies in a folder: lists of tools, each offered by a server of its own, and
//! the description of GitHub.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use airlock::catalog::{
    Catalog, HttpAccess, OpenApiConfig, StdioConfig, UpstreamConfig, UpstreamKind, UpstreamState,
    Visibility,
};
use airlock::model::Document;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::server::AIRLOCK;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// The first argument that makes the bench this process.
pub(crate) const COMMAND: &str = "__fresh";
/// Longest wait for a catalog.
const PATIENCE: Duration = Duration::from_secs(120);
/// What is asked first.
const QUESTION: &str = "\"open a pull request\"";

/// What a start was like.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    /// From the catalog's start to the first answer.
    pub(crate) answered_ms: f64,
    /// Tools that were known then.
    pub(crate) tools: usize,
    /// Resident memory of the process, in KiB: before, when it had answered, and when all upstreams
    /// had.
    pub(crate) empty_kib: u64,
    pub(crate) answered_kib: u64,
    pub(crate) settled_kib: u64,
    /// The most that it ever was.
    pub(crate) most_kib: u64,
}

/// The upstreams of a folder.
pub(crate) struct Stage(PathBuf);

impl Stage {
    pub(crate) fn new(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// A server that offers these.
    pub(crate) fn offer(&self, service: &str, tools: &[Value]) -> std::io::Result<()> {
        std::fs::write(self.0.join(format!("{service}.json")), Value::from(tools).to_string())
    }

    /// GitHub, by its description.
    pub(crate) fn describe(&self, file: &Path) -> std::io::Result<()> {
        std::os::unix::fs::symlink(file, self.0.join("github.description"))
    }

    /// Whether the servers take a minute for their first answer, so that what is found was kept.
    pub(crate) fn slow(&self, slow: bool) -> std::io::Result<()> {
        std::fs::write(self.0.join("flags"), if slow { "--slow-start 60000" } else { "" })
    }

    fn configs(&self) -> Result<Vec<UpstreamConfig>, Error> {
        let mut configs = Vec::new();
        for entry in std::fs::read_dir(&self.0)? {
            let file = entry?.path();
            let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            let kind = match file.extension().and_then(|ending| ending.to_str()) {
                Some("json") => {
                    // The same command with and without the flags, for what is kept is of that
                    // command.
                    let flags = self.0.join("flags");
                    let offer = format!(
                        "--pages 8 --offer {} $(cat {} 2>/dev/null)",
                        file.display(),
                        flags.display()
                    );
                    let args =
                        vec!["-c".to_owned(), format!("exec {AIRLOCK} __demo-upstream {offer}")];
                    UpstreamKind::McpStdio(StdioConfig {
                        command: "sh".to_owned(),
                        args,
                        ..StdioConfig::default()
                    })
                }
                Some("description") => UpstreamKind::OpenApi(OpenApiConfig {
                    spec: Document::File(file.clone()),
                    base_url: None,
                    server: None,
                    server_variables: Default::default(),
                    only: Vec::new(),
                    except: Vec::new(),
                    access: HttpAccess::default(),
                }),
                _ => continue,
            };
            configs.push(UpstreamConfig::new(name.parse()?, kind));
        }
        Ok(configs)
    }

    /// Where the catalog keeps its tools.
    pub(crate) fn kept(&self) -> PathBuf {
        self.0.join("kept")
    }

    /// Bytes of what is kept.
    pub(crate) fn kept_bytes(&self) -> std::io::Result<u64> {
        Ok(std::fs::read_dir(self.kept())?
            .flatten()
            .filter_map(|file| Some(file.metadata().ok()?.len()))
            .sum())
    }

    /// The catalog, in this process, once every upstream has answered.
    pub(crate) async fn settled(&self) -> Result<Catalog, Error> {
        let catalog = self.catalog()?;
        settle(&catalog).await?;
        Ok(catalog)
    }

    fn catalog(&self) -> Result<Catalog, Error> {
        // HTTPS, and so every service behind an address, needs one; a second installation changes
        // nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Catalog::start_cached(self.configs()?, &std::env::vars().collect(), self.kept()))
    }

    /// Starts it in a process of its own; `settle` waits for the upstreams after the first answer.
    pub(crate) fn start(&self, settle: bool) -> Result<Start, Error> {
        let output = Command::new(std::env::current_exe()?)
            .arg(COMMAND)
            .arg(&self.0)
            .args(settle.then_some("settle"))
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

async fn settle(catalog: &Catalog) -> Result<(), Error> {
    let is_settled = catalog.settled(PATIENCE).await;
    let status = catalog.status();
    match status.iter().find(|upstream| upstream.status != UpstreamState::Ready) {
        None if is_settled => Ok(()),
        _ => Err(format!("the upstreams did not settle: {status:?}").into()),
    }
}

/// The process. `args` are those after the command: the folder, and `settle`.
pub(crate) fn main(mut args: impl Iterator<Item = String>) -> ExitCode {
    let folder = args.next().unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime can be built");
    match runtime.block_on(start(Stage(folder.into()), args.next().is_some())) {
        Ok(start) => {
            println!("{}", serde_json::to_string(&start).expect("it is numbers"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn start(stage: Stage, settles: bool) -> Result<Start, Error> {
    let empty_kib = memory_kib("VmRSS:")?;
    let began = Instant::now();
    let catalog = stage.catalog()?;
    // The first start waits for the upstreams within the question, at most five seconds; then for
    // them alone.
    let mut answered =
        catalog.find("discover", QUESTION, &|_: &airlock::catalog::Tool| Visibility::Auto).await;
    if catalog.all().await.is_empty() {
        settle(&catalog).await?;
        answered = catalog
            .find("discover", QUESTION, &|_: &airlock::catalog::Tool| Visibility::Auto)
            .await;
    }
    let answered_ms = began.elapsed().as_secs_f64() * 1e3;
    answered.ok_or("it is a finding function")??;
    let (tools, answered_kib) = (catalog.all().await.len(), memory_kib("VmRSS:")?);
    if settles {
        settle(&catalog).await?;
    }
    let start = Start {
        answered_ms,
        tools,
        empty_kib,
        answered_kib,
        settled_kib: memory_kib("VmRSS:")?,
        most_kib: memory_kib("VmHWM:")?,
    };
    catalog.shutdown().await;
    Ok(start)
}

/// What this process holds in memory.
fn memory_kib(what: &str) -> Result<u64, Error> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line =
        status.lines().find_map(|line| line.strip_prefix(what)).ok_or("no memory figures")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
}
