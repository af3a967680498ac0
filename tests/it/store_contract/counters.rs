//! What every store promises of counters.

use std::time::Duration;

use airlock::store::{
    COUNTER_KEY_BYTES_MAX, CounterHold, CounterRead, CounterWindow, HOLDS_MAX, HoldToken, Reserved,
    StoreError,
};

use super::{Shared, later, moment};

super::contract! { counters:
    two_hundred_at_once_let_exactly_ten_through
    a_reservation_is_all_or_nothing
    what_is_given_back_may_be_taken_again
    a_part_of_a_reservation_can_be_given_back
    a_fixed_window_begins_anew_at_its_edge
    a_rolling_window_never_lets_more_through
    millionths_add_up_exactly
    a_cost_that_never_fits_is_never_told_to_wait
    windows_and_keys_do_not_share
    two_holds_on_one_counter_are_one_use
    a_reservation_that_makes_no_sense_is_refused
}

const MILLION: i64 = 1_000_000;

const MINUTE: CounterWindow = CounterWindow::Fixed(Duration::from_secs(60));

fn hold(key: &str, max: i64) -> CounterHold {
    CounterHold { key: key.into(), window: MINUTE, max: max * MILLION, cost: MILLION }
}

async fn value(store: &Shared, key: &str, window: CounterWindow) -> i64 {
    store.counters(moment(), &[CounterRead { key: key.into(), window }]).await.unwrap()[0]
}

fn held(reserved: Reserved) -> HoldToken {
    match reserved {
        Reserved::Held(token) => token,
        Reserved::Exceeded { .. } => panic!("it should fit: {reserved:?}"),
    }
}

pub(super) async fn two_hundred_at_once_let_exactly_ten_through(store: Shared) {
    let asked = (0..200).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.reserve(moment(), &[hold("k", 10)]).await.unwrap() })
    });
    let answers = futures::future::join_all(asked.collect::<Vec<_>>()).await;
    let held = answers
        .iter()
        .filter(|answer| matches!(answer.as_ref().unwrap(), Reserved::Held(_)))
        .count();
    assert_eq!(held, 10);
    assert_eq!(value(&store, "k", MINUTE).await, 10 * MILLION);
}

pub(super) async fn a_reservation_is_all_or_nothing(store: Shared) {
    held(store.reserve(moment(), &[hold("small", 1)]).await.unwrap());
    let refused = store
        .reserve(moment(), &[hold("large", 5), hold("small", 1), hold("other", 5)])
        .await
        .unwrap();
    let Reserved::Exceeded { index, value: counted, retry_after } = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((index, counted, retry_after), (1, MILLION, Some(Duration::from_secs(30))));
    assert_eq!(
        (value(&store, "large", MINUTE).await, value(&store, "other", MINUTE).await),
        (0, 0)
    );
}

pub(super) async fn what_is_given_back_may_be_taken_again(store: Shared) {
    let token = held(store.reserve(moment(), &[hold("k", 1)]).await.unwrap());
    assert!(matches!(
        store.reserve(moment(), &[hold("k", 1)]).await.unwrap(),
        Reserved::Exceeded { .. }
    ));
    store.release(token).await.unwrap();
    let token = held(store.reserve(moment(), &[hold("k", 1)]).await.unwrap());
    assert!(matches!(
        store.reserve(moment(), &[hold("k", 1)]).await.unwrap(),
        Reserved::Exceeded { .. }
    ));
    // Given back too often it becomes no credit.
    store.release(token.clone()).await.unwrap();
    store.release(token).await.unwrap();
    assert_eq!(value(&store, "k", MINUTE).await, 0);
}

pub(super) async fn a_part_of_a_reservation_can_be_given_back(store: Shared) {
    let token =
        held(store.reserve(moment(), &[hold("tries", 5), hold("successes", 5)]).await.unwrap());
    store.release(token.part(|index| index == 1)).await.unwrap();
    assert_eq!(
        (value(&store, "tries", MINUTE).await, value(&store, "successes", MINUTE).await),
        (MILLION, 0)
    );
}

pub(super) async fn a_fixed_window_begins_anew_at_its_edge(store: Shared) {
    held(store.reserve(later(29), &[hold("k", 1)]).await.unwrap());
    let refused = store.reserve(later(29), &[hold("k", 1)]).await.unwrap();
    assert!(
        matches!(
            refused,
            Reserved::Exceeded { retry_after: Some(wait), .. } if wait == Duration::from_secs(1)
        ),
        "{refused:?}"
    );
    held(store.reserve(later(30), &[hold("k", 1)]).await.unwrap());
}

pub(super) async fn a_rolling_window_never_lets_more_through(store: Shared) {
    let window = CounterWindow::Rolling(Duration::from_secs(64));
    let hold = CounterHold { window, ..hold("k", 5) };
    let mut let_through: Vec<i64> = vec![];
    for second in 0..400 {
        if let Reserved::Held(_) =
            store.reserve(later(second), std::slice::from_ref(&hold)).await.unwrap()
        {
            let_through.push(second);
        }
    }
    for at in 0..400 {
        let within = let_through.iter().filter(|second| (at - 64..at).contains(*second)).count();
        assert!(within <= 5, "{within} within 64 s before {at}: {let_through:?}");
    }
    // A call is forgotten after 64 s, and at most 4 s later.
    assert!(let_through.len() >= 5 * (400 / 68), "{let_through:?}");
}

pub(super) async fn millionths_add_up_exactly(store: Shared) {
    let cents = CounterHold { cost: 990_000, ..hold("spend", 10) };
    for _ in 0..10 {
        held(store.reserve(moment(), std::slice::from_ref(&cents)).await.unwrap());
    }
    assert_eq!(value(&store, "spend", MINUTE).await, 9_900_000);
    held(store.reserve(moment(), &[CounterHold { cost: 100_000, ..cents.clone() }]).await.unwrap());
    let refused = store.reserve(moment(), &[CounterHold { cost: 1, ..cents }]).await.unwrap();
    assert!(matches!(refused, Reserved::Exceeded { value: 10_000_000, .. }), "{refused:?}");
}

pub(super) async fn a_cost_that_never_fits_is_never_told_to_wait(store: Shared) {
    let huge = CounterHold { cost: i64::MAX, ..hold("k", 10) };
    let refused = store.reserve(moment(), &[huge]).await.unwrap();
    assert_eq!(refused, Reserved::Exceeded { index: 0, value: 0, retry_after: None });
    let whole = CounterHold { window: CounterWindow::Whole, ..hold("task", 1) };
    held(store.reserve(moment(), std::slice::from_ref(&whole)).await.unwrap());
    let refused = store.reserve(later(86_400), std::slice::from_ref(&whole)).await.unwrap();
    assert_eq!(refused, Reserved::Exceeded { index: 0, value: MILLION, retry_after: None });
}

pub(super) async fn windows_and_keys_do_not_share(store: Shared) {
    let hour =
        CounterHold { window: CounterWindow::Fixed(Duration::from_secs(3600)), ..hold("k", 1) };
    let whole = CounterHold { window: CounterWindow::Whole, ..hold("k", 1) };
    held(
        store
            .reserve(
                moment(),
                &[hold("k", 1), hour, whole, hold("K", 1), hold("k\u{0}", 1), hold("k'--", 1)],
            )
            .await
            .unwrap(),
    );
}

pub(super) async fn two_holds_on_one_counter_are_one_use(store: Shared) {
    let cheap = hold("k", 10);
    let dear = CounterHold { cost: 3 * MILLION, ..hold("k", 4) };
    held(store.reserve(moment(), &[cheap.clone(), dear.clone()]).await.unwrap());
    assert_eq!(value(&store, "k", MINUTE).await, 3 * MILLION);
    let refused = store.reserve(moment(), &[cheap, dear]).await.unwrap();
    assert!(
        matches!(refused, Reserved::Exceeded { index: 1, .. }),
        "the smaller bound speaks: {refused:?}"
    );
}

pub(super) async fn a_reservation_that_makes_no_sense_is_refused(store: Shared) {
    let wrong = [
        vec![CounterHold { cost: -1, ..hold("k", 10) }],
        vec![CounterHold { max: -1, ..hold("k", 10) }],
        vec![hold(&"k".repeat(COUNTER_KEY_BYTES_MAX + 1), 10)],
        (0..=HOLDS_MAX).map(|n| hold(&format!("k{n}"), 10)).collect(),
    ];
    for holds in wrong {
        let refused = store.reserve(moment(), &holds).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    }
    assert_eq!(value(&store, "k", MINUTE).await, 0);
    held(store.reserve(moment(), &[]).await.unwrap());
}
