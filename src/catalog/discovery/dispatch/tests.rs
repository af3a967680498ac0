use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use futures::future::join_all;
use parking_lot::{Condvar, Mutex};
use tokio::sync::Semaphore;

use super::*;
use crate::catalog::{discovery::limiter::ASKED_MAX, tool::OfferedTool};

/// A gate that the filters of a test pass: they wait until it is open, and it records who came.
#[derive(Default)]
struct Gate {
    came: Mutex<Vec<String>>,
    changed: Condvar,
    open: AtomicBool,
}

impl Gate {
    fn pass(&self, name: &str, waits: bool) {
        let mut came = self.came.lock();
        came.push(name.to_owned());
        self.changed.notify_all();
        while waits && !self.open.load(Ordering::SeqCst) {
            self.changed.wait(&mut came);
        }
    }

    fn open(&self) {
        let _came = self.came.lock();
        self.open.store(true, Ordering::SeqCst);
        self.changed.notify_all();
    }

    fn came(&self) -> Vec<String> {
        self.came.lock().clone()
    }
}

/// Goes through the gate whenever it is asked.
struct Watched {
    gate: Arc<Gate>,
    name: &'static str,
    waits: bool,
}

impl ToolFilter for Watched {
    fn see(&self, _: &Tool) -> Visibility {
        self.gate.pass(self.name, self.waits);
        Visibility::Auto
    }
}

/// A catalog of one tool, with so many places for questions.
async fn catalog(places: usize) -> Arc<Catalog> {
    let mut catalog = Catalog::start(Vec::new(), &BTreeMap::new());
    catalog.query_slots = Arc::new(Semaphore::new(places));
    let up: Arc<str> = "up".into();
    let tool =
        Tool::admit(&up, OfferedTool { name: "only".into(), ..OfferedTool::default() }).unwrap();
    catalog.registry.replace(&up, vec![Arc::new(tool)]).await;
    Arc::new(catalog)
}

// One thread: whatever holds it up holds up everything.
#[tokio::test]
async fn two_questions_of_an_asker_are_answered_at_once_and_none_holds_up_anybody_else() {
    let (catalog, gate) = (catalog(ASKED_MAX + 1).await, Arc::new(Gate::default()));
    let (many, other) = (CallerLimit::default(), CallerLimit::default());
    let filter = |name, waits| Watched { gate: gate.clone(), name, waits };
    let ask = async |at: usize| match at % 2 {
        0 => drop(
            catalog
                .find_offloaded(
                    &many,
                    DiscoveryFunction::Discover,
                    r#""only""#,
                    filter("many", true),
                )
                .await,
        ),
        _ => drop(catalog.not_found_offloaded(&many, "up.onyl", filter("many", true)).await),
    };
    let mut pending: Vec<_> = (0..64).map(|at| Box::pin(ask(at))).collect();
    for asked in &mut pending {
        assert!(futures::poll!(asked).is_pending());
    }
    // Whoever else asks has the place that is left, although sixty-four came before.
    for _ in 0..3 {
        let found = catalog
            .find_offloaded(
                &other,
                DiscoveryFunction::Discover,
                r#""only""#,
                filter("other", false),
            )
            .await
            .unwrap();
        assert!(found.get().contains("up.only"), "{found}");
        assert_eq!(
            catalog.seek("up.only", &|_: &Tool| Visibility::Auto).await.unwrap().unwrap().path,
            "up.only"
        );
    }
    let came = gate.came();
    assert!(came.iter().filter(|name| *name == "many").count() <= ASKED_MAX, "{came:?}");
    gate.open();
    join_all(pending).await;
    assert_eq!(gate.came().iter().filter(|name| *name == "many").count(), 64);
}

#[tokio::test]
async fn askers_take_turns_however_much_one_asks() {
    let (catalog, gate) = (catalog(1).await, Arc::new(Gate::default()));
    let (many, other) = (CallerLimit::default(), CallerLimit::default());
    let filter = |name| Watched { gate: gate.clone(), name, waits: true };
    let ask = |caller, name| {
        Box::pin(catalog.find_offloaded(
            caller,
            DiscoveryFunction::Discover,
            r#""only""#,
            filter(name),
        ))
    };
    let mut pending: Vec<_> =
        (0..64).map(|_| ask(&many, "many")).chain([ask(&other, "other")]).collect();
    for asked in &mut pending {
        assert!(futures::poll!(asked).is_pending());
    }
    gate.open();
    join_all(pending).await;
    let came = gate.came();
    assert_eq!(
        (came.len(), came.iter().position(|name| name == "other")),
        (65, Some(ASKED_MAX)),
        "{came:?}"
    );
}

#[tokio::test]
async fn a_question_that_nobody_waits_for_keeps_its_place_until_it_is_answered() {
    let (catalog, gate) = (catalog(1).await, Arc::new(Gate::default()));
    let caller = CallerLimit::default();
    let filter = Watched { gate: gate.clone(), name: "left", waits: true };
    let mut left =
        Box::pin(catalog.find_offloaded(&caller, DiscoveryFunction::Discover, r#""only""#, filter));
    assert!(futures::poll!(&mut left).is_pending());
    drop(left);
    assert_eq!(
        (catalog.query_slots.available_permits(), caller.0.available_permits()),
        (0, ASKED_MAX - 1)
    );
    gate.open();
    let filter = Watched { gate: gate.clone(), name: "next", waits: true };
    catalog
        .find_offloaded(&caller, DiscoveryFunction::Discover, r#""only""#, filter)
        .await
        .unwrap();
    assert_eq!(gate.came(), ["left", "next"]);
}

#[tokio::test]
async fn arguments_of_a_question_that_are_too_large_are_refused() {
    let catalog = catalog(1).await;
    let ask = async |bytes: usize| {
        let args = format!("{{\"query\":\"only\"{}}}", " ".repeat(bytes - 16));
        catalog
            .find_offloaded(
                &CallerLimit::default(),
                DiscoveryFunction::Discover,
                &args,
                |_: &Tool| Visibility::Auto,
            )
            .await
    };
    assert!(ask(ARGS_BYTES_MAX).await.is_ok());
    let told = ask(ARGS_BYTES_MAX + 1).await.unwrap_err().to_string();
    assert_eq!(told, "the arguments of `tools.discover` are 65537 bytes; the limit is 65536");
}
