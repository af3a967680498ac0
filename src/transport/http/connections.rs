//! The listener's loop: so many connections at once, each without Nagle's delay, and none that is
//! silent for ever.

use std::{
    convert::Infallible,
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body, serve::Listener};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// Bounds of connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Connections at once, at most.
    pub(super) max: usize,
    /// Time limit for a connection to send the head of its first request, or of its next one.
    pub(super) head: Duration,
    /// Time limit for a client to accept nothing.
    pub(super) write: Duration,
}

/// Time that the head of a request which has begun to arrive has to be whole at a stop.
const HEAD_AT_STOP: Duration = Duration::from_millis(250);

/// Serves until `stopping`; then takes nothing new, ends idle connections and returns when those
/// with a request under way have ended too. `cut` drops whatever is left, at any time.
pub(super) async fn serve(
    mut listener: TcpListener,
    router: Router,
    bounds: Bounds,
    stopping: CancellationToken,
    cut: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(bounds.max.clamp(1, Semaphore::MAX_PERMITS)));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(bounds.head);
    let connections = TaskTracker::new();
    while let Some(accepted) =
        stopping.run_until_cancelled(accept(&mut listener, &slots, bounds.write)).await
    {
        let (http, router) = (http.clone(), router.clone());
        let (stopping, cut) = (stopping.clone(), cut.clone());
        connections.spawn(async move {
            cut.run_until_cancelled(connection(&http, router, accepted, stopping)).await
        });
    }
    // New connections are refused instead of left waiting.
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn accept(
    listener: &mut TcpListener,
    slots: &Arc<Semaphore>,
    write_max: Duration,
) -> BoundedConnection {
    let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
    let (stream, _) = Listener::accept(listener).await;
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection has Nagle's delay");
    }
    BoundedConnection { stream, write_max, stuck: None, _slot: slot }
}

async fn connection(
    http: &http1::Builder,
    router: Router,
    accepted: BoundedConnection,
    stopping: CancellationToken,
) {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = requests.clone();
    let service = tower::service_fn(move |request: http::Request<Incoming>| {
        let (router, under_way) = (router.clone(), UnderWay::begin(&counted));
        async move {
            let response = router.oneshot(request.map(Body::new)).await?;
            // Whoever holds the body holds the request.
            Ok::<_, Infallible>(response.map(|body| {
                body.map_err(move |error| {
                    let _ = &under_way;
                    error
                })
            }))
        }
    });
    let service = TowerToHyperService::new(service);
    let mut connection =
        pin!(http.serve_connection(TokioIo::new(accepted), service).with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(HEAD_AT_STOP, connection.as_mut()).await {
                Ok(ended) => ended,
                // Nothing was asked on it.
                Err(_) if requests.load(Ordering::Relaxed) == 0 => return,
                Err(_) => connection.await,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// A request of a connection, until its response has left.
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn begin(requests: &Arc<AtomicUsize>) -> Self {
        requests.fetch_add(1, Ordering::Relaxed);
        Self(requests.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that frees its slot when it is dropped, upgraded or not, and breaks off when its
/// client accepts nothing.
struct BoundedConnection {
    stream: TcpStream,
    write_max: Duration,
    /// The deadline of a write that waits.
    stuck: Option<Pin<Box<Sleep>>>,
    _slot: OwnedSemaphorePermit,
}

impl BoundedConnection {
    /// The result of a write, or an error where it has waited too long.
    fn bounded<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let write_max = self.write_max;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(tokio::time::sleep(write_max)));
        stuck.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for BoundedConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for BoundedConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.bounded(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.bounded(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
