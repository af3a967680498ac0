//! Notifies clients when the list of tools that they may see changes: legacy sessions through their
//! peer, modern ones through `listen`.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use rmcp::{RoleServer, service::Peer};
use tokio::sync::watch;

use super::options::{LiveMcpOptions, McpOptions};
use crate::{
    model::Principal,
    service::{ChangeCounters, NamespaceList, Service, view::Namespace},
};

/// Time limit for one client to accept a notification.
const NOTIFY_MAX: Duration = Duration::from_secs(1);
/// Changes that follow each other sooner are notified once.
const SETTLE: Duration = Duration::from_millis(200);

/// The sessions to notify. Those that have ended are removed at the next change or the next
/// addition.
pub(super) struct Listeners {
    service: Weak<Service>,
    options: LiveMcpOptions,
    sessions: Mutex<Vec<Session>>,
    /// Counts the changes that may concern somebody; what `listen` waits on.
    changes: watch::Sender<u64>,
}

/// A legacy session.
struct Session {
    peer: Peer<RoleServer>,
    seen: SeenTools,
}

/// The tools that a client may see, as they were when it was last notified.
#[derive(Clone)]
pub(super) struct SeenTools {
    who: Principal,
    list: Seen,
}

/// What the list of tools depends on: the namespaces in the description of `execute`, and the
/// bounds in its schema.
#[derive(Clone, PartialEq)]
struct Seen {
    namespaces: Option<Vec<Namespace>>,
    options: McpOptions,
}

impl Listeners {
    /// Watches the tools until the service or the last owner is gone. Must be called inside a tokio
    /// runtime.
    pub(super) fn start(
        service: &Arc<Service>,
        options: LiveMcpOptions,
        watcher: Principal,
    ) -> Arc<Self> {
        let listeners = Arc::new(Self {
            service: Arc::downgrade(service),
            options,
            sessions: Mutex::default(),
            changes: watch::channel(0).0,
        });
        tokio::spawn(watch_tools(Arc::downgrade(&listeners), Arc::downgrade(service), watcher));
        listeners
    }

    /// Adds a legacy session of this principal.
    pub(super) async fn add(&self, peer: Peer<RoleServer>, who: Principal) {
        let seen = self.seen(who).await;
        let mut sessions = self.sessions.lock();
        sessions.retain(|session| !session.peer.is_transport_closed());
        sessions.push(Session { peer, seen });
    }

    /// Changes whenever there may be other tools to see.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The tools that this principal may see now.
    pub(super) async fn seen(&self, who: Principal) -> SeenTools {
        // Neither its client nor its session makes a difference to what it sees.
        let who = Principal { client_id: String::new(), session_id: None, ..who };
        let list = self.list(&who).await;
        SeenTools { who, list }
    }

    /// True if the principal may see other tools now; `seen` is updated.
    pub(super) async fn differs(&self, seen: &mut SeenTools) -> bool {
        let now = self.list(&seen.who).await;
        let differs = now != seen.list;
        seen.list = now;
        differs
    }

    async fn list(&self, who: &Principal) -> Seen {
        let namespaces = match self.service.upgrade() {
            Some(service) => service.call(who, NamespaceList).await.ok(),
            None => None,
        };
        Seen { namespaces, options: self.options.borrow().clone() }
    }

    async fn notify(&self) {
        self.changes.send_modify(|count| *count += 1);
        let principals: Vec<Principal> = {
            let mut sessions = self.sessions.lock();
            sessions.retain(|session| !session.peer.is_transport_closed());
            sessions.iter().map(|session| session.seen.who.clone()).collect()
        };
        let mut now: HashMap<Principal, Seen> = HashMap::new();
        for who in principals {
            if let Entry::Vacant(vacant) = now.entry(who) {
                let list = self.list(vacant.key()).await;
                vacant.insert(list);
            }
        }
        let concerned: Vec<Peer<RoleServer>> = {
            let mut sessions = self.sessions.lock();
            sessions.iter_mut().filter_map(|session| update(session, &now)).collect()
        };
        let notified = concerned
            .iter()
            .map(|peer| tokio::time::timeout(NOTIFY_MAX, peer.notify_tool_list_changed()));
        for outcome in futures::future::join_all(notified).await {
            if !matches!(outcome, Ok(Ok(()))) {
                tracing::debug!(
                    "a client did not accept the notice that the list of tools changed"
                );
            }
        }
    }
}

/// The peer of a session that sees other tools now, whose view is updated.
fn update(session: &mut Session, now: &HashMap<Principal, Seen>) -> Option<Peer<RoleServer>> {
    let list = now.get(&session.seen.who)?;
    if *list == session.seen.list {
        return None;
    }
    session.seen.list.clone_from(list);
    Some(session.peer.clone())
}

async fn watch_tools(listeners: Weak<Listeners>, service: Weak<Service>, watcher: Principal) {
    let changes = async |service: Arc<Service>| {
        service.call(&watcher, crate::service::ToolChanges).await.ok()
    };
    let Some(service) = service.upgrade() else { return };
    let Some([mut catalog, mut policy]): Option<ChangeCounters> = changes(service).await else {
        return;
    };
    let Some(mut options) = listeners.upgrade().map(|listeners| listeners.options.clone()) else {
        return;
    };
    loop {
        let changed = tokio::select! {
            changed = catalog.changed() => changed,
            changed = policy.changed() => changed,
            // They may be fixed: nobody is left to change them.
            Ok(()) = options.changed() => Ok(()),
        };
        if changed.is_err() {
            return;
        }
        tokio::time::sleep(SETTLE).await;
        catalog.mark_unchanged();
        policy.mark_unchanged();
        options.mark_unchanged();
        let Some(listeners) = listeners.upgrade() else { return };
        listeners.notify().await;
    }
}
