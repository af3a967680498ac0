//! Returns freed memory of large allocations to the operating system. Does nothing without glibc.

/// Size from which an allocation is returned to the kernel when it is freed, in bytes. Without a
/// fixed threshold, glibc raises it with each large free, up to 32 MiB, and every thread's arena
/// keeps twice as much.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_BYTES_MIN: libc::c_int = 1024 * 1024;

/// Fixes the threshold. Call it once, before the process has threads.
pub fn return_large() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the call takes no pointers; a rejected parameter changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
    }
}

/// Returns free memory to the kernel. Call it after parsing an OpenAPI document or a large list,
/// whose temporary allocations lie between those that are kept. Takes milliseconds.
pub fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the call takes no pointers and is allowed at any time on any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
