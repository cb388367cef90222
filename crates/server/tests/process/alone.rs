//! Promises about time. Nothing else may run beside these tests; the runner knows that from the
//! module's name.

mod guessing;
mod likeness;
mod promptness;
