//! reqwest 0.13 under the version number that `aliyun-oss-rust-sdk` asks for.
//!
//! The SDK signs for us; its HTTP client is never called, but asks for reqwest 0.12 with native TLS, and so for
//! OpenSSL, perl and make. With this crate in its place the SDK compiles against the reqwest that is here anyway.
//! See `docs/adr/0007-one-reqwest.md`.

pub use actual::*;
