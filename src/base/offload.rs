//! Moves blocking or long work off the threads that serve requests. The only place that uses
//! tokio's blocking pool, so that the work keeps the tracing span of whoever asked for it.

use tokio::{runtime::Handle, task::JoinHandle};
use tracing::Span;

/// Runs `work` on the blocking pool. Dropping the handle does not stop it; awaiting the handle
/// gives an error where it panicked.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn offload<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    on(&Handle::current(), work)
}

/// Runs `work` on the blocking pool for whoever does not wait for it. Outside of a tokio runtime it
/// is not run.
pub fn offload_if_possible(work: impl FnOnce() + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        drop(on(&runtime, work));
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
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

    /// Writes down which spans are entered, by name.
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
    async fn work_runs_in_the_span_of_who_asked_for_it() {
        use tracing_subscriber::layer::SubscriberExt;
        let entered = Entered::default();
        let _default =
            tracing::subscriber::set_default(tracing_subscriber::registry().with(entered.clone()));
        tracing::info_span!("asked").in_scope(|| offload(|| ())).await.unwrap();
        assert_eq!(*entered.0.lock(), ["asked", "asked"], "once here and once there");
    }

    #[test]
    fn without_a_runtime_nothing_is_run() {
        offload_if_possible(|| panic!("it ran"));
    }
}
