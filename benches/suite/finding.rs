//! Finding tools: how well, how fast, and how soon after a start, with the tools of real services
//! and with ten thousand.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use airlock::{
    catalog::{CallerLimit, Catalog, Tool, Visibility},
    model::{DiscoverQuery, DiscoveryFunction},
    policy::Caller,
    task::host::{PolicyView, ROLE},
};
use serde_json::{Value, json};

use crate::{
    Outcome, Scale,
    fresh::{Stage, Start},
    policy,
    record::Record,
};

#[path = "../../tests/it/support/description.rs"]
mod description;
#[path = "../../tests/it/support/questions.rs"]
mod questions;

/// Tools of the large catalog, and those of each of its upstreams.
const MANY: usize = 10_000;
const EACH: usize = 2_500;

/// Well: recall and rank of both halves. Fast: the same questions, also among ten thousand tools.
/// Soon: start and restart.
pub(crate) async fn finding(scale: Scale, record: &mut Record) -> Outcome {
    let Some(file) = description::github() else {
        record.note("finding", "not measured: npm is needed for the description of GitHub");
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let stage = Stage::new(folder.path());
    stage.describe(&file)?;
    // GitHub alone first: what it takes to import it, to start again, and to hold it.
    started(scale, record, "GitHub", &stage, true)?;
    for server in questions::SERVERS {
        stage.offer(server, &serde_json::from_str::<Vec<Value>>(&questions::text(server))?)?;
    }
    let catalog = stage.settled().await?;
    quality(&catalog, record);
    let tools = catalog.all().await;
    record.latency(
        "finding",
        format!("discover among the {} tools of GitHub and five servers", tools.len()),
        timed(&catalog, scale),
    );
    catalog.shutdown().await;
    drop(catalog);
    many(scale, record, &tools).await
}

/// How often the right tool comes first, and every question where it does not.
fn quality(catalog: &Catalog, record: &mut Record) {
    for half in ["heldBack", "tuning"] {
        let asked = questions::questions(half);
        let answers: Vec<questions::Answer> =
            asked.iter().map(|question| answer(catalog, &question.text)).collect();
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
}

async fn many(scale: Scale, record: &mut Record, real: &[Arc<Tool>]) -> Outcome {
    let folder = tempfile::tempdir()?;
    let stage = Stage::new(folder.path());
    let tools = if scale.quick { MANY / 20 } else { MANY };
    for (at, tools) in multiplied(real, tools).chunks(EACH).enumerate() {
        stage.offer(&format!("service{at}"), tools)?;
    }
    let what = format!("{tools} tools");
    started(scale, record, &what, &stage, false)?;
    let catalog = stage.settled().await?;
    record.latency("finding", format!("discover among {what}"), timed(&catalog, scale));
    let catalog = Arc::new(catalog);
    as_asked(&catalog, &what, scale, record).await?;
    let began = Instant::now();
    let declared =
        catalog.types(None, &|_: &Tool| Visibility::Auto).await.map_or(0, |text| text.len());
    record.figure(
        "finding",
        format!("declarations of {what}"),
        began.elapsed().as_secs_f64() * 1e3,
        "ms",
    );
    record.figure(
        "finding",
        format!("declarations of {what}, size"),
        mib(declared as u64 / 1024),
        "MiB",
    );
    catalog.shutdown().await;
    Ok(())
}

/// The first start and further ones, each in a process of its own. Where `settles`, the upstreams
/// come up beside the first answer; else they are too slow to matter.
fn started(scale: Scale, record: &mut Record, what: &str, stage: &Stage, settles: bool) -> Outcome {
    let memory = |record: &mut Record, when: &str, kib: u64| {
        record.figure("finding", format!("{what}: memory {when}"), mib(kib), "MiB");
    };
    let first = stage.start(true)?;
    record.figure("finding", format!("{what}: first start until found"), first.answered_ms, "ms");
    memory(record, "of the process before", first.empty_kib);
    memory(record, "after the first start", first.settled_kib);
    memory(record, "at most during the first start", first.most_kib);
    record.figure(
        "finding",
        format!("{what}: kept on disk"),
        mib(stage.kept_bytes()? / 1024),
        "MiB",
    );
    if !settles {
        stage.slow(true)?;
    }
    let mut again: Vec<Start> = Vec::new();
    for _ in 0..scale.times(7) {
        let start = stage.start(settles)?;
        if start.tools != first.tools {
            return Err(format!(
                "{} tools are known after the restart, not {}",
                start.tools, first.tools
            )
            .into());
        }
        again.push(start);
    }
    stage.slow(false)?;
    if let Some(start) = again.first() {
        memory(record, "when a restart has answered", start.answered_kib);
        if settles {
            memory(record, "when a restart is complete", start.settled_kib);
        }
    }
    let times =
        again.iter().map(|start| Duration::from_secs_f64(start.answered_ms / 1e3)).collect();
    record.latency("finding", format!("{what}: restart until found"), times);
    Ok(())
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// The real tools, schemas and all, again and again under further names, as far as `tools` go.
fn multiplied(real: &[Arc<Tool>], tools: usize) -> Vec<Value> {
    let listed = |at: usize| {
        let tool = &real[at % real.len()];
        let mut listed = json!({
            "name": format!("area{}.{}", at / real.len(), tool.name),
            "title": tool.title,
            "description": tool.description,
            "inputSchema": *tool.input_schema.value(),
        });
        if let Some(output) = &tool.output_schema {
            listed["outputSchema"] = json!(*output.value());
        }
        listed
    };
    (0..tools).map(listed).collect()
}

fn answer(catalog: &Catalog, text: &str) -> questions::Answer {
    let query =
        DiscoverQuery { query: text.to_owned(), limit: Some(20), ..DiscoverQuery::default() };
    let found = catalog.discover(&query, &|_: &Tool| Visibility::Auto);
    found.map_or_else(
        |_| questions::Answer::default(),
        |found| questions::Answer {
            best: found.best_path,
            paths: found.results.into_iter().map(|found| found.path).collect(),
        },
    )
}

/// What programs wait for: through a policy of a thousand rules, in turn, as JSON with hints.
async fn as_asked(
    catalog: &Arc<Catalog>,
    what: &str,
    scale: Scale,
    record: &mut Record,
) -> Outcome {
    let policy = Arc::new(policy::thousand_rules()?);
    let caller = Caller {
        workspace: "local",
        principal: "local",
        role: ROLE,
        key: None,
        session: None,
        task: "",
    };
    let asker = CallerLimit::default();
    let ask = async |function, args: String| {
        let began = Instant::now();
        let view = PolicyView::new(policy.clone(), &caller);
        let found = catalog.find_offloaded(&asker, function, &args, view).await;
        found.map_err(|error| error.to_string())?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(began.elapsed())
    };
    let first = ask(DiscoveryFunction::Namespaces, "{}".to_owned()).await?;
    record.figure(
        "finding",
        format!("the first look through a policy at {what}"),
        first.as_secs_f64() * 1e3,
        "ms",
    );
    let (mut discovered, mut listed, mut absent) = (Vec::new(), Vec::new(), Vec::new());
    for half in ["heldBack", "tuning"] {
        for question in questions::questions(half).iter().cycle().take(scale.times(500)) {
            discovered.push(
                ask(DiscoveryFunction::Discover, json!({ "query": question.text }).to_string())
                    .await?,
            );
            listed.push(ask(DiscoveryFunction::Namespaces, "{}".to_owned()).await?);
            let began = Instant::now();
            let view = PolicyView::new(policy.clone(), &caller);
            let path = format!("service0.{}", question.text.replace(' ', "_"));
            drop(catalog.not_found_offloaded(&asker, &path, view).await);
            absent.push(began.elapsed());
        }
    }
    record.latency(
        "finding",
        format!("`tools.discover` among {what}, through a policy of 1000 rules"),
        discovered,
    );
    record.latency("finding", format!("`tools.catalog.namespaces` among {what}"), listed);
    record.latency("finding", format!("what is like a wrong path among {what}"), absent);
    Ok(())
}

fn timed(catalog: &Catalog, scale: Scale) -> Vec<Duration> {
    let mut times = Vec::new();
    for half in ["heldBack", "tuning"] {
        for question in questions::questions(half).iter().cycle().take(scale.times(500)) {
            let query = DiscoverQuery { query: question.text.clone(), ..DiscoverQuery::default() };
            let began = Instant::now();
            let found = catalog.discover(&query, &|_: &Tool| Visibility::Auto);
            times.push(began.elapsed());
            drop(found);
        }
    }
    times
}
