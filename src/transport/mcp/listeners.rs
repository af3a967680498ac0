//! Tells clients that the list of tools reads differently: legacy sessions through their peer,
//! modern ones through `listen`.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use rmcp::{RoleServer, service::Peer};
use tokio::sync::watch;

use crate::{model::Principal, transport::Port};

/// How long one client may take to accept a notification.
const NOTIFY_MAX: Duration = Duration::from_secs(1);
/// Changes that follow each other sooner are told once.
const SETTLE: Duration = Duration::from_millis(200);

/// Who wants to know. Peers whose session has ended are forgotten at the next look.
pub(super) struct Listeners {
    peers: Mutex<Vec<Peer<RoleServer>>>,
    /// Counts the changes of the connected namespaces; what `listen` waits on.
    changes: watch::Sender<u64>,
}

impl Listeners {
    /// Watches the tools until the port or the last owner is gone. Must be called inside a tokio
    /// runtime.
    pub(super) fn start(port: &Arc<dyn Port>) -> Arc<Self> {
        let listeners = Arc::new(Self { peers: Mutex::default(), changes: watch::channel(0).0 });
        tokio::spawn(watch_tools(
            Arc::downgrade(&listeners),
            Arc::downgrade(port),
            port.tools_changed(),
        ));
        listeners
    }

    /// Adds a legacy session.
    pub(super) fn add(&self, peer: Peer<RoleServer>) {
        let mut peers = self.peers.lock();
        peers.retain(|peer| !peer.is_transport_closed());
        peers.push(peer);
    }

    /// Changes whenever the list of tools reads differently.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    async fn tell(&self) {
        self.changes.send_modify(|count| *count += 1);
        let peers = {
            let mut peers = self.peers.lock();
            peers.retain(|peer| !peer.is_transport_closed());
            peers.clone()
        };
        let told = peers
            .iter()
            .map(|peer| tokio::time::timeout(NOTIFY_MAX, peer.notify_tool_list_changed()));
        for outcome in futures::future::join_all(told).await {
            if !matches!(outcome, Ok(Ok(()))) {
                tracing::debug!("a client did not take the notice that the list of tools changed");
            }
        }
    }
}

async fn watch_tools(
    listeners: Weak<Listeners>,
    port: Weak<dyn Port>,
    changed: [watch::Receiver<u64>; 2],
) {
    // Whoever listens is the one user of this server.
    let who = Principal::local("mcp");
    let [mut catalog, mut policy] = changed;
    let mut known = port.upgrade().map(|port| port.namespaces(&who));
    loop {
        let changed = tokio::select! {
            changed = catalog.changed() => changed,
            changed = policy.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
        tokio::time::sleep(SETTLE).await;
        catalog.mark_unchanged();
        policy.mark_unchanged();
        let (Some(listeners), Some(port)) = (listeners.upgrade(), port.upgrade()) else { return };
        let now = Some(port.namespaces(&who));
        drop(port);
        if now != known {
            known = now;
            listeners.tell().await;
        }
    }
}
