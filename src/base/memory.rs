//! Makes the allocator of the system library give memory back that large texts took. Elsewhere than
//! on glibc nothing is done.

/// From so many bytes on, a piece of memory is the kernel's again once it is freed. By itself the
/// threshold grows with what is freed, up to 32 MiB, and each thread's pool then keeps twice as
/// much.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_BYTES_MIN: libc::c_int = 1024 * 1024;

/// Once for a process that will hold large texts, before it has threads.
pub fn return_large() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes no pointers. What it refuses it leaves as it was.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
    }
}

/// Gives memory back that reading took: a description or a list is many times what is kept of it,
/// and lies between what is kept. Takes milliseconds.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes no pointers and may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
