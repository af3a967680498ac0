//! The report for people, and the files of a run.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use crate::{Outcome, plot, record::Record};

/// `benches/runs/<date>-<cpus>c`, with a number after it where that exists: no run is overwritten.
pub(crate) fn folder(record: &Record) -> PathBuf {
    let runs = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/runs");
    let name = format!("{}-{}c", record.machine.date, record.machine.cpus);
    let names = std::iter::once(name.clone()).chain((2..).map(|n| format!("{name}-{n}")));
    names.map(|name| runs.join(name)).find(|folder| !folder.exists()).unwrap_or(runs)
}

pub(crate) fn write(record: &Record, folder: &Path) -> Outcome {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("report.md"), markdown(record))?;
    std::fs::write(folder.join("raw.json"), serde_json::to_string(record)? + "\n")?;
    if !record.latencies.is_empty() {
        plot::latency(record, &folder.join("latency.svg"))?;
    }
    if !record.throughputs.is_empty() {
        plot::throughput(record, &folder.join("throughput.svg"))?;
    }
    Ok(())
}

pub(crate) fn markdown(record: &Record) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = tables(record, &mut text);
    text
}

fn tables(record: &Record, text: &mut String) -> std::fmt::Result {
    let machine = &record.machine;
    writeln!(text, "# Benches, {}, {} cores\n", machine.date, machine.cpus)?;
    writeln!(text, "- Commit `{}`, {} build", machine.commit, machine.build)?;
    writeln!(
        text,
        "- {}, {} cores, {} GiB, Linux {}",
        machine.cpu, machine.cpus, machine.memory_gib, machine.kernel
    )?;
    writeln!(text, "- Load at the start: {}. Client and server share the machine.", machine.load)?;
    if record.quick {
        writeln!(text, "- **Tiny input: shows that the benches work, not how fast anything is.**")?;
    }
    if !record.latencies.is_empty() {
        writeln!(
            text,
            "\n## Latency in milliseconds\n\n| bench | what | runs | p50 | p95 | p99 \
            |\n|---|---|--:|--:|--:|--:|"
        )?;
        for row in &record.latencies {
            let times = &row.microseconds;
            let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|share| times.quantile(share));
            writeln!(
                text,
                "| {} | {} | {} | {p50:.2} | {p95:.2} | {p99:.2} |",
                row.bench,
                row.what,
                times.len()
            )?;
        }
    }
    if !record.throughputs.is_empty() {
        writeln!(
            text,
            "\n## Throughput\n\n| what | clients | tasks a second | p50 ms | p95 ms | p99 ms \
            |\n|---|--:|--:|--:|--:|--:|"
        )?;
        for row in &record.throughputs {
            let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|share| row.microseconds.quantile(share));
            writeln!(
                text,
                "| {} | {} | {:.0} | {p50:.2} | {p95:.2} | {p99:.2} |",
                row.what, row.clients, row.tasks_per_second
            )?;
        }
    }
    if !record.figures.is_empty() {
        writeln!(text, "\n## Other figures\n\n| bench | what | value |\n|---|---|--:|")?;
        for row in &record.figures {
            writeln!(text, "| {} | {} | {:.1} {} |", row.bench, row.what, row.value, row.unit)?;
        }
    }
    if !record.notes.is_empty() {
        writeln!(text, "\n## Misses\n")?;
        for note in &record.notes {
            writeln!(text, "- {}: {}", note.bench, note.text)?;
        }
    }
    Ok(())
}
