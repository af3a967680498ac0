use http::HeaderValue;

use super::*;

const PAUSE: Duration = Duration::from_millis(250);
const LONG: Duration = Duration::from_secs(60);

fn after(status: u16, wait: Option<&'static str>, tries: u32, left: Duration) -> Option<Duration> {
    let mut headers = HeaderMap::new();
    if let Some(wait) = wait {
        headers.insert(RETRY_AFTER, HeaderValue::from_static(wait));
    }
    let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
    pause(&Ended::Answered(StatusCode::from_u16(status).unwrap(), &headers), tries, left, 1.0, now)
}

#[test]
fn only_what_may_pass_is_tried_again_and_at_most_three_times() {
    for status in [429, 502, 503, 504] {
        assert_eq!(after(status, None, 1, LONG), Some(PAUSE), "{status}");
        assert_eq!(after(status, None, 2, LONG), Some(PAUSE * 2), "{status}");
        assert_eq!(after(status, None, 3, LONG), None, "{status}");
    }
    for status in [200, 301, 400, 401, 404, 500, 501] {
        assert_eq!(after(status, None, 1, LONG), None, "{status}");
    }
    let now = Timestamp::now();
    let failed = |failure: ServiceFailure| pause(&Ended::Failed(&failure), 1, LONG, 0.0, now);
    assert_eq!(failed(ServiceFailure::Lost(String::new())), Some(PAUSE / 2));
    assert_eq!(failed(ServiceFailure::Unreachable(String::new())), Some(PAUSE / 2));
    for failure in [
        ServiceFailure::Refused(String::new()),
        ServiceFailure::Timeout,
        ServiceFailure::TooLarge(1),
        ServiceFailure::Credential(String::new()),
        ServiceFailure::CircuitOpen { retry_after: LONG },
    ] {
        assert_eq!(failed(failure), None);
    }
}

#[test]
fn retry_after_is_honoured_within_the_time_of_the_call() {
    assert_eq!(after(429, Some("7"), 1, LONG), Some(Duration::from_secs(7)));
    assert_eq!(
        after(503, Some("Sat, 21 Nov 2026 10:00:09 GMT"), 1, LONG),
        Some(Duration::from_secs(9))
    );
    assert_eq!(after(503, Some("Sat, 21 Nov 2026 09:00:00 GMT"), 1, LONG), Some(PAUSE));
    assert_eq!(after(503, Some("soon"), 1, LONG), Some(PAUSE));
    assert_eq!(after(429, Some("61"), 1, LONG), None);
    assert_eq!(after(429, Some("99999999999999999999999"), 1, LONG), Some(PAUSE));
}
