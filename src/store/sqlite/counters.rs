//! Counters on the writer's connection: compare and add in SQL, in one immediate transaction, one
//! trip for all holds of a call.

use std::collections::HashMap;

use serde_json::json;
use sqlx::{Row, SqliteConnection};

use super::{error::failed, rows::nanoseconds};
use crate::{
    model::Timestamp,
    store::{CounterHold, CounterRead, HoldToken, Place, Reserved, Slot, StoreError},
};

/// Counters that nothing asks for any more and that one cleaning removes, and how many reservations
/// pass between two of them: so cleaning is faster than growing, and no reservation waits for long.
const FORGET_MAX: i64 = 1024;
const FORGET_EVERY: u64 = 64;

pub(super) const RESERVE: &str =
    concat!("BEGIN IMMEDIATE;", include_str!("sql/reserve.sql"), "COMMIT;");
pub(super) const RELEASE: &str = include_str!("sql/release.sql");
const FORGET: &str = include_str!("sql/forget_counters.sql");

/// A call's holds at the moment of asking.
#[derive(Debug)]
pub(super) struct Reservation {
    at: Timestamp,
    slots: Vec<Slot>,
}

impl Reservation {
    pub(super) fn new(at: Timestamp, holds: &[CounterHold]) -> Self {
        Self { at, slots: Slot::all(holds, at) }
    }

    pub(super) fn at(&self) -> Timestamp {
        self.at
    }
}

/// Counts all of it, or nothing. The transaction is over where it succeeds; where it fails the
/// caller rolls back.
pub(super) async fn reserve(
    connection: &mut SqliteConnection,
    asked: Reservation,
) -> Result<Reserved, sqlx::Error> {
    let Reservation { at, slots } = asked;
    let rows = sqlx::query(RESERVE).bind(parameter(&slots)).fetch_all(connection).await?;
    let mut found = HashMap::new();
    for row in &rows {
        let (place, value, oldest): (i64, i64, Option<i64>) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        found.insert(place, (value, oldest));
    }
    for (place, slot) in (0..).zip(&slots) {
        // A counter that was not told of is not known to fit.
        let (value, oldest) = *found.get(&place).ok_or(sqlx::Error::RowNotFound)?;
        if slot.cost > slot.max.saturating_sub(value) {
            // What alone is more than the window holds never fits.
            let fits_one_day = slot.cost <= slot.max;
            let retry_after = fits_one_day
                .then(|| slot.place().retry_after(oldest.unwrap_or(slot.bucket), at))
                .flatten();
            return Ok(Reserved::Exceeded { index: slot.index, value, retry_after });
        }
    }
    Ok(Reserved::Held(HoldToken::of(slots)))
}

/// Takes back what was counted.
pub(super) async fn release(
    connection: &mut SqliteConnection,
    token: &HoldToken,
) -> Result<(), sqlx::Error> {
    sqlx::query(RELEASE).bind(parameter(token.slots())).execute(connection).await.map(drop)
}

/// Removes counters whose time is over, every so many reservations.
pub(super) async fn forget(
    connection: &mut SqliteConnection,
    reservations: u64,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    if !reservations.is_multiple_of(FORGET_EVERY) {
        return Ok(());
    }
    sqlx::query(FORGET).bind(nanoseconds(at)).bind(FORGET_MAX).execute(connection).await.map(drop)
}

/// The values of counters, each over its window.
pub(super) async fn values(
    pool: &sqlx::SqlitePool,
    at: Timestamp,
    reads: &[CounterRead],
) -> Result<Vec<i64>, StoreError> {
    let mut values = Vec::with_capacity(reads.len());
    for read in reads {
        let place = Place::of(read.window, at);
        let sum = "SELECT coalesce(sum(value), 0) FROM counters WHERE key = ? AND width = ? AND \
            bucket BETWEEN ? AND ?";
        let value = sqlx::query_scalar::<_, i64>(sum)
            .bind(&read.key)
            .bind(place.width)
            .bind(place.first)
            .bind(place.bucket)
            .fetch_one(pool)
            .await
            .map_err(failed)?;
        values.push(value);
    }
    Ok(values)
}

fn parameter(slots: &[Slot]) -> String {
    let rows = (0..).zip(slots).map(|(at, slot): (i64, &Slot)| {
        json!({
            "at": at, "key": slot.key, "width": slot.width, "bucket": slot.bucket,
            "first": slot.first,
            "expires_at": slot.expires_at, "cost": slot.cost, "max": slot.max,
        })
    });
    rows.collect::<serde_json::Value>().to_string()
}
