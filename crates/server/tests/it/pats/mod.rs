//! What personal access tokens promise, by the number of the check in the reference of the seed
//! "PATs decided through policies". On the embedded store and on PostgreSQL, unless one says
//! otherwise.

mod approving;
mod deriving;
mod explaining;
mod policy;
mod reading;
mod secrets;
mod world;
