//! Times for people: the clock of this machine, and how long ago or until then.

use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::model::Timestamp;

/// A moment by this machine's clock; its title has the exact one.
pub(super) fn moment(at: Timestamp) -> Markup {
    let exact = exact(at);
    let shown = local(at, Timestamp::now(), TimeZone::system());
    html! { time datetime=(exact) title=(exact) { (shown) } }
}

/// A moment in UTC, to the second.
pub(super) fn exact(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The time of day; the day too where that is another.
fn local(at: Timestamp, now: Timestamp, zone: TimeZone) -> String {
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone));
    let form = match (at.date() == now.date(), at.year() == now.year()) {
        (true, _) => "%H:%M:%S",
        (false, true) => "%-d %b, %H:%M",
        (false, false) => "%-d %b %Y, %H:%M",
    };
    at.strftime(form).to_string()
}

/// The time since then: `5 min ago`.
pub(super) fn ago(at: Timestamp) -> String {
    format!("{} ago", span(Timestamp::now().as_second() - at.as_second()))
}

/// The time until then: `expires in 5 min`.
pub(super) fn left(until: Timestamp) -> String {
    match until.as_second() - Timestamp::now().as_second() {
        seconds if seconds > 0 => format!("expires in {}", span(seconds)),
        _ => "its time is over".into(),
    }
}

fn span(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_local_and_tells_the_day_where_it_is_another() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let at: Timestamp = "2026-11-29T22:01:14.172572Z".parse().unwrap();
        for (now, shown) in [
            ("2026-11-29T23:00:00Z", "00:01:14"),
            ("2026-11-29T21:00:00Z", "30 Nov, 00:01"),
            ("2027-01-01T00:00:00Z", "30 Nov 2026, 00:01"),
        ] {
            assert_eq!(local(at, now.parse().unwrap(), zone.clone()), shown);
        }
        assert_eq!(exact(at), "2026-11-29T22:01:14Z");
        for (seconds, shown) in
            [(-5, "0 s"), (119, "119 s"), (1740, "29 min"), (7200, "2 h"), (200_000, "2 d")]
        {
            assert_eq!(span(seconds), shown);
        }
    }
}
