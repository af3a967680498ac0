//! Runs blocking or long work on tokio's blocking pool. No other module uses that pool, so all of
//! its work keeps the tracing span of the caller.

use tokio::{runtime::Handle, task::JoinHandle};
use tracing::Span;

/// Runs `work` on the blocking pool. Dropping the handle does not stop it; awaiting the handle
/// returns an error if it panicked.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn offload<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    on(&Handle::current(), work)
}

/// Runs `work` on the blocking pool without waiting for it. Does nothing outside of a tokio
/// runtime.
pub fn offload_if_possible(work: impl FnOnce() + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        drop(on(&runtime, work));
    }
}

#[expect(clippy::disallowed_methods, reason = "only this function uses the blocking pool")]
fn on<T: Send + 'static>(
    runtime: &Handle,
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    let span = Span::current();
    runtime.spawn_blocking(move || span.in_scope(work))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing::span;

    use super::*;

    /// Records the names of the spans that are entered.
    #[derive(Clone, Default)]
    struct Entered(Arc<Mutex<Vec<&'static str>>>);

    impl<S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>>
        tracing_subscriber::Layer<S> for Entered
    {
        fn on_enter(&self, id: &span::Id, context: tracing_subscriber::layer::Context<'_, S>) {
            self.0.lock().extend(context.span(id).map(|span| span.name()));
        }
    }

    #[tokio::test]
    async fn work_runs_in_the_span_of_the_caller() {
        use tracing_subscriber::layer::SubscriberExt;
        let entered = Entered::default();
        let _default =
            tracing::subscriber::set_default(tracing_subscriber::registry().with(entered.clone()));
        tracing::info_span!("caller").in_scope(|| offload(|| ())).await.unwrap();
        assert_eq!(
            *entered.0.lock(),
            ["caller", "caller"],
            "once in the caller and once on the pool"
        );
    }

    #[test]
    fn without_a_runtime_nothing_is_run() {
        offload_if_possible(|| panic!("it ran"));
    }
}
