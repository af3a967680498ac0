//! Finding tools: how well, how fast, and how soon after a start, with the tools of real services and with ten thousand.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use airlock::catalog::{Catalog, DiscoverQuery, StdioConfig, UpstreamConfig, UpstreamKind, Visibility};
use serde_json::{Value, json};

use crate::{Outcome, Scale, record::Record, server::AIRLOCK};

#[path = "../../tests/it/support/questions.rs"]
mod questions;

/// Tools of the large catalog, and those of each of its upstreams.
const MANY: usize = 10_000;
const EACH: usize = 2_500;
/// Longest wait for a catalog.
const PATIENCE: Duration = Duration::from_secs(120);

/// Well: recall and rank of both halves. Fast: the same questions, also among ten thousand tools. Soon: start and restart.
pub(crate) async fn finding(scale: Scale, record: &mut Record) -> Outcome {
    let folder = tempfile::tempdir()?;
    let catalog = begin(folder.path(), questions::UPSTREAMS.map(|name| (name.to_owned(), questions::tools(name))).into()).await?;
    for half in ["heldBack", "tuning"] {
        let asked = questions::questions(half);
        let answers: Vec<questions::Answer> = asked.iter().map(|question| answer(&catalog, &question.text)).collect();
        let quality = questions::measure(&asked, &answers);
        let [first, three, five] = quality.recall;
        let [given, right] = quality.best;
        let figures = [
            ("questions", quality.asked as f64, ""),
            ("recall at 1", first * 100.0, "%"),
            ("recall at 3", three * 100.0, "%"),
            ("recall at 5", five * 100.0, "%"),
            ("mean reciprocal rank", quality.reciprocal_rank * 100.0, "%"),
            ("`bestPath` given", given * 100.0, "%"),
            ("`bestPath` right where given", right * 100.0, "%"),
        ];
        for (what, value, unit) in figures {
            record.figure("finding", format!("{half}: {what}"), value, unit);
        }
        quality.misses.iter().for_each(|miss| record.note("finding", format!("{half}: {miss}")));
    }
    record.latency("finding", "discover among the tools of six services", timed(&catalog, scale));
    catalog.shutdown().await;
    many(scale, record).await
}

async fn many(scale: Scale, record: &mut Record) -> Outcome {
    let folder = tempfile::tempdir()?;
    let tools = if scale.quick { MANY / 20 } else { MANY };
    let before = resident_kib()?;
    let began = Instant::now();
    let catalog = begin(folder.path(), multiplied(tools)).await?;
    record.figure("finding", format!("first start until {tools} tools are found"), began.elapsed().as_secs_f64() * 1e3, "ms");
    record.latency("finding", format!("discover among {tools} tools"), timed(&catalog, scale));
    let began = Instant::now();
    let declared = catalog.types(None, &|_| Visibility::Auto).await?.len();
    record.figure("finding", format!("declarations of {tools} tools"), began.elapsed().as_secs_f64() * 1e3, "ms");
    record.figure("finding", format!("declarations of {tools} tools, size"), declared as f64 / 1024.0 / 1024.0, "MiB");
    catalog.shutdown().await;
    drop(catalog);
    let kept: u64 =
        std::fs::read_dir(folder.path().join("kept"))?.flatten().filter_map(|file| Some(file.metadata().ok()?.len())).sum();
    record.figure("finding", format!("{tools} tools on disk"), kept as f64 / 1024.0 / 1024.0, "MiB");

    // The upstreams are slow now, so what is found was kept.
    let mut restarts = Vec::new();
    for _ in 0..scale.times(5) {
        let configs = configs(folder.path(), &multiplied(tools), &["--slow-start", "60000"])?;
        let began = Instant::now();
        let catalog = Catalog::start_keeping(configs, &std::env::vars().collect(), folder.path().join("kept"));
        let answered = catalog.find("discover", "\"open a pull request\"", &|_| Visibility::Auto).await;
        restarts.push(began.elapsed());
        answered.ok_or("it is a finding function")??;
        let known: usize = catalog.status().iter().map(|upstream| upstream.tools).sum();
        if known != tools {
            return Err(format!("{known} tools are known after the restart, not {tools}").into());
        }
        if restarts.len() == 1 {
            let used = resident_kib()?.saturating_sub(before);
            record.figure("finding", format!("memory of {tools} tools, index included"), used as f64 / 1024.0, "MiB");
        }
        catalog.shutdown().await;
    }
    record.latency("finding", format!("restart until {tools} tools are found"), restarts);
    Ok(())
}

/// The services' tools again and again under further names, as far as `tools` go.
fn multiplied(tools: usize) -> Vec<(String, Vec<Value>)> {
    let real: Vec<Value> = questions::UPSTREAMS.iter().flat_map(|name| questions::tools(name)).collect();
    let all: Vec<Value> = (0..tools)
        .map(|at| {
            let mut tool = real[at % real.len()].clone();
            tool["name"] = format!("area{}.{}", at / real.len(), tool["name"].as_str().unwrap_or_default()).into();
            tool
        })
        .collect();
    all.chunks(EACH).enumerate().map(|(at, tools)| (format!("service{at}"), tools.to_vec())).collect()
}

fn configs(
    folder: &Path,
    services: &[(String, Vec<Value>)],
    flags: &[&str],
) -> Result<Vec<UpstreamConfig>, Box<dyn std::error::Error + Send + Sync>> {
    let mut configs = Vec::new();
    for (name, tools) in services {
        let file = folder.join(format!("{name}.json"));
        if !file.exists() {
            std::fs::write(&file, json!(tools).to_string())?;
        }
        // The same command with and without the flags, for what is kept is of that command.
        let flags_file = folder.join("flags");
        std::fs::write(&flags_file, flags.join(" "))?;
        let script = format!("exec {AIRLOCK} __demo-upstream --offer {} $(cat {})", file.display(), flags_file.display());
        let config = StdioConfig { command: "sh".to_owned(), args: vec!["-c".to_owned(), script], ..StdioConfig::default() };
        configs.push(UpstreamConfig::new(name.parse()?, UpstreamKind::McpStdio(config)));
    }
    Ok(configs)
}

async fn begin(folder: &Path, services: Vec<(String, Vec<Value>)>) -> Result<Catalog, Box<dyn std::error::Error + Send + Sync>> {
    let configs = configs(folder, &services, &[])?;
    let catalog = Catalog::start_keeping(configs, &std::env::vars().collect(), folder.join("kept"));
    if !catalog.settled(PATIENCE).await {
        return Err(format!("the upstreams did not settle: {:?}", catalog.status()).into());
    }
    Ok(catalog)
}

fn answer(catalog: &Catalog, text: &str) -> questions::Answer {
    let query = DiscoverQuery { query: text.to_owned(), limit: Some(20), ..DiscoverQuery::default() };
    let found = catalog.discover(&query, &|_| Visibility::Auto);
    found.map_or_else(
        |_| questions::Answer::default(),
        |found| questions::Answer { best: found.best_path, paths: found.results.into_iter().map(|found| found.path).collect() },
    )
}

fn timed(catalog: &Catalog, scale: Scale) -> Vec<Duration> {
    let mut times = Vec::new();
    for half in ["heldBack", "tuning"] {
        for question in questions::questions(half).iter().cycle().take(scale.times(500)) {
            let query = DiscoverQuery { query: question.text.clone(), ..DiscoverQuery::default() };
            let began = Instant::now();
            let found = catalog.discover(&query, &|_| Visibility::Auto);
            times.push(began.elapsed());
            drop(found);
        }
    }
    times
}

/// What this process holds in memory.
fn resident_kib() -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
}
