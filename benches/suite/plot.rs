//! The figures of a run as pictures.

use std::path::Path;

use plotters::prelude::*;

use crate::{Outcome, record::Record};

const INK: RGBColor = RGBColor(40, 40, 40);
const LINES: [RGBColor; 3] =
    [RGBColor(31, 119, 180), RGBColor(255, 127, 14), RGBColor(214, 39, 40)];
/// Empty rows under the lowest one, where the legend hides nothing.
const LEGEND_ROWS: usize = 2;
const SHARES: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];

/// Each bench as a row: its median, 95th and 99th percentile on a logarithmic scale.
pub(crate) fn latency(record: &Record, file: &Path) -> Outcome {
    let rows = record.latencies.len() + LEGEND_ROWS;
    let height = u32::try_from(rows * 34 + 110)?;
    let times = record
        .latencies
        .iter()
        .flat_map(|row| SHARES.map(|(_, share)| row.microseconds.quantile(share)));
    let (low, high) =
        times.fold((f64::MAX, 0.0_f64), |(low, high), time| (low.min(time), high.max(time)));
    let root = SVGBackend::new(file, (960, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(16)
        .caption(title(record, "latency, ms (log)"), ("sans-serif", 16))
        .x_label_area_size(30)
        .y_label_area_size(400)
        .build_cartesian_2d(((low * 0.8).max(0.001)..high * 1.3).log_scale(), 0..rows)?;
    let label = |place: &usize| {
        let row = place
            .checked_sub(LEGEND_ROWS)
            .and_then(|place| record.latencies.iter().rev().nth(place));
        row.map_or(String::new(), |row| format!("{}: {}", row.bench, row.what.replace('`', "")))
    };
    chart
        .configure_mesh()
        .max_light_lines(4)
        .disable_y_mesh()
        .y_labels(rows + 1)
        .y_label_formatter(&label)
        .x_label_formatter(&|time| format!("{time}"))
        .label_style(("sans-serif", 12).into_font().color(&INK))
        .draw()?;
    for (place, (name, share)) in SHARES.into_iter().enumerate() {
        let dots = record.latencies.iter().rev().enumerate();
        let dots = dots.map(|(row, latency)| {
            Circle::new(
                (latency.microseconds.quantile(share), row + LEGEND_ROWS),
                5,
                LINES[place].filled(),
            )
        });
        chart
            .draw_series(dots)?
            .label(name)
            .legend(move |(x, y)| Circle::new((x + 8, y), 5, LINES[place].filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .border_style(INK)
        .background_style(WHITE)
        .draw()?;
    root.present()?;
    Ok(())
}

/// Tasks a second over the number of clients.
pub(crate) fn throughput(record: &Record, file: &Path) -> Outcome {
    let points: Vec<_> =
        record.throughputs.iter().map(|row| (row.clients as f64, row.tasks_per_second)).collect();
    let clients = points.iter().map(|(clients, _)| *clients).fold(1.0, f64::max);
    let most = points.iter().map(|(_, tasks)| *tasks).fold(1.0, f64::max);
    let root = SVGBackend::new(file, (720, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(16)
        .caption(title(record, "return 1 + 1 over HTTP, tasks a second"), ("sans-serif", 16))
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d((1.0..clients * 1.1).log_scale().base(2.0), 0.0..most * 1.2)?;
    chart
        .configure_mesh()
        .max_light_lines(0)
        .x_desc("clients at once")
        .x_label_formatter(&|clients| format!("{clients}"))
        .label_style(("sans-serif", 12).into_font().color(&INK))
        .draw()?;
    chart.draw_series(LineSeries::new(points.iter().copied(), LINES[0].stroke_width(2)))?;
    chart.draw_series(points.iter().map(|point| Circle::new(*point, 4, LINES[0].filled())))?;
    let above = |(clients, tasks): &(f64, f64)| {
        Text::new(format!("{tasks:.0}"), (*clients, *tasks + most * 0.06), ("sans-serif", 12))
    };
    chart.draw_series(points.iter().map(above))?;
    root.present()?;
    Ok(())
}

fn title(record: &Record, what: &str) -> String {
    let machine = &record.machine;
    format!("{what} ({}, {}, {} cores)", machine.date, machine.commit, machine.cpus)
}
