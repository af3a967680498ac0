//! What was measured, as it goes into `raw.json`.

use std::time::Duration;

use serde::Serialize;

use crate::machine::Machine;

/// One run of the suite.
#[derive(Debug, Serialize)]
pub(crate) struct Record {
    pub(crate) machine: Machine,
    /// Tiny input: proves that the benches work, and nothing about speed.
    pub(crate) quick: bool,
    pub(crate) latencies: Vec<Latency>,
    pub(crate) throughputs: Vec<Throughput>,
    pub(crate) figures: Vec<Figure>,
    pub(crate) notes: Vec<Note>,
}

/// One thing done again and again.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) bench: &'static str,
    pub(crate) what: String,
    pub(crate) microseconds: Samples,
}

/// Clients that send the next request when the last is answered.
#[derive(Debug, Serialize)]
pub(crate) struct Throughput {
    pub(crate) what: &'static str,
    pub(crate) clients: usize,
    pub(crate) tasks_per_second: f64,
    pub(crate) microseconds: Samples,
}

/// A single number.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) bench: &'static str,
    pub(crate) what: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
}

/// Something to be told in words.
#[derive(Debug, Serialize)]
pub(crate) struct Note {
    pub(crate) bench: &'static str,
    pub(crate) text: String,
}

impl Record {
    pub(crate) fn new(machine: Machine, quick: bool) -> Self {
        Self {
            machine,
            quick,
            latencies: vec![],
            throughputs: vec![],
            figures: vec![],
            notes: vec![],
        }
    }

    pub(crate) fn latency(
        &mut self,
        bench: &'static str,
        what: impl Into<String>,
        samples: Vec<Duration>,
    ) {
        self.latencies.push(Latency {
            bench,
            what: what.into(),
            microseconds: Samples::of(samples),
        });
    }

    pub(crate) fn note(&mut self, bench: &'static str, text: impl Into<String>) {
        self.notes.push(Note { bench, text: text.into() });
    }

    pub(crate) fn figure(
        &mut self,
        bench: &'static str,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
    ) {
        self.figures.push(Figure { bench, what: what.into(), value, unit });
    }
}

/// Times in microseconds, in rising order.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct Samples(Vec<u32>);

impl Samples {
    pub(crate) fn of(times: Vec<Duration>) -> Self {
        let mut all: Vec<u32> = times
            .into_iter()
            .map(|time| u32::try_from(time.as_micros()).unwrap_or(u32::MAX))
            .collect();
        all.sort_unstable();
        Self(all)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest time that is not exceeded by `share` of them, in milliseconds: the nearest
    /// rank, nothing interpolated.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        self.0
            .get(rank.clamp(1, self.0.len().max(1)) - 1)
            .map_or(f64::NAN, |time| f64::from(*time) / 1000.0)
    }
}
