//! Every sink, over real sockets and real directories.
//!
//! [`suite`] holds what every sink promises and runs over the table in [`places`]; [`faults`] and [`wire`] are about S3 alone and
//! [`files`] about directories alone. With `HYDRANT_TEST_S3_ENDPOINT`, `HYDRANT_TEST_S3_ACCESS_KEY` and
//! `HYDRANT_TEST_S3_SECRET` set, the table has that server too: `MinIO`, say.

#![expect(clippy::disallowed_methods, reason = "tests drive real servers in real time")]

mod faults;
mod files;
mod parcel;
mod places;
#[expect(dead_code, reason = "the service's tests use the rest")]
mod server;
mod suite;
mod wire;
