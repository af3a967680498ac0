use std::{future::Future, pin::pin, task::Poll};

use super::*;

fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

#[test]
fn a_resuming_guest_goes_before_a_new_one() {
    let schedule = Schedule::new(1, 3, 10);
    let (_slot, permit) = now(schedule.admit("a")).unwrap().unwrap();
    let mut fresh = Box::pin(schedule.admit("a"));
    assert!(now(&mut fresh).is_none());
    let mut resuming = Box::pin(schedule.resume());
    assert!(now(&mut resuming).is_none());
    drop(permit);
    assert!(now(&mut fresh).is_none());
    let permit = now(&mut resuming).expect("the permit is free");
    drop(permit);
    assert!(now(&mut fresh).is_some());
}

#[test]
fn tenants_are_served_round_robin() {
    let schedule = Schedule::new(1, 10, 10);
    let first = now(schedule.admit("busy")).unwrap().unwrap();
    let mut busy: Vec<_> = (0..3).map(|_| Box::pin(schedule.admit("busy"))).collect();
    busy.iter_mut().for_each(|waiting| assert!(now(waiting).is_none()));
    let mut other = Box::pin(schedule.admit("other"));
    assert!(now(&mut other).is_none());
    drop(first);
    let second = now(&mut busy[0]).expect("the busy tenant queued first");
    drop(second);
    assert!(now(&mut busy[1]).is_none());
    assert!(now(&mut other).is_some(), "the other tenant comes before the busy one's second guest");
}

#[test]
fn a_guest_that_waits_for_a_tool_keeps_its_slot_and_frees_its_permit() {
    let schedule = Schedule::new(1, 2, 10);
    let (slot, permit) = now(schedule.admit("a")).unwrap().unwrap();
    drop(permit);
    let second = now(schedule.admit("a")).expect("the permit is free").unwrap();
    let mut third = Box::pin(schedule.admit("a"));
    drop(second.1);
    assert!(now(&mut third).is_none(), "both slots are taken");
    drop(slot);
    assert!(now(&mut third).is_some());
}

#[test]
fn a_tenant_that_never_ends_leaves_slots_to_the_others() {
    let schedule = Schedule::new(10, 4, 10);
    let mut held: Vec<_> =
        (0..4).map(|_| now(schedule.admit("greedy")).unwrap().unwrap()).collect();
    let mut fifth = Box::pin(schedule.admit("greedy"));
    let mut other = Box::pin(schedule.admit("other"));
    assert!(now(&mut fifth).is_none(), "alone, a tenant may hold every slot, and no more");
    assert!(now(&mut other).is_none());
    held.pop();
    assert!(
        now(&mut fifth).is_none(),
        "three of four slots are one tenant's share once there is another"
    );
    assert!(now(&mut other).is_some());
}

#[test]
fn guests_that_do_not_wait_any_more_make_room_in_a_full_queue() {
    let schedule = Schedule::new(1, 10, 2);
    let running = now(schedule.admit("a")).unwrap().unwrap();
    let mut gone: Vec<_> = (0..2).map(|_| Box::pin(schedule.admit("a"))).collect();
    gone.iter_mut().for_each(|waiting| assert!(now(waiting).is_none()));
    drop(gone);
    let mut next = Box::pin(schedule.admit("b"));
    assert!(now(&mut next).is_none(), "it waits and is not refused");
    drop(running);
    assert!(now(&mut next).is_some());
}

#[test]
fn the_queue_is_bounded_and_a_dropped_request_is_skipped() {
    let schedule = Schedule::new(1, 10, 2);
    let first = now(schedule.admit("a")).unwrap().unwrap();
    let mut gone = Box::pin(schedule.admit("a"));
    let mut next = Box::pin(schedule.admit("a"));
    assert!(now(&mut gone).is_none() && now(&mut next).is_none());
    assert_eq!(now(schedule.admit("a")).unwrap().unwrap_err(), QueueFull { queue_max: 2 });
    drop(gone);
    drop(first);
    let held = now(&mut next).expect("the dropped request is skipped").unwrap();
    assert_eq!(schedule.queued(), 0);
    drop(held);
    assert!(now(schedule.admit("a")).is_some(), "nothing leaked");
}
