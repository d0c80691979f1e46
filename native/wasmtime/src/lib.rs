//! Re-exports Wasmtime's C API, so that a C++ program links it as one shared library.
pub use wasmtime_c_api::*;
