//! The `counterfoil` program: everything is in the library, so that tests can reach it.

use std::process::ExitCode;

/// Many small allocations from many threads are what a busy server makes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    counterfoil_server::cli::main()
}
