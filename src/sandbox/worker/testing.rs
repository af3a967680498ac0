//! V8 for unit tests: one thread for all of them, because V8 requires its isolates on the thread
//! that initialised it or on a descendant.

use std::sync::{
    OnceLock,
    mpsc::{Sender, channel},
};

use parking_lot::Mutex;

type Job = Box<dyn FnOnce() + Send>;

/// Runs `work` on the thread that owns V8, within a tokio runtime, and waits for the result.
pub(crate) fn on_v8<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    static THREAD: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();
    let jobs = THREAD.get_or_init(|| {
        let (jobs, queue) = channel::<Job>();
        let serve = move || {
            let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let _inside = tokio.enter();
            queue.into_iter().for_each(|job| job());
        };
        std::thread::Builder::new().name("v8".into()).stack_size(16 << 20).spawn(serve).unwrap();
        Mutex::new(jobs)
    });
    let (sender, result) = channel();
    let job = move || {
        let _ = sender.send(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)));
    };
    jobs.lock().send(Box::new(job)).unwrap();
    result.recv().unwrap().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
