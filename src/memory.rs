//! How the C library allocates: memory that decoders used goes back to the system.
//!
//! glibc raises the size from which on it asks the system for memory whenever such a block is freed; from then on blocks
//! of tens of megabytes come from the heaps of the threads, and stay there. Measured with a hundred progressive pictures
//! of 11 megapixels: 542 MB at the peak, and 478 MB for good; with a fixed size, 118 MB and 20 MB.

/// Blocks from this size on are mapped one by one, and unmapped when they are freed, bytes.
#[cfg(target_env = "gnu")]
const MAPPED: i32 = 1 << 20;

/// To be called before the first thread.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "there is no safe way to configure the C library")]
pub fn configure_malloc() {
    // SAFETY: `mallopt` takes two numbers and touches no memory of ours.
    // It fails only for values out of range; then memory is kept, as by default.
    let _ = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED) };
}

/// Other C libraries map large blocks anyway.
#[cfg(not(target_env = "gnu"))]
pub fn configure_malloc() {}
